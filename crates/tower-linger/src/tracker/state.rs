//! The tracker's lock, and what is under it: the connections that are served, the number of closes, and what
//! the waiting closes wait for.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, PoisonError};
#[cfg(feature = "serve")]
use std::task::Poll;
use std::task::{Context, Waker};
use std::time::Instant;

use linger_proto::Outcome;
use slab::Slab;

use crate::sync::runtime::Handle;
use crate::sync::{Mutex, MutexGuard, Notify};
use crate::tracker::entry_id::EntryId;
use crate::tracker::eviction::{Eviction, Limits};
use crate::tracker::summary::{Counted, Summary};
use crate::tracker::timer_task::{self, LockTimers};
use crate::tracker::timers::{Timer, Timers};

/// Aligned, so that nothing else that threads use is in its cache lines, of which processors fetch two at
/// once: next to it in memory, two threads took twice as long (`contention` in benches/README.md).
#[repr(align(128))]
pub(crate) struct Inner {
    limits: Limits,
    state: Mutex<State>,
    pub(super) all_done: Notify,
}

pub(crate) struct State {
    served: Slab<Arc<dyn Tracked>>,
    closing: usize,
    timers: Timers,
    eviction: Eviction,
    deadline: Option<Instant>,
    /// Who waits until fewer connections than this are served: the accept loops of the servers that share the
    /// tracker.
    room: Vec<(NonZeroUsize, Waker)>,
    /// Where a connection began last, or its close. A close that is dropped outside of any runtime goes on
    /// there. Without a connection there is none, because the handle of a runtime that has ended keeps its
    /// descriptors open.
    runtime: Option<Handle>,
    pub(super) ended: Summary,
}

/// What the tracker does to a connection that is served.
pub(crate) trait Tracked: Send + Sync {
    /// Ends reads and writes from now on. Returns the tasks to wake for that.
    fn cut(&self) -> [Option<Waker>; 2];
}

/// A served connection's place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServedId(EntryId);

/// The place of a close, or of another task, that waits; none before its first wait.
#[derive(Default)]
pub(crate) struct Place(Option<EntryId>);

/// What a wait came to.
pub(crate) enum Waited {
    /// It goes on, and the server's shutdown deadline is this.
    Until(Option<Instant>),
    /// Too many wait, and this is the oldest.
    Evicted,
    /// There is no runtime that could wake the task.
    Unheard,
}

impl State {
    pub(super) fn served(&self) -> usize {
        self.served.len()
    }

    pub(super) fn closing(&self) -> usize {
        self.closing
    }

    fn is_over(&self) -> bool {
        self.served.is_empty() && self.closing == 0
    }

    /// Those who have waited for room, if there is some now. All of them, because the one that is woken first
    /// may have nobody to accept.
    fn take_waiters(&mut self) -> Vec<(NonZeroUsize, Waker)> {
        if self.room.is_empty() {
            return Vec::new();
        }
        let served = self.served.len();
        let has_room = |(most, _): &(NonZeroUsize, Waker)| served < most.get();
        let (woken, waiting) = std::mem::take(&mut self.room).into_iter().partition(has_room);
        self.room = waiting;
        woken
    }

    /// Remembers the current runtime, if there is one. What is returned is to be dropped outside the lock.
    fn remember(&mut self, runtime: Option<Handle>) -> Option<Handle> {
        match (&self.runtime, runtime) {
            (_, None) => None,
            (Some(known), Some(runtime)) if known.id() == runtime.id() => Some(runtime),
            (_, Some(runtime)) => self.runtime.replace(runtime),
        }
    }

    /// Forgets the runtime when no connection is left. What is returned is to be dropped outside the lock.
    fn forget_runtime(&mut self) -> Option<Handle> {
        if self.is_over() { self.runtime.take() } else { None }
    }

    /// Forgets an entry. Its waker is to be dropped outside the lock.
    fn leave(&mut self, entry: EntryId) -> Waker {
        self.eviction.remove(entry);
        self.timers.remove(entry)
    }
}

impl Inner {
    pub(super) fn new(limits: Limits) -> Self {
        let state = State {
            served: Slab::new(),
            closing: 0,
            timers: Timers::default(),
            eviction: Eviction::new(limits),
            deadline: None,
            room: Vec::new(),
            runtime: None,
            ended: Summary::default(),
        };
        Self { limits, state: Mutex::new(state), all_done: Notify::new() }
    }

    /// How many closes may wait at once.
    pub(crate) fn limit(&self) -> Option<NonZeroUsize> {
        self.limits.all
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned state is still a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection as served. One that comes after the deadline is cut at once.
    pub(crate) fn serve(&self, connection: &Arc<impl Tracked + 'static>) -> ServedId {
        let runtime = Handle::try_current().ok();
        let mut state = self.lock();
        let id = ServedId(EntryId::of(state.served.insert(connection.clone())));
        let is_late = state.deadline.is_some_and(|deadline| deadline <= crate::clock::now());
        let replaced = state.remember(runtime);
        drop(state);
        drop(replaced);
        if is_late {
            connection.cut().into_iter().flatten().for_each(Waker::wake);
        }
        id
    }

    /// Counts a connection as closing that was served. Returns whether the server is shutting down.
    pub(crate) fn begin_close(&self, id: ServedId) -> bool {
        let mut state = self.lock();
        let connection = state.served.remove(id.0.index());
        let room = state.take_waiters();
        state.closing += 1;
        let is_ending = state.deadline.is_some();
        drop(state);
        drop(connection);
        for (_, waker) in room {
            waker.wake();
        }
        is_ending
    }

    pub(crate) fn begin_unknown_close(&self) {
        let runtime = Handle::try_current().ok();
        let mut state = self.lock();
        state.closing += 1;
        let replaced = state.remember(runtime);
        drop(state);
        drop(replaced);
    }

    pub(crate) fn forget_served(&self, id: ServedId) {
        let mut state = self.lock();
        let connection = state.served.remove(id.0.index());
        let room = state.take_waiters();
        let is_over = state.is_over();
        let runtime = state.forget_runtime();
        drop(state);
        drop((connection, runtime));
        for (_, waker) in room {
            waker.wake();
        }
        if is_over {
            self.all_done.notify_waiters();
        }
    }

    pub(crate) fn end_close(&self, place: &mut Place, outcome: Option<Outcome>) {
        let counted = outcome.map(Counted::of);
        let mut state = self.lock();
        let waker = place.0.take().map(|entry| state.leave(entry));
        if let Some(counted) = counted {
            state.ended.add(counted);
        }
        state.closing -= 1;
        let is_over = state.is_over();
        let runtime = state.forget_runtime();
        drop(state);
        drop((waker, runtime));
        if is_over {
            self.all_done.notify_waiters();
        }
    }

    #[cfg(feature = "serve")]
    pub(super) fn poll_room(&self, most: NonZeroUsize, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.served.len() < most.get() {
            return Poll::Ready(());
        }
        if !state.room.iter().any(|(bound, waker)| *bound == most && waker.will_wake(cx.waker())) {
            state.room.push((most, cx.waker().clone()));
        }
        Poll::Pending
    }

    pub(crate) fn runtime(&self) -> Option<Handle> {
        self.lock().runtime.clone()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lock().deadline
    }

    /// Shortens the deadline, and wakes every task that waits, so that it looks at it.
    pub(super) fn set_deadline(&self, deadline: Instant) {
        let mut state = self.lock();
        state.deadline = Some(state.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        let wakers = state.timers.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Cuts everything that is served.
    pub(super) fn cut_served(&self) {
        let served: Vec<_> = self.lock().served.iter().map(|(_, connection)| connection.clone()).collect();
        served.iter().flat_map(|connection| connection.cut()).flatten().for_each(Waker::wake);
    }

    /// A close waits: it counts against the limits.
    pub(crate) fn wait_counted(
        self: &Arc<Self>,
        place: &mut Place,
        cx: &Context<'_>,
        timeout: Instant,
        now: Instant,
        peer: impl FnOnce() -> Option<IpAddr>,
    ) -> Waited {
        self.wait(place, cx, timeout, now, |eviction, entry| {
            let peer = eviction.counts_peers().then(peer).flatten();
            eviction.insert(entry, peer)
        })
    }

    /// Something else than a close waits, at most until this time: it does not count against the limits.
    pub(super) fn wait_uncounted(
        self: &Arc<Self>,
        place: &mut Place,
        cx: &Context<'_>,
        timeout: Instant,
        now: Instant,
    ) -> Waited {
        self.wait(place, cx, timeout, now, |_, _| None)
    }

    /// Ends the waiting of something else than a close.
    pub(super) fn end_wait(&self, place: &mut Place) {
        if let Some(entry) = place.0.take() {
            let waker = self.lock().leave(entry);
            drop(waker);
        }
    }

    fn wait(
        self: &Arc<Self>,
        place: &mut Place,
        cx: &Context<'_>,
        timeout: Instant,
        now: Instant,
        count: impl FnOnce(&mut Eviction, EntryId) -> Option<EntryId>,
    ) -> Waited {
        // Without a runtime nothing would wake it.
        let Ok(runtime) = Handle::try_current() else { return Waited::Unheard };
        let mut state = self.lock();
        let State { timers, eviction, .. } = &mut *state;
        let mut evicted = None;
        let mut replaced = None;
        let entry = if let Some(entry) = place.0 {
            replaced = timers.touch(entry, cx.waker());
            if eviction.is_evicted(entry) {
                // The lock goes before the waker that was replaced.
                drop(state);
                return Waited::Evicted;
            }
            entry
        } else {
            let entry = timers.insert(cx.waker().clone());
            place.0 = Some(entry);
            evicted = count(eviction, entry).map(|oldest| timers.waker(oldest));
            entry
        };
        let deadline = state.deadline;
        // A deadline that is over has woken everyone already.
        let at =
            deadline.filter(|deadline| *deadline > now).map_or(timeout, |deadline| deadline.min(timeout));
        let timer = state.timers.wake_at(entry, at, runtime.id(), now);
        drop(state);
        drop(replaced);
        evicted.into_iter().for_each(Waker::wake);
        match timer {
            Timer::IsSet => {}
            Timer::Wake(timer) => timer.wake(),
            Timer::Missing if timer_task::start(&runtime, self.clone()) => {}
            Timer::Missing => return Waited::Unheard,
        }
        Waited::Until(deadline)
    }
}

/// What the tracker counts, all at one moment.
#[cfg(all(test, tower_linger_shuttle))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) served: usize,
    pub(crate) closing: usize,
    pub(crate) ended: usize,
    /// Closes and other tasks that wait.
    pub(crate) waiting: usize,
}

#[cfg(all(test, tower_linger_shuttle))]
impl Inner {
    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        let ended = state.ended.total().try_into().expect("few");
        Counts { served: state.served(), closing: state.closing, ended, waiting: state.timers.wakers().len() }
    }
}

impl LockTimers for Inner {
    fn with_timers<R>(&self, act: impl FnOnce(&mut Timers) -> R) -> R {
        act(&mut self.lock().timers)
    }
}

#[cfg(all(test, not(tower_linger_shuttle)))]
mod tests;
