//! What each event does: it leads to the next phase or ends the close, or it changes nothing.

use std::time::{Duration, Instant};

use super::deadlines::SHORTEST_QUIET;
use super::{CloseMachine, Early};
use crate::budget::Budget;
use crate::outcome::{Failure, Outcome};
use crate::phase::{Alert, CutShownBy, Event, Notified, Phase, Requests};
use crate::rare::{SessionRead, Settling};

/// Longest wait for acknowledgements where the system cannot tell of them.
const BLIND_SETTLE: Duration = Duration::from_secs(1);

/// How many more round trips a silent peer gets that has acknowledged everything.
const QUIET_ROUND_TRIPS: u32 = 3;

/// What a connection that is cut by a shutdown's deadline gets beyond it, so that what was sent can arrive.
const CUT_GRACE: Duration = Duration::from_millis(500);

impl CloseMachine {
    /// Takes one event of a close that is not over.
    pub(super) fn step(&mut self, event: Event, now: Instant) {
        let phase = self.phase;
        self.note_progress(event, now);
        match event {
            Event::Flushed if phase == Phase::Flush => self.flushed(now),
            Event::Notified(sent) if phase == Phase::Notify => self.notified(sent, now),
            Event::HalfClosed if phase == Phase::HalfClose => self.half_closed(now),
            Event::Discarded(bytes) => self.discarded(bytes, now),
            Event::CannotGather => self.cannot_gather(),
            Event::Unacked(unacked) => self.unacked(unacked, now),
            Event::Acknowledged { rtt } if self.wants_acknowledgement() => self.acknowledged(rtt, now),
            Event::PeerEnded => self.peer_ended(now),
            Event::PeerFin => self.peer_closed(now),
            Event::Failed(failure) => self.fail(failure, now),
            Event::ShutdownBy(deadline) => self.shorten(deadline),
            Event::Evicted => self.finish(Outcome::Evicted, now),
            Event::Abandoned => self.finish(Outcome::Cancelled, now),
            // Only time has passed, or the event does not answer the current action.
            Event::Tick
            | Event::WriteProgress
            | Event::Flushed
            | Event::Notified(_)
            | Event::HalfClosed
            | Event::Acknowledged { .. } => {}
        }
    }

    /// The end of a write is progress as well: the next one has the whole idle timeout.
    fn note_progress(&mut self, event: Event, now: Instant) {
        match (self.phase, event) {
            (Phase::Flush | Phase::Notify | Phase::HalfClose, Event::WriteProgress)
            | (Phase::Flush, Event::Flushed)
            | (Phase::Notify, Event::Notified(_)) => self.budget.progress(now),
            _ => {}
        }
    }

    fn flushed(&mut self, now: Instant) {
        match self.start.half_closed {
            Some(sent) => self.notified_and_closed(sent, now),
            None if self.policy.without_half_close => {
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

    /// The system said how many bytes are not acknowledged, or that it cannot tell.
    fn unacked(&mut self, unacked: Option<u64>, now: Instant) {
        let acknowledged = match unacked {
            Some(bytes) => bytes == 0,
            None => now.saturating_duration_since(self.entered_at) >= BLIND_SETTLE,
        };
        // It is there in the phase `settle` only.
        let Some(settling) = self.rare.as_mut().and_then(|rare| rare.settling.as_mut()) else { return };
        let progress = unacked < settling.unacked;
        settling.unacked = unacked;
        if acknowledged {
            settling.acknowledged_at.get_or_insert(now);
        } else if progress {
            self.budget.progress(now);
        }
    }

    /// The peer closed first, or its time to do so is over.
    pub(super) fn end_peers_turn(&mut self, now: Instant) {
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
        if self.policy.without_drain {
            return self.finish(Outcome::Undrained, now);
        }
        if self.start.requests == Requests::Over && self.ends_without_a_session() {
            return self.finish(Outcome::PeerDone, now);
        }
        if self.bytes_left() == 0 {
            return self.finish(Outcome::DrainLimit, now);
        }
        self.early = match (self.policy.early_release, self.start.requests) {
            (Some(_), _) => Early::Soon,
            (None, Requests::Read { .. } | Requests::Over) => Early::IfSilent,
            (None, Requests::Unknown) => Early::Never,
        };
        let can_come = self.sent.includes_close_notify() && !self.start.ends_with_notify;
        let Some((limit, limit_bytes)) = self.policy.await_close_notify.filter(|_| can_come) else { return };
        if self.start.peer_ended {
            self.finish(Outcome::PeerClosed { close_notify: true }, now);
        } else {
            let read = SessionRead { deadline: now + limit, left: limit_bytes };
            self.rare_mut().session = Some(read);
        }
    }

    /// A session's peer answers our end with an alert of its own, which a released socket would meet with a
    /// RST. Only an end that is whole shows that there is none.
    fn ends_without_a_session(&self) -> bool {
        let is_whole = self.start.cut.is_none() && self.start.fatal_alert.is_none();
        is_whole && !self.sent.includes_close_notify()
    }

    fn discarded(&mut self, bytes: usize, now: Instant) {
        match self.phase {
            Phase::Settle | Phase::PeerFirst | Phase::Drain => {}
            Phase::Flush | Phase::Notify | Phase::HalfClose | Phase::Done => return,
        }
        self.drained = self.drained.saturating_add(bytes as u64);
        if self.policy.early_release.is_none() {
            // It sends after all.
            self.early = Early::Never;
            if let Some(rare) = &mut self.rare {
                rare.acknowledged = None;
            }
        }
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
        if self.bytes_left() == 0 {
            match self.phase {
                Phase::PeerFirst => self.end_peers_turn(now),
                Phase::Drain => self.finish(Outcome::DrainLimit, now),
                // Nothing more is read; what was sent may still arrive.
                Phase::Settle | Phase::Flush | Phase::Notify | Phase::HalfClose | Phase::Done => {}
            }
        }
    }

    fn acknowledged(&mut self, rtt: Duration, now: Instant) {
        let round_trips = self.policy.early_release.unwrap_or(QUIET_ROUND_TRIPS);
        let quiet = rtt.saturating_mul(round_trips).max(SHORTEST_QUIET);
        self.rare_mut().acknowledged = Some((now, quiet));
    }

    /// The peer ended its data, as seen through the stream.
    fn peer_ended(&mut self, now: Instant) {
        if self.phase == Phase::PeerFirst {
            self.start.peer_ended = true;
            self.end_peers_turn(now);
        } else if self.phase == Phase::Drain && self.session().is_some() {
            self.finish(Outcome::PeerClosed { close_notify: true }, now);
        }
    }

    fn peer_closed(&mut self, now: Instant) {
        match self.phase {
            Phase::Settle => self.peer_fin = true,
            Phase::PeerFirst => {
                self.peer_fin = true;
                self.end_peers_turn(now);
            }
            Phase::Drain => {
                // The peer ended its TLS data before our close began: that was its close_notify.
                let close_notify = self.start.peer_ended && self.sent.includes_close_notify();
                self.finish(Outcome::PeerClosed { close_notify }, now);
            }
            Phase::Flush | Phase::Notify | Phase::HalfClose | Phase::Done => {}
        }
    }

    /// The server's shutdown has this deadline. It only ever moves earlier.
    fn shorten(&mut self, deadline: Instant) {
        let grace = if self.cut_shown_by().is_some() { CUT_GRACE } else { Duration::ZERO };
        // What is later than any clock can tell needs no grace.
        let deadline = deadline.checked_add(grace).unwrap_or(deadline);
        let cut_at = &mut self.rare_mut().cut_at;
        *cut_at = Some(cut_at.map_or(deadline, |earlier| earlier.min(deadline)));
    }

    fn fail(&mut self, failure: Failure, now: Instant) {
        let first = *self.start.failure.get_or_insert(failure);
        // A broken session refuses to flush. Its alert has been sent, or goes out with the half-close, and
        // the client has yet to read it.
        if self.start.fatal_alert.is_some() && !failure.is_final() && self.phase == Phase::Flush {
            return self.flushed(now);
        }
        // A record that cannot be decoded ends the session, not the connection. The peer has sent something.
        if self.phase == Phase::Drain && !failure.is_final() && self.session().is_some() {
            self.rare_mut().session = None;
            self.budget.progress(now);
            return;
        }
        if self.phase == Phase::PeerFirst && !failure.is_final() {
            // Nothing may follow the peer's alert, and our own went out with the read that failed. Either way
            // the session sends nothing more.
            self.start.fatal_alert = Some(Alert::Received);
            self.enter(Phase::HalfClose, now);
            self.budget = Budget::new(self.policy.flush_limit, self.policy.flush_idle_timeout, now);
            return;
        }
        // An earlier failure that was not final did not end the connection; this one does.
        let outcome = if first.is_final() { first.outcome() } else { failure.outcome() };
        self.finish(outcome, now);
    }
}
