//! The closes that are still running.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use linger_proto::{Event, Outcome};
use tokio::sync::Notify;

use crate::clock::now;

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
struct Inner {
    limit: Option<NonZeroUsize>,
    limit_per_peer: Option<NonZeroUsize>,
    state: Mutex<State>,
    all_done: Notify,
}

#[derive(Default)]
struct State {
    running: usize,
    next_id: u64,
    /// Closes that wait for their peer, to be woken when something about them is decided.
    waiting: HashMap<u64, Waiting>,
    /// Those of them that count against the limit, the oldest first; those that are evicted do not.
    lingering: BTreeSet<u64>,
    /// The same by peer, where there is a limit per peer.
    of_peer: HashMap<IpAddr, BTreeSet<u64>>,
    deadline: Option<Instant>,
    ended: Summary,
}

struct Waiting {
    waker: Waker,
    /// Known where there is a limit per peer. Apart, since mostly there is none.
    peer: Option<Box<IpAddr>>,
    evicted: bool,
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
        Self { inner: Arc::new(Inner { limit: Some(limit), ..Inner::default() }) }
    }

    /// A tracker that lets at most `limit` closes wait at once, and at most `per_peer` of them for the same IP address.
    /// Connections without one (Unix sockets) count only in all.
    #[must_use]
    pub fn with_limits(limit: NonZeroUsize, per_peer: NonZeroUsize) -> Self {
        let inner = Inner { limit: Some(limit), limit_per_peer: Some(per_peer), ..Inner::default() };
        Self { inner: Arc::new(inner) }
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
        let wakers: Vec<_> = state.waiting.values().map(|waiting| waiting.waker.clone()).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Counts one more close, until its ticket ends.
    pub(crate) fn register(&self) -> Ticket {
        let mut state = self.inner.lock();
        state.running += 1;
        state.next_id += 1;
        Ticket { id: state.next_id, tracker: self.clone() }
    }
}

/// How many closes ended in which outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    counts: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// How many closes ended at all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many ended this way; whether a `close_notify` was read makes no difference.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.counts.get(outcome.as_str()).copied().unwrap_or_default()
    }

    /// Each outcome that occurred, by name, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.counts.iter().map(|(outcome, count)| (*outcome, *count))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} closed", self.total())?;
        for (place, (outcome, count)) in self.iter().enumerate() {
            write!(f, "{} {outcome} {count}", if place == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// One running close.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: u64,
    tracker: Tracker,
}

impl Ticket {
    /// The close waits for its peer: says what was decided about it meanwhile, and wakes the task when something is. The
    /// peer's address is asked for only where it counts.
    pub(crate) fn wait(&self, cx: &Context<'_>, peer: impl FnOnce() -> Option<IpAddr>) -> Option<Event> {
        let inner = &self.tracker.inner;
        let mut state = inner.lock();
        let mut evicted = None;
        if let Some(waiting) = state.waiting.get_mut(&self.id) {
            waiting.waker.clone_from(cx.waker());
            if waiting.evicted {
                return Some(Event::Evicted);
            }
        } else {
            let peer = inner.limit_per_peer.and_then(|_| peer());
            state.begin_to_wait(self.id, cx.waker().clone(), peer);
            evicted = state.evict_over(inner.limit, peer.zip(inner.limit_per_peer));
        }
        let event = state.deadline.map(Event::ShutdownBy);
        drop(state);
        if let Some(evicted) = evicted {
            evicted.wake();
        }
        event
    }

    /// Counts how the close ended.
    pub(crate) fn end(self, outcome: Outcome) {
        *self.tracker.inner.lock().ended.counts.entry(outcome.as_str()).or_default() += 1;
    }
}

impl State {
    fn begin_to_wait(&mut self, id: u64, waker: Waker, peer: Option<IpAddr>) {
        self.waiting.insert(id, Waiting { waker, peer: peer.map(Box::new), evicted: false });
        self.lingering.insert(id);
        if let Some(peer) = peer {
            self.of_peer.entry(peer).or_default().insert(id);
        }
    }

    /// Evicts the oldest close of the peer that has too many, or the oldest of all where there are too many.
    fn evict_over(
        &mut self,
        limit: Option<NonZeroUsize>,
        of_peer: Option<(IpAddr, NonZeroUsize)>,
    ) -> Option<Waker> {
        let peers = of_peer.and_then(|(peer, limit)| Some((self.of_peer.get(&peer)?, limit)));
        let all = limit.map(|limit| (&self.lingering, limit));
        let mut too_many = peers.into_iter().chain(all).filter(|(ids, limit)| ids.len() > limit.get());
        let oldest = *too_many.next()?.0.first()?;
        self.leave_the_queue(oldest);
        let oldest = self.waiting.get_mut(&oldest)?;
        oldest.evicted = true;
        Some(oldest.waker.clone())
    }

    /// It counts against no limit any more.
    fn leave_the_queue(&mut self, id: u64) {
        self.lingering.remove(&id);
        let Some(peer) = self.waiting.get(&id).and_then(|waiting| waiting.peer.as_deref().copied()) else {
            return;
        };
        if let Entry::Occupied(mut ids) = self.of_peer.entry(peer) {
            ids.get_mut().remove(&id);
            if ids.get().is_empty() {
                ids.remove();
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.tracker.inner.lock();
        state.leave_the_queue(self.id);
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
