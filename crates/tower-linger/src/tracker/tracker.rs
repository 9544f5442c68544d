//! The closes that are still running.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use linger_proto::{Event, Outcome};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::clock::now;
use crate::close::settings::Shared;
use crate::tracker::eviction::{Eviction, Limits};
use crate::tracker::summary::Summary;
use crate::tracker::timer_task;
use crate::tracker::timers::{EntryId, Timer, Timers};

/// Counts the closes that are still running, waits for them, bounds how many there are, and cuts them at a deadline.
/// Clones are the same tracker.
///
/// A graceful-shutdown watcher (hyper-util's, axum's) ends requests; this ends the connections after them. Use both:
/// await the server first, then [`shutdown`](Self::shutdown).
///
/// # How many may linger
///
/// A lingering connection counts against no accept or concurrency permit, and clients that never close could
/// use up the descriptors that the server needs to accept others. So at most half of the descriptors that the
/// process may have (its soft `RLIMIT_NOFILE`, as it is when the tracker is made) wait for their peers at
/// once, unless [`with_limit`](Self::with_limit) gives another number, or [`unlimited`](Self::unlimited)
/// none. One close more, and the oldest is released and reports [`Evicted`](Outcome::Evicted): it had the
/// longest to read what it was sent. Each tracker counts for itself.
#[derive(Clone)]
pub struct Tracker {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    state: Mutex<State>,
    all_done: Notify,
}

pub(crate) struct State {
    running: usize,
    pub(crate) timers: Timers,
    eviction: Eviction,
    deadline: Option<Instant>,
    ended: Summary,
}

impl Tracker {
    /// A tracker with nothing to track yet. At most half of the process's descriptors linger at once: its
    /// soft `RLIMIT_NOFILE`, read now, halved, and at least one. That leaves the other half to accept with.
    /// There is no limit where that is infinite, and on systems other than Unix, which have no such limit.
    #[must_use]
    pub fn new() -> Self {
        Self::limited(Limits::default())
    }

    /// A tracker that lets at most `limit` closes wait for their peers at once. One more, and the oldest is
    /// released and reports [`Evicted`](Outcome::Evicted).
    #[must_use]
    pub fn with_limit(limit: NonZeroUsize) -> Self {
        Self::limited(Limits { all: Some(limit), per_peer: None })
    }

    /// A tracker that lets at most `limit` closes wait at once, and at most `per_peer` of them for the same
    /// peer: an IPv4 address, or an IPv6 network of 64 bits, because a single IPv6 host has all addresses of
    /// one (RFC 6177). Connections without an address (Unix sockets) count only in all.
    #[must_use]
    pub fn with_limits(limit: NonZeroUsize, per_peer: NonZeroUsize) -> Self {
        Self::limited(Limits { all: Some(limit), per_peer: Some(per_peer) })
    }

    /// A tracker that lets any number of closes wait at once. Only the policy's times bound them, and the
    /// process's descriptors: use it where something else bounds the connections, lingering ones included.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::limited(Limits::NONE)
    }

    fn limited(limits: Limits) -> Self {
        let eviction = Eviction::new(limits);
        let state = State {
            running: 0,
            timers: Timers::default(),
            eviction,
            deadline: None,
            ended: Summary::default(),
        };
        Self { inner: Arc::new(Inner { state: Mutex::new(state), all_done: Notify::new() }) }
    }

    /// How many closes are running.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.lock().running
    }

    /// Whether no close is running.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How all closes so far ended.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.inner.lock().ended.clone()
    }

    /// Waits until no close is running. The policy bounds each of them, so this ends too, provided that no new ones
    /// begin all the time.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only waits.
    pub async fn wait(&self) {
        loop {
            let all_done = self.inner.all_done.notified();
            if self.is_empty() {
                return;
            }
            all_done.await;
        }
    }

    /// Shortens the closes that are running, and all to come, so that they end within `limit` from now, waits for them,
    /// and tells how all closes so far ended. Those it cuts report [`ShutdownCut`](Outcome::ShutdownCut). A second call
    /// can only shorten further: with a limit of zero it cuts at once, as a second signal should.
    ///
    /// # Cancel safety
    ///
    /// Dropping it stops the waiting; the deadline stays.
    pub async fn shutdown(&self, limit: Duration) -> Summary {
        self.set_deadline(now() + limit);
        self.wait().await;
        self.summary()
    }

    pub(crate) fn set_deadline(&self, deadline: Instant) {
        let mut state = self.inner.lock();
        state.deadline = Some(state.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        let wakers = state.timers.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// One running close, and how all of its layer are closed.
pub(crate) struct Ticket {
    shared: Arc<Shared>,
    /// Once it has to wait.
    entry: Option<EntryId>,
    outcome: Option<Outcome>,
}

impl Ticket {
    /// Counts one more close, until the ticket ends.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.tracker.inner.lock().running += 1;
        Self { shared, entry: None, outcome: None }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The close waits for its peer: says what was decided about it meanwhile, and wakes the task when something is, and when
    /// this time has come. The peer's address is asked for only where it counts.
    pub(crate) fn wait(
        &mut self,
        cx: &Context<'_>,
        timeout: Instant,
        now: Instant,
        peer: impl FnOnce() -> Option<IpAddr>,
    ) -> Option<Event> {
        // Without a runtime nothing would wake it.
        let Ok(runtime) = Handle::try_current() else { return Some(Event::Abandoned) };
        let inner = &self.shared.tracker.inner;
        let mut state = inner.lock();
        let State { timers, eviction, .. } = &mut *state;
        let mut evicted = None;
        let mut replaced = None;
        let entry = if let Some(entry) = self.entry {
            replaced = timers.touch(entry, cx.waker());
            if eviction.is_evicted(entry) {
                // What was replaced is dropped after it.
                drop(state);
                return Some(Event::Evicted);
            }
            entry
        } else {
            let entry = timers.insert(cx.waker().clone());
            self.entry = Some(entry);
            let peer = eviction.counts_peers().then(peer).flatten();
            evicted = eviction.insert(entry, peer).map(|oldest| timers.waker(oldest));
            entry
        };
        let deadline = state.deadline;
        let at = deadline.map_or(timeout, |deadline| deadline.min(timeout));
        let timer = state.timers.wake_at(entry, at, runtime.id(), now);
        drop(state);
        drop(replaced);
        evicted.into_iter().for_each(Waker::wake);
        match timer {
            Timer::IsSet => {}
            Timer::Wake(timer) => timer.wake(),
            Timer::Missing if timer_task::start(&runtime, inner.clone()) => {}
            Timer::Missing => return Some(Event::Abandoned),
        }
        deadline.map(Event::ShutdownBy)
    }

    /// Counts how the close ended.
    pub(crate) fn end(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let inner = &self.shared.tracker.inner;
        let mut state = inner.lock();
        let waker = self.entry.map(|entry| {
            state.eviction.remove(entry);
            state.timers.remove(entry)
        });
        if let Some(outcome) = self.outcome {
            state.ended.add(outcome);
        }
        state.running -= 1;
        let all_done = state.running == 0;
        drop(state);
        drop(waker);
        if all_done {
            inner.all_done.notify_waiters();
        }
    }
}

impl Inner {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned state is still a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Tracker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker").field("running", &self.len()).finish_non_exhaustive()
    }
}
