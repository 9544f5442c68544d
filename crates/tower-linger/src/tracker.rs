//! The closes that are still running.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Counts the closes that are still running, waits for them, and cuts them at a deadline. Clones are the same
/// tracker.
///
/// A graceful-shutdown watcher (hyper-util's, axum's) ends requests; this ends the connections after them. Use both:
/// await the server first, then [`shutdown`](Self::shutdown).
#[derive(Clone, Default)]
pub struct Tracker {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    all_done: Notify,
}

#[derive(Default)]
struct State {
    running: usize,
    next_id: u64,
    /// Closes that wait for their peer, to be woken when a deadline is set.
    waiting: HashMap<u64, Waker>,
    deadline: Option<Instant>,
}

impl Tracker {
    /// A tracker with nothing to track yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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

    /// Shortens the closes that are running, and all to come, so that they end within `limit` from now, and waits
    /// for them. Those it cuts report [`ShutdownCut`](crate::Outcome::ShutdownCut). A second call can only shorten
    /// further.
    ///
    /// # Cancel safety
    ///
    /// Dropping it stops the waiting; the deadline stays.
    pub async fn shutdown(&self, limit: Duration) {
        self.set_deadline(limit);
        self.wait().await;
    }

    #[expect(clippy::disallowed_methods, reason = "one of the three places that may read the clock")]
    fn set_deadline(&self, limit: Duration) {
        let mut state = self.inner.lock();
        let deadline = Instant::now() + limit;
        state.deadline = Some(state.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
    }

    /// Counts one more close, until the ticket is dropped.
    pub(crate) fn register(&self) -> Ticket {
        let mut state = self.inner.lock();
        state.running += 1;
        state.next_id += 1;
        Ticket { id: state.next_id, tracker: self.clone() }
    }
}

/// One running close.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: u64,
    tracker: Tracker,
}

impl Ticket {
    /// The server's shutdown deadline; while there is none, the task is woken when one is set.
    pub(crate) fn deadline(&self, cx: &Context<'_>) -> Option<Instant> {
        let mut state = self.tracker.inner.lock();
        if state.deadline.is_none() {
            let waker = state.waiting.entry(self.id).or_insert_with(|| cx.waker().clone());
            waker.clone_from(cx.waker());
        }
        state.deadline
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.tracker.inner.lock();
        state.waiting.remove(&self.id);
        state.running -= 1;
        let all_done = state.running == 0;
        drop(state);
        if all_done {
            self.tracker.inner.all_done.notify_waiters();
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned state is still a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker").field("running", &self.len()).finish_non_exhaustive()
    }
}
