//! Policies, starts, and what peer, network and server may do in each of them.

use std::io;
use std::time::Instant;

use linger_proto::{
    Alert, ClosePolicy, ClosePolicyBuilder, Cut, CutShownBy, Failure, Notified, Outcome, Release, Requests,
    Start,
};

use super::connection::Cause;
use super::model::STEP;

/// One close to be checked, with everything that may happen to it.
#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    pub(crate) name: &'static str,
    pub(crate) policy: ClosePolicy,
    pub(crate) start: Start,
    /// What the transport does when it is to notify the peer.
    pub(crate) session: Notified,
    /// Units of the response, and how many of them the kernel has when the close begins.
    pub(crate) response: u8,
    pub(crate) written: u8,
    /// Nothing but the connection's end shows where the response ends.
    pub(crate) is_close_delimited: bool,
    /// Most units that the peer sends, besides its `close_notify`.
    pub(crate) upload: u8,
    /// The first of them is a MiB, after which the machine gathers.
    pub(crate) begins_with_a_flood: bool,
    /// Whether the transport can gather.
    pub(crate) gathers: bool,
    pub(crate) may: Vec<May>,
    /// The outcomes that it must come to.
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) began: Instant,
}

/// What may happen besides: that the peer sends its upload and reads the response, and that the network
/// takes its time. Each may also stop at any time, and so be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    /// The peer sends its FIN, and goes on reading.
    HalfClose,
    /// The peer sends its `close_notify`.
    SendNotify,
    /// The last unit of the upload is a record without sense.
    SendGarbage,
    /// Data follows the peer's `close_notify`, which RFC 8446 §6.1 has us ignore.
    SendAfterNotify,
    /// The peer closes before it has seen the end of the response, with a reset if something is unread.
    GiveUp,
    /// No time passes while the peer has something to send or to read, or something of it is on its way:
    /// what an early release and a late reset rely on.
    BePrompt,
    /// A middlebox sends resets to either side.
    ForgeResets,
    /// An ICMP error ends the connection.
    SendIcmp,
    /// The kernel gives up.
    TimeOut,
    /// Somebody destroys the server's socket.
    DestroyTheSocket,
    /// The server's TLS session fails while it has bytes to write.
    BreakTheSession,
    Evict,
    Abandon,
    ShutDown,
}

impl Configuration {
    pub(crate) fn may(&self, what: May) -> bool {
        self.may.contains(&what)
    }

    pub(crate) fn reaches(&self, outcome: Outcome) -> bool {
        self.outcomes.iter().any(|reached| reached.as_str() == outcome.as_str())
    }

    pub(crate) fn is_cut_by(&self, shown_by: CutShownBy) -> bool {
        self.start.half_closed.is_none() && self.start.cut.is_some_and(|cut| cut.shown_by == shown_by)
    }

    pub(crate) fn is_broken_from_the_start(&self) -> bool {
        self.start.fatal_alert.is_some()
    }

    pub(crate) fn unit_bytes(&self, unit: u8) -> u64 {
        if self.begins_with_a_flood && unit == 0 { 1 << 20 } else { 1 }
    }

    /// A plain connection by a policy with the options' defaults and times of one and two steps.
    pub(crate) fn plain(name: &'static str, units: u8) -> Self {
        use Outcome as O;
        Self {
            name,
            policy: built(policy()),
            start: Start::default(),
            session: Notified::Nothing,
            response: units,
            written: 0,
            is_close_delimited: false,
            upload: units,
            begins_with_a_flood: false,
            gathers: true,
            may: vec![May::HalfClose, May::GiveUp],
            outcomes: vec![CLOSED, O::PeerReset, O::FlushTimeout, O::DrainIdle, O::DrainDeadline],
            began: Instant::now(),
        }
    }

    fn tls(name: &'static str, units: u8) -> Self {
        let mut configuration = Self { session: Notified::CloseNotifyAndFin, ..Self::plain(name, units) };
        configuration.may.push(May::SendNotify);
        configuration
    }

    fn also(mut self, may: &[May], outcomes: &[Outcome]) -> Self {
        self.may.extend(may);
        self.outcomes.extend(outcomes);
        self
    }

    fn cannot(mut self, what: May) -> Self {
        self.may.retain(|may| *may != what);
        self
    }

    fn never(mut self, outcomes: &[Outcome]) -> Self {
        self.outcomes.retain(|outcome| !outcomes.contains(outcome));
        self
    }
}

const CLOSED: Outcome = Outcome::PeerClosed { close_notify: false };

/// The default policy's options, and times that are short, so that the clock has few steps.
pub(crate) fn policy() -> ClosePolicyBuilder {
    ClosePolicy::builder()
        .flush_idle_timeout(STEP)
        .flush_limit(2 * STEP)
        .drain_idle_timeout(STEP)
        .drain_limit(2 * STEP)
}

pub(crate) fn built(builder: ClosePolicyBuilder) -> ClosePolicy {
    builder.build().expect("the settings make sense")
}

/// Every configuration. Response and upload have so many units.
pub(crate) fn all(units: u8) -> Vec<Configuration> {
    let mut all = ordinary(units);
    all.extend(cut(units));
    all.extend(from_outside(units));
    all.extend(options(units));
    all
}

fn ordinary(units: u8) -> Vec<Configuration> {
    use Outcome as O;
    let plain = |name| Configuration::plain(name, units);
    let tls = |name| Configuration::tls(name, units);
    let mut done = Start::default();
    done.requests = Requests::Over;
    let mut read = Start::default();
    read.requests = Requests::Read { sent_for_ms: 0 };
    let silent = built(policy().drain_idle_timeout(9 * STEP).drain_limit(10 * STEP));
    vec![
        plain("plain"),
        tls("TLS, close_notify and FIN together"),
        Configuration { session: Notified::CloseNotify, ..tls("TLS, FIN after close_notify") },
        Configuration { start: done, upload: 0, ..plain("plain, and the peer is done") }
            .never(&[CLOSED, O::DrainIdle, O::DrainDeadline])
            .also(&[], &[O::PeerDone]),
        Configuration { start: done, upload: 0, policy: silent, ..tls("TLS, and the peer is done") }
            .never(&[O::DrainDeadline])
            .also(&[May::BePrompt], &[O::Acknowledged]),
        Configuration { start: read, upload: 0, policy: silent, ..plain("plain, and the request was read") }
            .never(&[O::DrainDeadline])
            .also(&[], &[O::Acknowledged]),
        Configuration { start: read, policy: silent, ..plain("the request was read, and the peer sends on") }
            .never(&[O::DrainDeadline])
            .also(&[May::BePrompt], &[O::Acknowledged]),
        Configuration { is_close_delimited: true, ..plain("delimited by the close") }
            .also(&[May::BreakTheSession], &[O::Failed]),
    ]
}

/// Connections that are cut, or that were over in part before their close began.
fn cut(units: u8) -> Vec<Configuration> {
    use Outcome as O;
    let plain = |name| Configuration::plain(name, units);
    let tls = |name| Configuration::tls(name, units);
    let cut_by = |shown_by| {
        let mut start = Start::default();
        start.cut = Some(Cut { shown_by, outcome: Some(O::Aborted) });
        start
    };
    let ends_as_cut = [CLOSED, O::DrainIdle, O::DrainDeadline];
    let mut alert = Start::default();
    alert.fatal_alert = Some(Alert::Sent);
    alert.failure = Some(Failure::from_kind(io::ErrorKind::InvalidData));
    let mut half_closed = Start::default();
    half_closed.half_closed = Some(Notified::CloseNotifyAndFin);
    let mut reset = Start::default();
    reset.failure = Some(Failure::from(&io::Error::from_raw_os_error(Cause::Reset.errno())));
    vec![
        Configuration { start: cut_by(CutShownBy::Framing), ..tls("cut, as its framing shows") }
            .never(&ends_as_cut)
            .also(&[], &[O::Aborted]),
        Configuration {
            start: cut_by(CutShownBy::LateReset),
            policy: built(policy().flush_idle_timeout(2 * STEP)),
            is_close_delimited: true,
            ..plain("cut, which a late reset shows")
        }
        .never(&ends_as_cut)
        .also(&[May::BePrompt, May::BreakTheSession], &[O::Aborted, O::Failed]),
        Configuration {
            start: cut_by(CutShownBy::Reset),
            is_close_delimited: true,
            outcomes: vec![O::Aborted],
            ..plain("cut, by a reset at once")
        },
        Configuration {
            start: alert,
            session: Notified::CloseNotify,
            written: units,
            ..tls("a fatal alert was sent")
        }
        .never(&[O::FlushTimeout]),
        Configuration { start: half_closed, written: units, ..tls("half-closed while it was served") }
            .never(&[O::FlushTimeout]),
        Configuration { start: reset, outcomes: vec![O::PeerReset], ..plain("reset while it was served") },
    ]
}

fn from_outside(units: u8) -> Vec<Configuration> {
    use Outcome as O;
    let plain = |name| Configuration::plain(name, units);
    let network = [May::ForgeResets, May::SendIcmp, May::TimeOut, May::DestroyTheSocket];
    vec![
        plain("evicted, abandoned, shut down")
            .also(&[May::Evict, May::Abandon, May::ShutDown], &[O::Evicted, O::Cancelled, O::ShutdownCut]),
        plain("forged resets, ICMP, kernel timeout")
            .cannot(May::GiveUp)
            .also(&network, &[O::Unreachable, O::KernelTimeout, O::LocalAbort]),
    ]
}

fn options(units: u8) -> Vec<Configuration> {
    use Outcome as O;
    let plain = |name| Configuration::plain(name, units);
    let tls = |name| Configuration::tls(name, units);
    let quiet = policy().drain_idle_timeout(3 * STEP).drain_limit(4 * STEP);
    vec![
        Configuration { policy: built(policy().await_close_notify(STEP, 2)), ..tls("await_close_notify") }
            .also(&[May::SendGarbage], &[]),
        Configuration {
            policy: built(policy().peer_closes_first(STEP)),
            session: Notified::CloseNotify,
            ..tls("peer_closes_first")
        }
        .cannot(May::GiveUp)
        .never(&[O::PeerReset])
        .also(&[May::SendGarbage, May::SendAfterNotify], &[]),
        Configuration { policy: built(quiet.early_release(4)), ..plain("early_release") }
            .never(&[O::DrainDeadline])
            .also(&[May::BePrompt], &[O::Acknowledged]),
        Configuration {
            policy: built(policy().drain_limit_bytes(1).at_limit(Release::Abort)),
            ..plain("drain_limit_bytes, at_limit")
        }
        .never(&[O::DrainDeadline])
        .also(&[], &[O::DrainLimit]),
        Configuration { policy: built(policy().drain_min_rate(20, STEP)), ..plain("drain_min_rate") }
            .never(&[O::DrainDeadline])
            .also(&[], &[O::DrainRate]),
        Configuration { begins_with_a_flood: true, ..plain("a flood, gathered") },
        Configuration { begins_with_a_flood: true, gathers: false, ..plain("a flood, not gathered") },
        Configuration { policy: built(policy().without_half_close()), ..plain("without_half_close") }
            .never(&[CLOSED, O::DrainIdle, O::DrainDeadline])
            .also(&[], &[O::LeftOpen]),
        Configuration {
            policy: built(policy().without_drain()),
            upload: 0,
            ..plain("without_drain, no upload")
        }
        .never(&[CLOSED, O::DrainIdle, O::DrainDeadline])
        .also(&[], &[O::Undrained]),
    ]
}

/// What servers without this library do: the socket is closed right after the FIN, while the peer may be
/// uploading.
pub(crate) fn bare(units: u8) -> Configuration {
    let policy = built(policy().without_drain());
    Configuration {
        policy,
        outcomes: vec![Outcome::Undrained],
        ..Configuration::plain("a bare close", units)
    }
}
