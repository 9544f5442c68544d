//! The closes that wait for their peers: who is to be woken when, and who has waited the longest. Only decides; the lock is
//! the tracker's.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::mem;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;
use tokio::runtime;

#[derive(Default)]
pub(crate) struct WaitingRoom {
    seats: Slab<Seat>,
    /// Those that count against the limit, the oldest first; those that are evicted do not. Where there is a limit.
    queue: BTreeSet<Place>,
    /// The same by peer, where there is a limit per peer.
    of_peer: HashMap<IpAddr, BTreeSet<Place>>,
    next_age: u64,
    /// One for each runtime that closes wait in: mostly one.
    schedules: Vec<Schedule>,
}

/// The place of a close that waits, for as long as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeatId(NonZeroU32);

/// Small: there is one for each connection that lingers.
struct Seat {
    waker: Waker,
    /// When its time is up, which may move either way.
    time: Moment,
    /// When the alarm looks at it next, never later than that; nothing once it has rung.
    ring: Option<Moment>,
    /// Where there is a limit. Apart, since mostly there is none.
    queued: Option<Box<Queued>>,
}

struct Queued {
    age: u64,
    peer: Option<IpAddr>,
    is_evicted: bool,
}

/// In the order of age.
type Place = (u64, SeatId);

/// How many may wait at once.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) all: Option<NonZeroUsize>,
    pub(crate) per_peer: Option<NonZeroUsize>,
}

/// When the alarm of one runtime rings, and for whom.
struct Schedule {
    runtime: runtime::Id,
    began: Instant,
    /// The earliest first. What was left or moved to an earlier time stays in it until its own, or until there is much of it.
    rings: BinaryHeap<Reverse<(Moment, SeatId)>>,
    /// What the alarm waits for, and how it is told of something earlier. Nothing before it is first polled.
    alarm: Option<(Moment, Waker)>,
}

/// Milliseconds since the schedule began, which is how finely tokio's timers tell time. They run over after 49 days: what is
/// compared is at most some days apart, since no bound of a close is more than a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment(NonZeroU32);

/// What a runtime's alarm has to do with a time that was set.
pub(crate) enum Alarm {
    /// It will ring in time.
    IsSet,
    /// It sleeps for too long: wake it.
    Wake(Waker),
    /// There is none.
    Missing,
}

impl WaitingRoom {
    /// Takes a seat. Returns who has to be woken because it is evicted.
    pub(crate) fn sit(
        &mut self,
        waker: Waker,
        limits: Limits,
        peer: Option<IpAddr>,
    ) -> (SeatId, Option<Waker>) {
        let seat = Seat { waker, time: Moment::FIRST, ring: None, queued: None };
        let id = SeatId::of(self.seats.insert(seat));
        if limits.all.is_none() && limits.per_peer.is_none() {
            return (id, None);
        }
        self.next_age += 1;
        let place = (self.next_age, id);
        self.seats[id.index()].queued = Some(Box::new(Queued { age: place.0, peer, is_evicted: false }));
        self.queue.insert(place);
        if let Some(peer) = peer {
            self.of_peer.entry(peer).or_default().insert(place);
        }
        (id, self.evict_over(limits, peer))
    }

    /// The close is polled again: who is to be woken from now on. Returns whether it is evicted, and what to drop outside the
    /// lock.
    pub(crate) fn return_to(&mut self, id: SeatId, waker: &Waker) -> (bool, Option<Waker>) {
        let seat = &mut self.seats[id.index()];
        let replaced = (!seat.waker.will_wake(waker)).then(|| mem::replace(&mut seat.waker, waker.clone()));
        (seat.queued.as_ref().is_some_and(|queued| queued.is_evicted), replaced)
    }

    /// Has whoever sits there woken at this time, by the alarm of this runtime.
    pub(crate) fn wake_at(&mut self, id: SeatId, at: Instant, runtime: runtime::Id, now: Instant) -> Alarm {
        let known = self.schedules.iter().position(|schedule| schedule.runtime == runtime);
        let index = known.unwrap_or_else(|| {
            self.schedules.push(Schedule { runtime, began: now, rings: BinaryHeap::new(), alarm: None });
            self.schedules.len() - 1
        });
        let schedule = &mut self.schedules[index];
        let seat = &mut self.seats[id.index()];
        seat.time = Moment::of(schedule.millis_until(at));
        if seat.ring.is_some_and(|ring| ring <= seat.time) {
            return Alarm::IsSet;
        }
        let ring = (seat.time, id);
        seat.ring = Some(seat.time);
        if schedule.rings.len() > 2 * self.seats.len() + FEW {
            schedule.rings.retain(|Reverse(ring)| is_set(&self.seats, *ring));
            schedule.rings.shrink_to(2 * self.seats.len() + FEW);
        }
        schedule.rings.push(Reverse(ring));
        match &schedule.alarm {
            _ if known.is_none() => Alarm::Missing,
            Some((next, waker)) if ring.0 < *next => Alarm::Wake(waker.clone()),
            _ => Alarm::IsSet,
        }
    }

    /// Who is due, and when the next ones are. The schedule ends when nobody waits any more.
    pub(crate) fn ring(
        &mut self,
        runtime: runtime::Id,
        now: Instant,
        alarm: &Waker,
    ) -> (Vec<Waker>, Option<Instant>) {
        let mut due = Vec::new();
        let Some(index) = self.schedules.iter().position(|schedule| schedule.runtime == runtime) else {
            return (due, None);
        };
        let schedule = &mut self.schedules[index];
        let millis = schedule.millis_since(now);
        let now = Moment::of(millis);
        while let Some(Reverse(ring)) = schedule.rings.peek().copied() {
            if ring.0 > now && is_set(&self.seats, ring) {
                schedule.alarm = Some((ring.0, alarm.clone()));
                return (due, Some(schedule.began + Duration::from_millis(millis + ring.0.after(now))));
            }
            schedule.rings.pop();
            if !is_set(&self.seats, ring) {
                continue;
            }
            let seat = &mut self.seats[ring.1.index()];
            seat.ring = (seat.time > now).then_some(seat.time);
            match seat.ring {
                // It was given more time since.
                Some(later) => schedule.rings.push(Reverse((later, ring.1))),
                None => due.push(seat.waker.clone()),
            }
        }
        self.schedules.swap_remove(index);
        (due, None)
    }

    /// The alarm of this runtime is gone. Returns those that counted on it.
    pub(crate) fn silence(&mut self, runtime: runtime::Id) -> Vec<Waker> {
        let Some(index) = self.schedules.iter().position(|schedule| schedule.runtime == runtime) else {
            return Vec::new();
        };
        let rings = self.schedules.swap_remove(index).rings;
        let mut waiting = Vec::new();
        for Reverse(ring) in rings {
            if is_set(&self.seats, ring) {
                let seat = &mut self.seats[ring.1.index()];
                seat.ring = None;
                waiting.push(seat.waker.clone());
            }
        }
        waiting
    }

    /// Of all who wait.
    pub(crate) fn wakers(&self) -> Vec<Waker> {
        self.seats.iter().map(|(_, seat)| seat.waker.clone()).collect()
    }

    /// Returns what to drop outside the lock.
    pub(crate) fn leave(&mut self, id: SeatId) -> Waker {
        self.leave_the_queue(id);
        let seat = self.seats.remove(id.index());
        if self.seats.is_empty() && self.seats.capacity() > FEW {
            self.seats.shrink_to_fit();
            // Their alarms end when they look next.
            self.schedules.iter_mut().for_each(|schedule| schedule.rings = BinaryHeap::new());
        }
        seat.waker
    }

    /// Evicts the oldest close of the peer that has too many, or the oldest of all where there are too many.
    fn evict_over(&mut self, limits: Limits, peer: Option<IpAddr>) -> Option<Waker> {
        let peers = peer.and_then(|peer| self.of_peer.get(&peer)).zip(limits.per_peer);
        let all = limits.all.map(|limit| (&self.queue, limit));
        let mut too_many = peers.into_iter().chain(all).filter(|(queue, limit)| queue.len() > limit.get());
        let (_, oldest) = *too_many.next()?.0.first()?;
        self.leave_the_queue(oldest);
        let oldest = &mut self.seats[oldest.index()];
        if let Some(queued) = &mut oldest.queued {
            queued.is_evicted = true;
        }
        Some(oldest.waker.clone())
    }

    /// It counts against no limit any more.
    fn leave_the_queue(&mut self, id: SeatId) {
        let Some(queued) = &self.seats[id.index()].queued else { return };
        let place = (queued.age, id);
        self.queue.remove(&place);
        let Some(peer) = queued.peer else { return };
        if let Some(places) = self.of_peer.get_mut(&peer) {
            places.remove(&place);
            if places.is_empty() {
                self.of_peer.remove(&peer);
            }
        }
    }
}

/// So many need not be cleared away.
const FEW: usize = 64;

/// Whether a seat still waits for this ring.
fn is_set(seats: &Slab<Seat>, (at, id): (Moment, SeatId)) -> bool {
    seats.get(id.index()).is_some_and(|seat| seat.ring == Some(at))
}

impl Schedule {
    /// A millisecond that has begun counts as a whole one, so that nothing rings early.
    fn millis_until(&self, at: Instant) -> u64 {
        let micros = at.saturating_duration_since(self.began).as_micros();
        u64::try_from(micros.div_ceil(1000)).unwrap_or(u64::MAX)
    }

    fn millis_since(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Moment {
    const FIRST: Self = Self(NonZeroU32::MIN);

    /// One more, since nothing is zero but where the number runs over.
    #[expect(clippy::cast_possible_truncation, reason = "it runs over")]
    fn of(millis: u64) -> Self {
        Self(NonZeroU32::new(millis.wrapping_add(1) as u32).unwrap_or(NonZeroU32::MIN))
    }

    /// Milliseconds from an earlier moment to this one.
    fn after(self, earlier: Self) -> u64 {
        self.0.get().wrapping_sub(earlier.0.get()).into()
    }
}

impl Ord for Moment {
    /// As serial numbers are compared (RFC 1982).
    #[expect(clippy::cast_possible_wrap, reason = "the sign tells which is earlier")]
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.get().wrapping_sub(other.0.get()) as i32).cmp(&0)
    }
}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl SeatId {
    fn of(index: usize) -> Self {
        // No process has so many descriptors.
        Self(NonZeroU32::MIN.saturating_add(u32::try_from(index).unwrap_or(u32::MAX)))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_apart_when_they_run_over() {
        let day = 24 * 60 * 60 * 1000;
        let end = u64::from(u32::MAX);
        for millis in [0, 1, day, end - day, end - 1, end, end + 1, end + day] {
            let (earlier, later) = (Moment::of(millis), Moment::of(millis + day));
            assert!(earlier < later, "{millis}");
            // One millisecond is left out where the number runs over.
            assert!(later.after(earlier).abs_diff(day) <= 1, "{millis}");
        }
    }

    #[test]
    fn a_seat_is_small() {
        assert!(mem::size_of::<Seat>() <= 32 && mem::size_of::<Reverse<(Moment, SeatId)>>() == 8);
    }
}
