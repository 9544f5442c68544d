//! The close itself: one event in, the next action and timeout out.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::budget::{Budget, Expired};
use crate::outcome::{Failure, Outcome, Release};
use crate::phase::{Action, Alert, Cut, CutShownBy, Event, Notified, Phase, Start};
use crate::policy::ClosePolicy;
use crate::rare::{Rare, SessionRead, Settling};
use crate::report::CloseReport;

/// Decides the lingering close of one connection.
///
/// The driver asks for the [`action`](Self::action), performs it, answers with [`handle`](Self::handle), and
/// wakes up again at [`next_timeout`](Self::next_timeout) to hand in an [`Event::Tick`]. When there is no
/// action left, [`report`](Self::report) has the result and says how to release the socket.
///
/// What always holds, whatever events come (`tests/model.rs` checks it): the close ends by its deadline, at
/// most
/// `drain_limit_bytes` are drained, at most one FIN is asked for and never before the `close_notify`, and the
/// first failure is the one reported.
#[derive(Debug, Clone)]
pub struct CloseMachine {
    /// Shared: it is most of what a close would hold.
    policy: Arc<ClosePolicy>,
    start: Start,
    phase: Phase,
    entered_at: Instant,
    /// In nanoseconds, which reach for centuries.
    times: [u64; 6],
    budget: Budget,
    /// Apart, since few closes need any of it.
    rare: Option<Box<Rare>>,
    /// Whether the peer's FIN was read before ours was sent.
    peer_fin: bool,
    sent: Notified,
    drained: u64,
    /// Whether every byte counts again: the peer of a flood has become slow, or the transport cannot gather.
    gathers_no_more: bool,
    outcome: Option<Outcome>,
    ended_in: Phase,
}

/// Longest wait for acknowledgements where the system cannot tell of them.
const BLIND_SETTLE: Duration = Duration::from_secs(1);

/// What a connection that is cut by a shutdown's deadline gets beyond it, so that what was sent can arrive.
const CUT_GRACE: Duration = Duration::from_millis(500);

/// Most bytes that one call may discard, so that one fast peer does not keep the thread from others.
const CALL_LIMIT: u64 = 1 << 20;

/// A peer that has sent this much while it was drained is not about to stop: its bytes are gathered from then
/// on, which cuts its CPU cost to a fifth.
const GATHERED_AFTER_BYTES: u64 = 1 << 20;

/// Worth a wake-up. The kernel holds as much, for each peer that sends so much, in its receive buffer.
const GATHERED_BYTES: NonZeroU32 = NonZeroU32::new(256 << 10).expect("it is not zero");

/// Least silence of a peer that has acknowledged everything, however short its round trips.
const SHORTEST_QUIET: Duration = Duration::from_millis(50);

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
            gathers_no_more: false,
            outcome: None,
            ended_in: Phase::Flush,
        };
        match (start.failure, machine.cut_shown_by()) {
            (Some(failure), _) if failure.is_final() => machine.finish(failure.outcome(), now),
            (_, Some(CutShownBy::Reset)) => machine.finish(Outcome::Aborted, now),
            _ => {}
        }
        machine
    }

    /// Begins again by another policy, and with another verdict on the connection. For a close of which no
    /// action was performed yet.
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

    /// The same, to begin again with.
    #[must_use]
    pub fn shared_policy(&self) -> Arc<ClosePolicy> {
        self.policy.clone()
    }

    /// Where the close stands.
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
        self.phase == Phase::Drain
            && self.policy.early_release.is_some()
            && self.rare().acknowledged.is_none()
    }

    /// When to hand in an [`Event::Tick`], unless something happens before; `None` once the close is over.
    /// It can move later with progress, and earlier only with [`Event::ShutdownBy`].
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Done {
            return None;
        }
        let session = self.session().map(|session| session.deadline);
        let ask = self.rare().settling.map(|settling| settling.ask_at);
        let others = [
            self.rare().cut_at,
            session,
            ask,
            self.settled_at(),
            self.rate_deadline(),
            self.quiet_deadline(),
        ];
        others.into_iter().flatten().chain([self.budget.next_timeout()]).min()
    }

    /// Takes one event. Those that cannot answer the current action change nothing, except that time passes.
    pub fn handle(&mut self, event: Event, now: Instant) {
        match (self.phase, event) {
            (Phase::Done, _) => return,
            (_, Event::Failed(failure)) => self.fail(failure, now),
            (_, Event::Abandoned) => self.finish(Outcome::Cancelled, now),
            (_, Event::Evicted) => self.finish(Outcome::Evicted, now),
            (_, Event::ShutdownBy(deadline)) => {
                let grace = if self.cut_shown_by().is_some() { CUT_GRACE } else { Duration::ZERO };
                let deadline = deadline + grace;
                let cut_at = &mut self.rare_mut().cut_at;
                *cut_at = Some(cut_at.map_or(deadline, |earlier| earlier.min(deadline)));
            }
            (Phase::Flush | Phase::Notify | Phase::HalfClose, Event::WriteProgress) => {
                self.budget.progress(now);
            }
            (Phase::Flush, Event::Flushed) => self.flushed(now),
            (Phase::Notify, Event::Notified(sent)) => self.notified(sent, now),
            (Phase::HalfClose, Event::HalfClosed) => self.half_closed(now),
            (Phase::Settle, Event::Unacked(unacked)) => self.unacked(unacked, now),
            (Phase::Settle, Event::PeerFin) => self.peer_fin = true,
            (Phase::Settle | Phase::PeerFirst | Phase::Drain, Event::Discarded(bytes)) => {
                self.discarded(bytes, now);
            }
            (Phase::PeerFirst, Event::PeerEnded | Event::PeerFin) => {
                self.start.peer_ended |= event == Event::PeerEnded;
                self.peer_fin |= event == Event::PeerFin;
                self.end_peers_turn(now);
            }
            (Phase::Drain, Event::Acknowledged { rtt }) if self.wants_acknowledgement() => {
                let round_trips = self.policy.early_release.unwrap_or_default();
                let quiet = rtt.saturating_mul(round_trips).max(SHORTEST_QUIET);
                self.rare_mut().acknowledged = Some((now, quiet));
            }
            (Phase::Drain, Event::CannotGather) => self.gathers_no_more = true,
            (Phase::Drain, Event::PeerEnded) if self.session().is_some() => {
                self.finish(Outcome::PeerClosed { close_notify: true }, now);
            }
            (Phase::Drain, Event::PeerFin) => {
                // The peer ended its TLS data before our close began: then that end was its close_notify.
                let close_notify = self.start.peer_ended && self.sent.includes_close_notify();
                self.finish(Outcome::PeerClosed { close_notify }, now);
            }
            _ => {}
        }
        if self.is_gathering() && self.next_timeout().is_some_and(|timeout| timeout <= now) {
            // What has come and was not worth a wake-up counts first: the driver reads it now.
            self.gathers_no_more = true;
            return;
        }
        self.expire(now);
    }

    /// The result, once there is one.
    #[must_use]
    pub fn report(&self) -> Option<CloseReport> {
        let outcome = self.outcome?;
        // What was left in our own buffers is lost, so the response is cut short whatever we do now; a FIN
        // behind it would make it look whole where its end is the close (RFC 9112 §6.3).
        let alive =
            !outcome.is_connection_over() || self.start.failure.is_some_and(|failure| !failure.is_final());
        let cut_short = self.ended_in == Phase::Flush && alive;
        let by_reset = match self.cut_shown_by() {
            Some(CutShownBy::LateReset | CutShownBy::Reset) => !outcome.is_connection_over(),
            Some(CutShownBy::Framing) | None => false,
        };
        let release = match outcome {
            _ if cut_short || by_reset => Release::Abort,
            _ if outcome.is_limit() => self.policy.at_limit,
            _ => Release::Close,
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

    fn flushed(&mut self, now: Instant) {
        match self.start.half_closed {
            Some(sent) => self.notified_and_closed(sent, now),
            None if !self.policy.half_closes => {
                self.enter(Phase::Notify, now);
                self.finish(Outcome::LeftOpen, now);
            }
            None if self.cut_shown_by() == Some(CutShownBy::LateReset) => {
                self.enter(Phase::Settle, now);
                let limit = self.policy.drain_limit;
                self.budget = Budget::new(limit, self.policy.flush_idle_timeout.min(limit), now);
                self.rare_mut().settling = Some(Settling::new(now));
            }
            None if self.start.fatal_alert.is_some() || self.cut_shown_by().is_some() => {
                self.enter(Phase::HalfClose, now);
            }
            None if self.policy.peer_closes_first.is_some() && !self.start.peer_ended => {
                self.enter(Phase::PeerFirst, now);
                let grace = self.policy.peer_closes_first.unwrap_or_default();
                self.budget = Budget::new(grace, grace, now);
            }
            None => self.enter(Phase::Notify, now),
        }
    }

    /// The system was asked for what is not acknowledged.
    fn unacked(&mut self, unacked: Option<u64>, now: Instant) {
        let acknowledged = match unacked {
            Some(bytes) => bytes == 0,
            None => now.saturating_duration_since(self.entered_at) >= BLIND_SETTLE,
        };
        let Some(settling) = &mut self.rare_mut().settling else { return };
        let progress = unacked < settling.unacked;
        settling.unacked = unacked;
        if acknowledged {
            settling.acknowledged_at.get_or_insert(now);
        } else if progress {
            self.budget.progress(now);
        }
    }

    /// The peer closed first, or had its chance.
    fn end_peers_turn(&mut self, now: Instant) {
        self.enter(Phase::Notify, now);
        self.budget = Budget::new(self.policy.flush_limit, self.policy.flush_idle_timeout, now);
    }

    fn notified(&mut self, sent: Notified, now: Instant) {
        match sent {
            Notified::CloseNotifyAndFin => self.notified_and_closed(sent, now),
            Notified::Nothing | Notified::CloseNotify => {
                self.sent = sent;
                self.enter(Phase::HalfClose, now);
            }
        }
    }

    fn notified_and_closed(&mut self, sent: Notified, now: Instant) {
        self.sent = sent;
        self.half_closed(now);
    }

    fn half_closed(&mut self, now: Instant) {
        self.enter(Phase::Drain, now);
        self.budget = Budget::new(self.policy.drain_limit, self.policy.drain_idle_timeout, now);
        if self.peer_fin {
            return self.finish(Outcome::PeerClosed { close_notify: false }, now);
        }
        if !self.policy.drains {
            return self.finish(Outcome::Undrained, now);
        }
        if self.bytes_left() == 0 {
            return self.finish(Outcome::DrainLimit, now);
        }
        let Some(wait) = self.policy.await_close_notify.filter(|_| self.sent.includes_close_notify()) else {
            return;
        };
        if self.start.peer_ended {
            self.finish(Outcome::PeerClosed { close_notify: true }, now);
        } else {
            let read = SessionRead { deadline: now + wait.limit, left: wait.limit_bytes };
            self.rare_mut().session = Some(read);
        }
    }

    fn discarded(&mut self, bytes: usize, now: Instant) {
        self.drained = self.drained.saturating_add(bytes as u64);
        match self.rare.as_mut().and_then(|rare| rare.settling.as_mut()) {
            Some(settling) => settling.last_byte_at = now,
            None => self.budget.progress(now),
        }
        if let Some(rare) = &mut self.rare {
            if let Some(session) = &mut rare.session {
                session.left = session.left.saturating_sub(bytes as u64);
            }
            rare.session.take_if(|session| session.left == 0);
        }
        match self.phase {
            _ if self.bytes_left() > 0 => {}
            Phase::PeerFirst => self.end_peers_turn(now),
            // Nothing more is read; what was sent may still arrive.
            Phase::Settle => {}
            _ => self.finish(Outcome::DrainLimit, now),
        }
    }

    fn fail(&mut self, failure: Failure, now: Instant) {
        let first = *self.start.failure.get_or_insert(failure);
        // A session that is broken refuses to flush, but its alert is out or goes out with the half-close,
        // and the client has yet to read it.
        if self.start.fatal_alert.is_some() && !failure.is_final() && self.phase == Phase::Flush {
            return self.flushed(now);
        }
        // A record that makes no sense ends the session, not the connection.
        if self.phase == Phase::Drain && !failure.is_final() && self.session().is_some() {
            self.rare_mut().session = None;
            return;
        }
        if self.phase == Phase::PeerFirst && !failure.is_final() {
            // If it was the peer's alert, nothing may follow it. If it is ours, it went out with the read
            // that failed. Either way the session has nothing more to say.
            self.start.fatal_alert = Some(Alert::Received);
            self.enter(Phase::HalfClose, now);
            self.budget = Budget::new(self.policy.flush_limit, self.policy.flush_idle_timeout, now);
            return;
        }
        // An earlier failure that was not final did not end the connection; this one does.
        let outcome = if first.is_final() { first.outcome() } else { failure.outcome() };
        self.finish(outcome, now);
    }

    /// Ends the close, or the wait for the peer's `close_notify`, where time ran out.
    fn expire(&mut self, now: Instant) {
        if self.phase == Phase::Done {
            return;
        }
        if self.rare().cut_at.is_some_and(|cut_at| now >= cut_at) {
            return self.finish(Outcome::ShutdownCut, now);
        }
        if let Some(rare) = &mut self.rare {
            rare.session.take_if(|session| now >= session.deadline);
            if let Some(settling) = rare.settling.as_mut().filter(|settling| now >= settling.ask_at) {
                settling.ask_later(now);
            }
        }
        if self.settled_at().is_some_and(|settled_at| now >= settled_at) {
            return self.finish(Outcome::Acknowledged, now);
        }
        if self.rate_deadline().is_some_and(|deadline| now >= deadline) {
            return self.finish(Outcome::DrainRate, now);
        }
        if self.quiet_deadline().is_some_and(|deadline| now >= deadline) {
            return self.finish(Outcome::Acknowledged, now);
        }
        match self.budget.expired(now) {
            None => {}
            Some(_) if self.phase == Phase::Settle => self.finish(Outcome::Acknowledged, now),
            Some(_) if self.phase == Phase::PeerFirst => self.end_peers_turn(now),
            Some(_) if self.phase != Phase::Drain => self.finish(Outcome::FlushTimeout, now),
            Some(Expired::Total) => self.finish(Outcome::DrainDeadline, now),
            Some(Expired::Idle) => self.finish(Outcome::DrainIdle, now),
        }
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

    /// When a reset takes nothing away: a peer that is still sending has not begun to read.
    fn settled_at(&self) -> Option<Instant> {
        let settling = self.rare().settling.filter(|_| self.phase == Phase::Settle)?;
        Some(settling.acknowledged_at?.max(settling.last_byte_at) + SHORTEST_QUIET)
    }

    /// When a peer that has acknowledged everything has been quiet for long enough.
    fn quiet_deadline(&self) -> Option<Instant> {
        let (acknowledged_at, quiet) = self.rare().acknowledged?;
        // A round trip of hours is beyond the drain's deadline anyway.
        acknowledged_at.max(self.budget.progress_at()).checked_add(quiet)
    }

    /// When a peer that has sent this much, and no more, is too slow.
    fn rate_deadline(&self) -> Option<Instant> {
        let rate = self.policy.drain_min_rate.filter(|_| self.phase == Phase::Drain)?;
        let from = self.entered_at + rate.grace;
        let nanos = u128::from(self.drained) * 1_000_000_000 / u128::from(rate.bytes_per_second);
        // More than centuries is beyond the drain's deadline anyway.
        Some(from + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
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

    /// Whether the peer's bytes wait in the kernel until there are a lot of them.
    fn is_gathering(&self) -> bool {
        let may_gather = self.drained >= GATHERED_AFTER_BYTES && !self.gathers_no_more;
        may_gather && self.phase == Phase::Drain && self.session().is_none()
    }

    fn wake_at(&self) -> NonZeroU32 {
        if self.is_gathering() { GATHERED_BYTES } else { NonZeroU32::MIN }
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
