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
use crate::tracker::summary::Summary;
use crate::tracker::timer_task;
use crate::tracker::timers::{Alarm, Limits, SeatId, WaitingRoom};

/// Counts the closes that are still running, waits for them, bounds how many there are, and cuts them at a deadline.
/// Clones are the same tracker.
///
/// A graceful-shutdown watcher (hyper-util's, axum's) ends requests; this ends the connections after them. Use both:
/// await the server first, then [`shutdown`](Self::shutdown).
#[derive(Clone, Default)]
pub struct Tracker {
    inner: Arc<Inner>,
}

#[derive(Default)]
pub(crate) struct Inner {
    limits: Limits,
    state: Mutex<State>,
    all_done: Notify,
}

#[derive(Default)]
pub(crate) struct State {
    running: usize,
    pub(crate) waiting: WaitingRoom,
    deadline: Option<Instant>,
    ended: Summary,
}

impl Tracker {
    /// A tracker with nothing to track yet, and no limit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A tracker that lets at most `limit` closes wait for their peers at once. One more, and the oldest is released
    /// and reports [`Evicted`](Outcome::Evicted): it had the longest to read what it was sent.
    ///
    /// A lingering connection counts against no accept or concurrency permit, so a server that is flooded with clients
    /// that never close needs this bound, or its descriptor limit is the bound. Without one there is no limit but the
    /// policy's times.
    #[must_use]
    pub fn with_limit(limit: NonZeroUsize) -> Self {
        Self::limited(Limits { all: Some(limit), per_peer: None })
    }

    /// A tracker that lets at most `limit` closes wait at once, and at most `per_peer` of them for the same IP address.
    /// Connections without one (Unix sockets) count only in all.
    #[must_use]
    pub fn with_limits(limit: NonZeroUsize, per_peer: NonZeroUsize) -> Self {
        Self::limited(Limits { all: Some(limit), per_peer: Some(per_peer) })
    }

    fn limited(limits: Limits) -> Self {
        Self { inner: Arc::new(Inner { limits, ..Inner::default() }) }
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
        let wakers = state.waiting.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// One running close, and how all of its layer are closed.
pub(crate) struct Ticket {
    shared: Arc<Shared>,
    /// Once it has to wait.
    seat: Option<SeatId>,
    outcome: Option<Outcome>,
}

impl Ticket {
    /// Counts one more close, until the ticket ends.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.tracker.inner.lock().running += 1;
        Self { shared, seat: None, outcome: None }
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
        let (seat, evicted, replaced) = if let Some(seat) = self.seat {
            let (is_evicted, replaced) = state.waiting.return_to(seat, cx.waker());
            if is_evicted {
                // What was replaced is dropped after it.
                drop(state);
                return Some(Event::Evicted);
            }
            (seat, None, replaced)
        } else {
            let peer = inner.limits.per_peer.and_then(|_| peer());
            let (seat, evicted) = state.waiting.sit(cx.waker().clone(), inner.limits, peer);
            self.seat = Some(seat);
            (seat, evicted, None)
        };
        let deadline = state.deadline;
        let at = deadline.map_or(timeout, |deadline| deadline.min(timeout));
        let alarm = state.waiting.wake_at(seat, at, runtime.id(), now);
        drop(state);
        drop(replaced);
        evicted.into_iter().for_each(Waker::wake);
        match alarm {
            Alarm::IsSet => {}
            Alarm::Wake(alarm) => alarm.wake(),
            Alarm::Missing if timer_task::start(&runtime, inner.clone()) => {}
            Alarm::Missing => return Some(Event::Abandoned),
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
        let waker = self.seat.map(|seat| state.waiting.leave(seat));
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

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker").field("running", &self.len()).finish_non_exhaustive()
    }
}
