//! The close itself: one event in, the next action and timeout out.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::budget::Budget;
use crate::outcome::{Failure, Outcome, Release};
use crate::phase::{Action, Alert, Cut, CutShownBy, Event, Notified, Phase, Start};
use crate::policy::ClosePolicy;
use crate::rare::{Rare, SessionRead};
use crate::report::CloseReport;

mod deadlines;
mod gathering;
mod steps;

/// Decides the lingering close of one connection.
///
/// The driver asks for the [`action`](Self::action), performs it, answers with [`handle`](Self::handle), and
/// wakes up again at [`next_timeout`](Self::next_timeout) to hand in an [`Event::Tick`]. When there is no
/// action left, [`report`](Self::report) has the result and says how to release the socket.
///
/// Whatever events come, the close ends by its deadline, at most `drain_limit_bytes` are drained, at most one
/// FIN is asked for and never before the `close_notify`, and the first failure is the one reported.
/// `tests/model/` checks that.
///
/// # Silent peers
///
/// A peer whose last request was read to its end ([`Requests`](crate::Requests)) is not uploading. Many such
/// peers stay silent after our FIN and do not close: pools that do not watch their connections. If nothing
/// comes for twice as long as its last request took, and at least 300 ms, the driver is asked whether
/// everything is acknowledged ([`wants_acknowledgement`](Self::wants_acknowledgement)). If so, and if the
/// peer stays silent for three more round trips, and at least 50 ms, the socket is released, as with
/// [`early_release`](crate::ClosePolicyBuilder::early_release). A single byte ends this: then the drain goes
/// on to its bounds. The response is in the peer's kernel by then. A peer loses it only if it sends something
/// before it reads, after all that silence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CloseMachine {
    /// Shared, since it is larger than everything else here.
    policy: Arc<ClosePolicy>,
    start: Start,
    phase: Phase,
    entered_at: Instant,
    /// Time spent in each phase, in nanoseconds; that overflows after centuries.
    times: [u64; 6],
    budget: Budget,
    /// Boxed, since few closes need any of it.
    rare: Option<Box<Rare>>,
    /// Whether the peer's FIN was read before ours was sent.
    peer_fin: bool,
    sent: Notified,
    drained: u64,
    /// Whether the driver has to say that everything is acknowledged.
    early: Early,
    /// Whether every byte counts again: the peer of a flood has become slow, or the transport cannot gather.
    gathers_no_more: bool,
    outcome: Option<Outcome>,
    ended_in: Phase,
}

/// Whether the socket may be released before the peer's end of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Early {
    Never,
    /// If the peer is silent until then.
    IfSilent,
    /// Once everything is acknowledged.
    Soon,
}

/// Most bytes that one call may discard, so that one fast peer does not keep the thread from others.
const CALL_LIMIT: u64 = 1 << 20;

impl CloseMachine {
    /// Begins the close of a connection. A connection that is over already, or is to be aborted, is done at
    /// once.
    #[must_use]
    pub fn new(policy: impl Into<Arc<ClosePolicy>>, start: Start, now: Instant) -> Self {
        let policy = policy.into();
        let budget = Budget::new(policy.flush_limit, policy.flush_idle_timeout, now);
        let mut machine = Self {
            policy,
            start,
            phase: Phase::Flush,
            entered_at: now,
            times: [0; 6],
            budget,
            rare: None,
            peer_fin: false,
            sent: Notified::Nothing,
            drained: 0,
            early: Early::Never,
            gathers_no_more: false,
            outcome: None,
            ended_in: Phase::Flush,
        };
        let ended_by = start.failure.filter(|failure| failure.is_final()).map(Failure::outcome);
        match (ended_by.or(start.ended_by), machine.cut_shown_by()) {
            (Some(outcome), _) => machine.finish(outcome, now),
            (_, Some(CutShownBy::Reset)) => machine.finish(Outcome::Aborted, now),
            (_, Some(CutShownBy::Framing | CutShownBy::LateReset) | None) => {}
        }
        machine
    }

    /// Begins again with another policy and another decision on whether the connection is cut. Only for a
    /// close of which no action was performed yet.
    pub fn restart(&mut self, policy: impl Into<Arc<ClosePolicy>>, cut: Option<Cut>, now: Instant) {
        self.start.cut = cut;
        *self = Self::new(policy, self.start, now);
    }

    /// How the peer is shown that the connection is cut, if it is.
    fn cut_shown_by(&self) -> Option<CutShownBy> {
        self.start.cut.filter(|_| self.start.half_closed.is_none()).map(|cut| cut.shown_by)
    }

    /// The bounds of this close.
    #[must_use]
    pub fn policy(&self) -> &ClosePolicy {
        &self.policy
    }

    /// The same bounds, for [`restart`](Self::restart).
    #[must_use]
    pub fn shared_policy(&self) -> Arc<ClosePolicy> {
        self.policy.clone()
    }

    /// The phase that the close is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What to do next; `None` once the close is over.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        match self.phase {
            Phase::Flush => Some(Action::Flush),
            Phase::Settle if self.peer_fin => Some(Action::Settle { limit: None }),
            Phase::Settle => Some(Action::Settle { limit: call_limit(self.bytes_left()) }),
            Phase::PeerFirst => Some(Action::AwaitPeer { limit: call_limit(self.bytes_left())? }),
            Phase::Notify => Some(Action::Notify),
            Phase::HalfClose => {
                let below_session =
                    self.cut_shown_by().is_some() || self.start.fatal_alert == Some(Alert::Received);
                Some(Action::HalfClose { below_session })
            }
            Phase::Drain => Some(match self.session() {
                Some(session) => {
                    Action::AwaitPeer { limit: call_limit(session.left.min(self.bytes_left()))? }
                }
                None => Action::Discard { limit: call_limit(self.bytes_left())?, wake_at: self.wake_at() },
            }),
            Phase::Done => None,
        }
    }

    /// Whether [`Event::Acknowledged`] is of interest now.
    #[must_use]
    pub fn wants_acknowledgement(&self) -> bool {
        self.phase == Phase::Drain && self.early == Early::Soon && self.rare().acknowledged.is_none()
    }

    /// Takes one event. An event that does not answer the current action changes nothing, but time passes.
    pub fn handle(&mut self, event: Event, now: Instant) {
        if self.phase == Phase::Done {
            return;
        }
        self.step(event, now);
        self.expire(now);
    }

    /// The result, once there is one.
    #[must_use]
    pub fn report(&self) -> Option<CloseReport> {
        let outcome = self.outcome?;
        // What was left in our own buffers is lost, so the response is cut short whatever we do now. Where
        // its end is the connection's, a FIN would make it look whole (RFC 9112 §6.3).
        let alive =
            !outcome.is_connection_over() || self.start.failure.is_some_and(|failure| !failure.is_final());
        let cut_short = self.ended_in == Phase::Flush && alive;
        let by_reset = match self.cut_shown_by() {
            Some(CutShownBy::LateReset | CutShownBy::Reset) => !outcome.is_connection_over(),
            Some(CutShownBy::Framing) | None => false,
        };
        let release = if cut_short || by_reset {
            Release::Abort
        } else if outcome.is_limit() {
            self.policy.at_limit
        } else {
            Release::Close
        };
        Some(CloseReport {
            outcome,
            ended_in: self.ended_in,
            failure: self.start.failure,
            bytes_drained: self.drained,
            sent_close_notify: self.sent.includes_close_notify(),
            unacked: None,
            release,
            times: self.times.map(Duration::from_nanos),
        })
    }

    fn finish(&mut self, outcome: Outcome, now: Instant) {
        debug_assert!(self.outcome.is_none(), "a close ends once");
        let cut = self.start.cut.filter(|_| self.cut_shown_by().is_some()).and_then(|cut| cut.outcome);
        self.outcome = Some(cut.map_or(outcome, |cut| outcome.of_cut(cut)));
        self.ended_in = self.phase;
        self.enter(Phase::Done, now);
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
        debug_assert!(phase > self.phase, "phases never go back");
        let nanos = now.saturating_duration_since(self.entered_at).as_nanos();
        self.times[self.phase as usize] = u64::try_from(nanos).unwrap_or(u64::MAX);
        self.entered_at = now;
        self.phase = phase;
    }

    fn rare(&self) -> &Rare {
        self.rare.as_deref().unwrap_or(Rare::NONE)
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn session(&self) -> Option<SessionRead> {
        self.rare.as_ref().and_then(|rare| rare.session)
    }

    /// Bytes that were drained so far.
    #[must_use]
    pub fn bytes_drained(&self) -> u64 {
        self.drained
    }

    /// Bytes that may still be drained before the limit.
    #[must_use]
    pub fn bytes_left(&self) -> u64 {
        self.policy.drain_limit_bytes.saturating_sub(self.drained)
    }
}

fn call_limit(left: u64) -> Option<NonZeroUsize> {
    NonZeroUsize::new(usize::try_from(left.min(CALL_LIMIT)).unwrap_or(usize::MAX))
}
