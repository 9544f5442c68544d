//! What the checker remembers beside the states of the sockets: facts that the driver, the kernels and the
//! clock show. Whether a bound was reached is decided here, from these facts, and not by what the machine
//! reports.

use std::time::Duration;

use linger_proto::{CloseReport, CutShownBy, Outcome};

use super::configurations::Configuration;
use super::connection::End;
use super::model::STEP;

/// In steps of the clock.
pub(crate) type Steps = u8;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    /// How often a FIN was asked for.
    pub(crate) fins: u8,
    /// Something was sent in the wrong order.
    pub(crate) disorder: bool,
    /// A `close_notify` was asked for.
    pub(crate) notified: bool,
    /// The outcome that the first error means that the driver was told, or that was known before.
    pub(crate) failure: Option<Outcome>,
    /// Something other than the two ends has ended the connection, or the close: the network, or the server.
    pub(crate) ended_by_others: bool,
    /// When a write last went on; the start, or the end of the peer's turn, before any.
    pub(crate) wrote_at: Steps,
    /// When everything was written and waits to be acknowledged, and when more of it last was.
    pub(crate) acked_at: Steps,
    /// When the FIN was sent.
    pub(crate) fin_at: Option<Steps>,
    /// When something of the peer last arrived.
    pub(crate) arrived_at: Steps,
    /// Bytes that were drained.
    pub(crate) drained: u64,
    /// The shutdown's deadline.
    pub(crate) shutdown_by: Option<Steps>,
    pub(crate) end: Option<Ending>,
}

/// What there was to see when the socket was released.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ending {
    pub(crate) report: CloseReport,
    pub(crate) at: Steps,
    /// A bound was reached, or something from outside ended the close early.
    pub(crate) excused: bool,
    /// A late event changed the report.
    pub(crate) reports_again: bool,
    /// Something was still to be done, or to be waited for.
    pub(crate) goes_on: bool,
    /// Units of the response that were handed to the kernel.
    pub(crate) written: u8,
}

impl Seen {
    /// Whether a lingering close may stop now, as the policy's bounds and the server have it.
    pub(crate) fn may_stop(&self, server: &End, configuration: &Configuration, now: Steps) -> bool {
        let policy = &configuration.policy;
        let since = |at: Steps| now.saturating_sub(at);
        let decided = configuration.is_cut_by(CutShownBy::Reset)
            || self.ended_by_others
            || self.failure.is_some()
            || self.shutdown_by.is_some_and(|by| now >= by);
        if decided {
            return true;
        }
        match self.fin_at {
            Some(fin_at) => {
                let quiet = since(fin_at.max(self.arrived_at));
                let allowed = policy.drain_min_rate().is_some_and(|(bytes_per_second, grace)| {
                    let bytes = u32::try_from(self.drained).unwrap_or(u32::MAX);
                    let rate = u32::try_from(bytes_per_second).unwrap_or(u32::MAX);
                    STEP * u32::from(since(fin_at)) >= grace + Duration::from_secs(1) * bytes / rate
                });
                since(fin_at) >= steps(policy.drain_limit())
                    || quiet >= steps(policy.drain_idle_timeout())
                    || self.drained >= policy.drain_limit_bytes()
                    || allowed
            }
            // A late reset waits for as long as a drain may take, and for acknowledgements as long as a
            // write may.
            None if configuration.is_cut_by(CutShownBy::LateReset)
                && server.sent >= configuration.response =>
            {
                since(self.acked_at.max(self.wrote_at)) >= steps(policy.flush_idle_timeout())
                    || since(self.wrote_at) >= steps(policy.drain_limit())
                    || self.drained >= policy.drain_limit_bytes()
            }
            None => {
                since(self.wrote_at) >= steps(policy.flush_idle_timeout())
                    || now >= steps(policy.flush_limit())
            }
        }
    }
}

/// A duration in steps, rounded up.
pub(crate) fn steps(time: Duration) -> Steps {
    u8::try_from(time.as_nanos().div_ceil(STEP.as_nanos())).unwrap_or(u8::MAX)
}
