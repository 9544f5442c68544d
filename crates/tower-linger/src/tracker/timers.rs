//! Deadlines of waiting closes: which task to wake, and when. Pure bookkeeping under the tracker's lock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::mem;
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::sync::runtime;
use crate::tracker::entry_id::EntryId;
use crate::tracker::moment::Moment;

/// The entries of all closes that wait, and one schedule for each runtime that they wait in.
#[derive(Default)]
pub(crate) struct Timers {
    entries: Slab<Entry>,
    /// Mostly one.
    schedules: Vec<Schedule>,
    /// Runtimes known to lack tokio's timers (`enable_time`), so that each of them is tried only once.
    timeless: Vec<runtime::Id>,
}

/// Which task to wake. There is one for each connection that lingers, so it is kept small.
struct Entry {
    waker: Waker,
    /// When its time is up. It may move either way.
    due: Moment,
    /// When its schedule looks at it next. That is never later than `due`.
    set_for: Moment,
    /// The runtime whose schedule looks at it next; none before the first time is set, and once that has
    /// expired. Both moments count from the beginning of this schedule.
    set_in: Option<runtime::Id>,
}

/// The times of one runtime. It exists as long as something is set in it.
struct Schedule {
    runtime: runtime::Id,
    began: Instant,
    /// Milliseconds from `began` until `expire` was last called.
    expired_at: u64,
    /// The earliest first. What was removed or set for an earlier time stays in it until its own time comes,
    /// or until there is much of it.
    times: BinaryHeap<Reverse<(Moment, EntryId)>>,
    /// What the runtime's timer sleeps until, and how to wake it for something earlier. None before its first
    /// poll.
    timer: Option<(Moment, Waker)>,
}

/// What is to be done with a runtime's timer after a time was set.
pub(crate) enum Timer {
    /// Nothing: it expires early enough.
    IsSet,
    /// It sleeps for too long: wake it.
    Wake(Waker),
    /// There is none: start one.
    Missing,
}

impl Timers {
    /// Adds a close that waits, without a time yet.
    pub(crate) fn insert(&mut self, waker: Waker) -> EntryId {
        let entry = Entry { waker, due: Moment::of(0), set_for: Moment::of(0), set_in: None };
        EntryId::of(self.entries.insert(entry))
    }

    /// Sets which task to wake from now on. Returns the waker that this replaced, which is to be dropped
    /// outside the lock.
    pub(crate) fn touch(&mut self, id: EntryId, waker: &Waker) -> Option<Waker> {
        let entry = &mut self.entries[id.index()];
        (!entry.waker.will_wake(waker)).then(|| mem::replace(&mut entry.waker, waker.clone()))
    }

    /// Has the close woken at this time, or after a day if that is earlier, by the timer of this runtime.
    ///
    /// A time that was set in another runtime before does not count any more: that runtime may stand still.
    pub(crate) fn wake_at(&mut self, id: EntryId, at: Instant, runtime: runtime::Id, now: Instant) -> Timer {
        let known = self.schedules.iter().position(|schedule| schedule.runtime == runtime);
        let index = known.unwrap_or_else(|| {
            self.schedules.push(Schedule::new(runtime, now));
            self.schedules.len() - 1
        });
        let schedule = &mut self.schedules[index];
        let entry = &mut self.entries[id.index()];
        entry.due = schedule.moment_of(at, now);
        if entry.set_in == Some(runtime) && entry.set_for <= entry.due {
            return Timer::IsSet;
        }
        entry.set_for = entry.due;
        entry.set_in = Some(runtime);
        let time = (entry.due, id);
        schedule.make_room(&self.entries);
        schedule.times.push(Reverse(time));
        match &schedule.timer {
            _ if known.is_none() => Timer::Missing,
            Some((next, waker)) if time.0 < *next => Timer::Wake(waker.clone()),
            _ => Timer::IsSet,
        }
    }

    /// Returns which tasks to wake now, and when to call this again. If that is never, the schedule is gone.
    pub(crate) fn expire(
        &mut self,
        runtime: runtime::Id,
        now: Instant,
        timer: &Waker,
    ) -> (Vec<Waker>, Option<Instant>) {
        let mut due = Vec::new();
        let Some(index) = self.schedules.iter().position(|schedule| schedule.runtime == runtime) else {
            return (due, None);
        };
        let schedule = &mut self.schedules[index];
        let millis = schedule.millis_since(now);
        // Moments cannot be compared across a leap of the clock. All that was set before the leap is due,
        // because nothing is set that far ahead. What was set since is woken early, which is harmless.
        let has_leapt = millis - schedule.expired_at > LEAP_MILLIS;
        schedule.expired_at = millis;
        let now = Moment::of(millis);
        while let Some(Reverse(time)) = schedule.times.peek().copied() {
            let is_set = is_set(&self.entries, runtime, time);
            if is_set && time.0 > now && !has_leapt {
                schedule.timer = Some((time.0, timer.clone()));
                return (due, Some(schedule.began + Duration::from_millis(millis + time.0.after(now))));
            }
            schedule.times.pop();
            if !is_set {
                continue;
            }
            let entry = &mut self.entries[time.1.index()];
            if entry.due > now && !has_leapt {
                // It was given more time since.
                entry.set_for = entry.due;
                schedule.times.push(Reverse((entry.due, time.1)));
            } else {
                entry.set_in = None;
                due.push(entry.waker.clone());
            }
        }
        self.schedules.swap_remove(index);
        (due, None)
    }

    /// Removes the schedule of a runtime whose timer is gone. Returns those that relied on it, to be woken.
    pub(crate) fn remove_runtime(&mut self, runtime: runtime::Id) -> Vec<Waker> {
        let mut waiting = Vec::new();
        let Some(index) = self.schedules.iter().position(|schedule| schedule.runtime == runtime) else {
            return waiting;
        };
        for Reverse(time) in self.schedules.swap_remove(index).times {
            if is_set(&self.entries, runtime, time) {
                let entry = &mut self.entries[time.1.index()];
                entry.set_in = None;
                waiting.push(entry.waker.clone());
            }
        }
        waiting
    }

    /// The task to wake for this entry.
    pub(crate) fn waker(&self, id: EntryId) -> Waker {
        self.entries[id.index()].waker.clone()
    }

    /// The wakers of all entries.
    pub(crate) fn wakers(&self) -> Vec<Waker> {
        self.entries.iter().map(|(_, entry)| entry.waker.clone()).collect()
    }

    /// Removes a close. Its waker is to be dropped outside the lock.
    pub(crate) fn remove(&mut self, id: EntryId) -> Waker {
        let entry = self.entries.remove(id.index());
        if self.entries.is_empty() && self.entries.capacity() > FEW {
            self.entries.shrink_to_fit();
            // The timers end when they look next.
            self.schedules.iter_mut().for_each(|schedule| schedule.times = BinaryHeap::new());
        }
        entry.waker
    }

    /// Whether a runtime is known to have no timers of tokio's.
    pub(crate) fn is_timeless(&self, runtime: runtime::Id) -> bool {
        self.timeless.contains(&runtime)
    }

    /// Remembers that a runtime has no timers of tokio's.
    pub(crate) fn set_timeless(&mut self, runtime: runtime::Id) {
        if self.timeless.len() >= FEW {
            // A process that makes runtimes all the time must not grow by it. Those that are forgotten are
            // tried once more.
            self.timeless.clear();
        }
        self.timeless.push(runtime);
    }
}

/// Up to this many unused slots are kept.
const FEW: usize = 64;

/// Nothing is set for longer. No bound of a policy is.
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// A timer sleeps for a day at most, so if it has not run for this long, the clock has leapt. This and that
/// day together are well below the 24 days up to which moments can be compared.
const LEAP_MILLIS: u64 = 10 * DAY_MILLIS;

/// Whether an entry still relies on this time in the schedule of this runtime.
fn is_set(entries: &Slab<Entry>, runtime: runtime::Id, (at, id): (Moment, EntryId)) -> bool {
    entries.get(id.index()).is_some_and(|entry| entry.set_in == Some(runtime) && entry.set_for == at)
}

impl Schedule {
    fn new(runtime: runtime::Id, began: Instant) -> Self {
        Self { runtime, began, expired_at: 0, times: BinaryHeap::new(), timer: None }
    }

    /// A millisecond that has begun counts as a whole one, so that nothing expires early.
    fn moment_of(&self, at: Instant, now: Instant) -> Moment {
        let nanos = at.saturating_duration_since(self.began).as_nanos();
        let millis = u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Moment::of(millis.min(self.millis_since(now).saturating_add(DAY_MILLIS)))
    }

    fn millis_since(&self, now: Instant) -> u64 {
        let millis = u64::try_from(now.saturating_duration_since(self.began).as_millis());
        millis.unwrap_or(u64::MAX).max(self.expired_at)
    }

    /// Clears away what no entry relies on, and what it relies on more than once, when that is most of it.
    fn make_room(&mut self, entries: &Slab<Entry>) {
        let enough = 2 * entries.len() + FEW;
        if self.times.len() > enough {
            let mut times = mem::take(&mut self.times).into_vec();
            times.retain(|Reverse(time)| is_set(entries, self.runtime, *time));
            // An entry relies on one time, so what is left of it is all the same.
            times.sort_unstable_by_key(|Reverse((_, id))| *id);
            times.dedup();
            times.shrink_to(enough);
            self.times = times.into();
        }
    }
}

/// Of an entry and its time in a schedule.
#[cfg(test)]
pub(crate) const BYTES_PER_ENTRY: usize =
    mem::size_of::<Entry>() + mem::size_of::<Reverse<(Moment, EntryId)>>();

#[cfg(all(test, not(tower_linger_shuttle)))]
mod tests;
