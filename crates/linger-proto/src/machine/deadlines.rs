//! The deadlines of a close, and how it ends when one is over.

use std::time::{Duration, Instant};

use super::{CloseMachine, Early};
use crate::budget::Expired;
use crate::outcome::Outcome;
use crate::phase::{Phase, Requests};

/// Least silence of a peer that has acknowledged everything, however short its round trips.
pub(super) const SHORTEST_QUIET: Duration = Duration::from_millis(50);

/// Least silence of a peer whose last request was read. A packet of it that was lost comes again after 200 ms
/// or more (Linux's `TCP_RTO_MIN`).
const SHORTEST_SILENCE: Duration = Duration::from_millis(300);

/// How many times as long as it has sent its last request a peer has to be silent. No pause in between was
/// longer than the whole.
const PAUSES: u32 = 2;

impl CloseMachine {
    /// When to hand in an [`Event::Tick`](crate::Event::Tick), unless something happens before; `None` once
    /// the close is over. It can move later with progress, and earlier only with
    /// [`Event::ShutdownBy`](crate::Event::ShutdownBy).
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
            self.silent_at(),
            self.quiet_deadline(),
        ];
        others.into_iter().flatten().chain([self.budget.next_timeout()]).min()
    }

    /// Ends the close, the peer's turn or the wait for its `close_notify`, where time ran out.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.phase == Phase::Done || self.is_asking_for_gathered(now) {
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
        if self.silent_at().is_some_and(|silent_at| now >= silent_at) {
            self.early = Early::Soon;
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
        let Some(expired) = self.budget.expired(now) else { return };
        match self.phase {
            Phase::Flush | Phase::Notify | Phase::HalfClose => self.finish(Outcome::FlushTimeout, now),
            Phase::Settle => self.finish(Outcome::Acknowledged, now),
            Phase::PeerFirst => self.end_peers_turn(now),
            Phase::Drain => match expired {
                Expired::Total => self.finish(Outcome::DrainDeadline, now),
                Expired::Idle => self.finish(Outcome::DrainIdle, now),
            },
            Phase::Done => {}
        }
    }

    /// When a reset takes nothing away from the peer: it has acknowledged everything, and has been quiet
    /// since, because a peer that is still sending may not have begun to read.
    fn settled_at(&self) -> Option<Instant> {
        let settling = self.rare().settling.filter(|_| self.phase == Phase::Settle)?;
        Some(settling.acknowledged_at?.max(settling.last_byte_at) + SHORTEST_QUIET)
    }

    /// When a peer whose last request was read has been silent for long enough to be asked about.
    fn silent_at(&self) -> Option<Instant> {
        let sent_for_ms = match self.start.requests {
            _ if self.early != Early::IfSilent || self.phase != Phase::Drain => return None,
            Requests::Unknown => return None,
            Requests::Read { sent_for_ms } => sent_for_ms,
            Requests::Over => 0,
        };
        let pause = Duration::from_millis(sent_for_ms.into());
        Some(self.entered_at + (PAUSES * pause).max(SHORTEST_SILENCE))
    }

    /// When a peer that has acknowledged everything has been quiet for long enough.
    fn quiet_deadline(&self) -> Option<Instant> {
        let (acknowledged_at, quiet) = self.rare().acknowledged?;
        // On overflow there is none: the drain's own deadline is earlier.
        acknowledged_at.max(self.budget.progress_at()).checked_add(quiet)
    }

    /// When the peer is too slow, unless it sends more until then.
    fn rate_deadline(&self) -> Option<Instant> {
        let rate = self.policy.drain_min_rate;
        let (bytes_per_second, grace) = rate.filter(|_| self.phase == Phase::Drain)?;
        let from = self.entered_at + grace;
        let nanos = u128::from(self.drained) * 1_000_000_000 / u128::from(bytes_per_second);
        // On overflow it is centuries away: the drain's own deadline is earlier.
        Some(from + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}
