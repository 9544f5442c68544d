use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::clock::now;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime")
}

/// How many are due in this runtime at this time, and when the next are.
fn expire(timers: &mut Timers, runtime: &Runtime, now: Instant) -> (usize, Option<Instant>) {
    let (due, next) = timers.expire(runtime.handle().id(), now, Waker::noop());
    (due.len(), next)
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn times_are_told_apart_when_they_wrap() {
    let end = u64::from(u32::MAX);
    for millis in [0, 1, DAY_MILLIS, end - DAY_MILLIS, end - 1, end, end + 1, end + DAY_MILLIS] {
        let (earlier, later) = (Moment::of(millis), Moment::of(millis + DAY_MILLIS));
        assert!(earlier < later, "{millis}");
        assert_eq!(later.after(earlier), DAY_MILLIS, "{millis}");
    }
}

#[test]
fn a_time_set_in_another_runtime_before_does_not_stand_in_for_one_in_this() {
    let (old, young, began) = (runtime(), runtime(), now());
    let mut timers = Timers::default();
    let keeper = timers.insert(Waker::noop().clone());
    assert!(matches!(timers.wake_at(keeper, began + DAY, old.handle().id(), began), Timer::Missing));
    let later = began + 100 * SECOND;
    let id = timers.insert(Waker::noop().clone());
    assert!(matches!(timers.wake_at(id, later + SECOND, young.handle().id(), later), Timer::Missing));
    assert!(matches!(timers.wake_at(id, later + SECOND, old.handle().id(), later), Timer::IsSet));
    assert_eq!(expire(&mut timers, &old, later), (0, Some(later + SECOND)));
    assert_eq!(expire(&mut timers, &young, later), (0, None), "the young one has nobody left");
    assert_eq!(expire(&mut timers, &old, later + SECOND), (1, Some(began + DAY)));
}

#[test]
fn a_close_polled_in_two_runtimes_in_turn_takes_no_more_room() {
    let (one, other, began) = (runtime(), runtime(), now());
    let mut timers = Timers::default();
    let id = timers.insert(Waker::noop().clone());
    for _ in 0..1000 {
        for runtime in [&one, &other] {
            timers.wake_at(id, began + SECOND, runtime.handle().id(), began);
        }
    }
    assert!(timers.schedules.iter().all(|schedule| schedule.times.len() <= FEW + 3));
    assert_eq!(expire(&mut timers, &one, began + SECOND), (0, None));
    assert_eq!(expire(&mut timers, &other, began + SECOND), (1, None));
}

/// Has this many closes wait for a later second each.
fn filled(runtime: &Runtime, began: Instant, count: usize) -> (Timers, Vec<EntryId>) {
    let mut timers = Timers::default();
    let ids: Vec<_> = (0..count).map(|_| timers.insert(Waker::noop().clone())).collect();
    for id in &ids {
        timers.wake_at(*id, began + 100 * SECOND, runtime.handle().id(), began);
    }
    (timers, ids)
}

/// A close arms no timer if another already sleeps until an earlier time; see `make gates`.
#[test]
fn closes_in_their_usual_order_arm_one_timer() {
    let (runtime, began) = (runtime(), now());
    let mut timers = Timers::default();
    let mut armed = 0;
    for millis in 0..1_000 {
        let now = began + Duration::from_millis(millis);
        let id = timers.insert(Waker::noop().clone());
        match timers.wake_at(id, now + 5 * SECOND, runtime.handle().id(), now) {
            Timer::IsSet => {}
            Timer::Wake(_) => armed += 1,
            Timer::Missing => {
                armed += 1;
                assert_eq!(expire(&mut timers, &runtime, now), (0, Some(began + 5 * SECOND)));
            }
        }
        // Every other close ends before its time.
        if millis % 2 == 0 {
            timers.remove(id);
        }
    }
    assert_eq!(armed, 1);
}

/// What is cleared away at once is at least as much as what stays, so a close pays little for it.
#[test]
fn room_is_made_when_there_is_much_of_what_no_close_relies_on() {
    let (runtime, began, count) = (runtime(), now(), 1000);
    let (mut timers, ids) = filled(&runtime, began, count);
    let mut lengths = Vec::new();
    for second in [99, 98, 97] {
        for id in &ids {
            timers.wake_at(*id, began + second * SECOND, runtime.handle().id(), began);
            lengths.push(timers.schedules[0].times.len());
        }
    }
    let most = 2 * count + FEW + 1;
    assert_eq!(lengths.iter().max(), Some(&most));
    let cleared = lengths.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert_eq!(cleared, 2, "of {} times set", lengths.len());
    assert_eq!(expire(&mut timers, &runtime, began + 97 * SECOND), (count, None));
}

#[test]
fn room_is_made_although_most_of_the_closes_have_ended() {
    let (runtime, began) = (runtime(), now());
    let (mut timers, ids) = filled(&runtime, began, 1000);
    let (kept, ended) = ids.split_first().expect("some");
    for id in ended {
        timers.remove(*id);
    }
    timers.wake_at(*kept, began + SECOND, runtime.handle().id(), began);
    assert_eq!(timers.schedules[0].times.len(), 1);
}

#[test]
fn what_many_closes_took_is_given_back_after_the_last_and_a_little_is_kept() {
    let (runtime, began) = (runtime(), now());
    for (count, kept) in [(FEW, FEW), (FEW + 1, 0)] {
        let (mut timers, ids) = filled(&runtime, began, count);
        let (last, others) = ids.split_last().expect("some");
        for id in others {
            timers.remove(*id);
        }
        assert!(timers.entries.capacity() >= count, "one is left of {count}");
        timers.remove(*last);
        assert_eq!(timers.entries.capacity(), kept, "none is left of {count}");
        let set = &timers.schedules[0].times;
        assert_eq!((set.len(), set.capacity() >= count), (kept, kept > 0), "none is left of {count}");
    }
}

#[test]
fn runtimes_without_timers_are_remembered_but_not_for_ever() {
    let runtimes: Vec<_> = (0..=FEW).map(|_| runtime()).collect();
    let ids: Vec<_> = runtimes.iter().map(|runtime| runtime.handle().id()).collect();
    let mut timers = Timers::default();
    let (last, others) = ids.split_last().expect("some");
    for id in others {
        assert!(!timers.is_timeless(*id));
        timers.set_timeless(*id);
    }
    assert!(others.iter().all(|id| timers.is_timeless(*id)));
    timers.set_timeless(*last);
    assert!(timers.is_timeless(*last));
    assert_eq!(timers.timeless.len(), 1, "a process that makes runtimes all the time does not grow by it");
}

/// A timer looks once a day, or a little later, so days that pass so are no leap.
#[test]
fn nothing_is_due_early_in_a_runtime_that_is_old() {
    let (runtime, began) = (runtime(), now());
    let mut timers = Timers::default();
    let id = timers.insert(Waker::noop().clone());
    for day in 0..60 {
        let now = began + day * (DAY + SECOND);
        timers.wake_at(id, now + 2 * DAY, runtime.handle().id(), now);
        assert_eq!(expire(&mut timers, &runtime, now), (0, Some(now + DAY)), "day {day}");
    }
}

#[test]
fn everything_is_due_after_a_leap_of_the_clock() {
    for days in [2, 20, 25, 30, 48, 50, 75, 1000] {
        let (runtime, began) = (runtime(), now());
        let mut timers = Timers::default();
        for time in [SECOND, 5 * SECOND, DAY] {
            let id = timers.insert(Waker::noop().clone());
            timers.wake_at(id, began + time, runtime.handle().id(), began);
        }
        assert_eq!(expire(&mut timers, &runtime, began), (0, Some(began + SECOND)));
        let leapt = began + days * DAY;
        // A close that begins before the timer has looked is at worst woken early.
        let id = timers.insert(Waker::noop().clone());
        timers.wake_at(id, leapt + SECOND, runtime.handle().id(), leapt);
        let (due, next) = expire(&mut timers, &runtime, leapt);
        assert!(due == 4 || (due, next) == (3, Some(leapt + SECOND)), "{days} days: {due}, {next:?}");
    }
}

#[test]
fn a_time_of_more_than_a_day_is_looked_at_after_a_day() {
    let (runtime, began) = (runtime(), now());
    let mut timers = Timers::default();
    let id = timers.insert(Waker::noop().clone());
    timers.wake_at(id, began + 100 * DAY, runtime.handle().id(), began);
    assert_eq!(expire(&mut timers, &runtime, began), (0, Some(began + DAY)));
    assert_eq!(expire(&mut timers, &runtime, began + DAY), (1, None));
}

#[test]
fn who_relied_on_a_timer_that_is_gone_is_woken_and_nobody_else() {
    let (one, other, began) = (runtime(), runtime(), now());
    let mut timers = Timers::default();
    let (relied, not) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let id = timers.insert(relied.clone().into());
    timers.wake_at(id, began + SECOND, one.handle().id(), began);
    let id = timers.insert(not.clone().into());
    timers.wake_at(id, began + SECOND, one.handle().id(), began);
    timers.wake_at(id, began + SECOND, other.handle().id(), began);
    timers.remove_runtime(one.handle().id()).into_iter().for_each(Waker::wake);
    assert_eq!((relied.0.load(Ordering::Relaxed), not.0.load(Ordering::Relaxed)), (1, 0));
    assert_eq!(expire(&mut timers, &one, began + SECOND), (0, None));
}

/// A close that is woken early waits for the same time again. On a paused clock, which moves by whole
/// milliseconds, it would do so for ever.
#[test]
fn a_time_within_a_microsecond_is_not_over_before_it() {
    let (runtime, began) = (runtime(), now());
    for nanos in [1, 999, 999_999] {
        let mut timers = Timers::default();
        let id = timers.insert(Waker::noop().clone());
        let at = began + SECOND + Duration::from_nanos(nanos);
        assert!(matches!(timers.wake_at(id, at, runtime.handle().id(), began), Timer::Missing));
        let next = began + SECOND + Duration::from_millis(1);
        assert_eq!(expire(&mut timers, &runtime, began + SECOND), (0, Some(next)), "{nanos} ns early");
        assert_eq!(expire(&mut timers, &runtime, next), (1, None));
    }
}
