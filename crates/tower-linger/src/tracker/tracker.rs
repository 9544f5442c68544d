//! The connections of a server, from accept to release.

use std::fmt;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::clock::{self, now};
use crate::tracker::eviction::Limits;
use crate::tracker::state::Inner;
use crate::tracker::summary::Summary;
use crate::tracker::wakeup::Wakeup;

/// Counts connections while they are served and while they close, waits for them, bounds how many linger,
/// and cuts them at a deadline. Clones are the same tracker.
///
/// A graceful-shutdown watcher (hyper-util's, axum's) ends requests; this ends the connections after them,
/// and those that it does not know: upgraded ones, and those whose framework has let go of them. Use both:
/// await the server first, then [`shutdown`](Self::shutdown), or let [`Shutdown`](crate::Shutdown) do it.
///
/// # How many may linger
///
/// A lingering connection counts against no accept or concurrency permit, and clients that never close could
/// use up the descriptors that the server needs to accept others. So at most half of the descriptors that the
/// process may have (its soft `RLIMIT_NOFILE`, as it is when the tracker is made) wait for their peers at
/// once, unless [`with_limit`](Self::with_limit) gives another number, or [`unlimited`](Self::unlimited)
/// none. One close more, and the oldest is released and reports [`Evicted`](linger_proto::Outcome::Evicted):
/// it had the longest to read what it was sent. Each tracker counts for itself.
#[derive(Clone)]
pub struct Tracker {
    inner: Arc<Inner>,
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
    /// released and reports [`Evicted`](linger_proto::Outcome::Evicted).
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
        Self { inner: Arc::new(Inner::new(limits)) }
    }

    /// How many connections there are: served and closing.
    #[must_use]
    pub fn len(&self) -> usize {
        let state = self.inner.lock();
        state.served() + state.closing()
    }

    /// Whether there is no connection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many connections are being served: accepted, in their TLS handshake, with or without a request,
    /// upgraded.
    #[must_use]
    pub fn served(&self) -> usize {
        self.inner.lock().served()
    }

    /// How many closes are running.
    #[must_use]
    pub fn closing(&self) -> usize {
        self.inner.lock().closing()
    }

    /// How all connections so far ended. Once none is left, its total is the number of those that were
    /// accepted, but for those that were taken away by [`LingerIo::into_inner`](crate::LingerIo::into_inner).
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.inner.lock().ended.clone()
    }

    /// Waits until no connection is served and none closes. The policy bounds each close; what is served
    /// ends when its service lets go of it, so ask the server to stop first.
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

    /// Ends everything within `limit` from now, waits for that, and tells how all connections so far ended.
    /// A second call can only shorten further: with a limit of zero it cuts at once, as a second signal
    /// should.
    ///
    /// Closes that are running, and all to come, are shortened to the deadline. What is still served then is
    /// cut: its next read or write fails, and whoever polls it is woken for that. What was sent gets up to
    /// half a second more to arrive. All that is cut reports
    /// [`ShutdownCut`](linger_proto::Outcome::ShutdownCut), and a connection that was busy does not end
    /// cleanly. Ask the server to stop accepting first: connections that come after the deadline are cut at
    /// once.
    ///
    /// A second after the deadline it returns in any case: a service that neither reads nor writes cannot be
    /// cut, and [`served`](Self::served) tells of it.
    ///
    /// # Cancel safety
    ///
    /// Dropping it stops the waiting, and with it the cutting of what is served; the deadline stays.
    pub async fn shutdown(&self, limit: Duration) -> Summary {
        self.set_deadline(clock::after(limit));
        self.wait_and_cut().await;
        self.summary()
    }

    /// Waits like [`wait`](Self::wait), cuts what is served at the deadline, if there is one, and gives up a
    /// second after that.
    pub(crate) async fn wait_and_cut(&self) {
        let mut alarm = self.wakeup();
        let mut given_up_at = None;
        loop {
            let mut all_done = pin!(self.inner.all_done.notified());
            let is_over = poll_fn(|cx| {
                // Registers before the count is looked at.
                let has_changed = all_done.as_mut().poll(cx).is_ready();
                if self.is_empty() {
                    return Poll::Ready(true);
                }
                let now = now();
                let deadline = self.deadline();
                if given_up_at.is_none() && deadline.is_some_and(|deadline| deadline <= now) {
                    self.inner.cut_served();
                    // Counted from now, since the deadline may have passed long before anyone began to wait.
                    given_up_at = Some(now + LONGEST_CUT);
                }
                let next = given_up_at.or(deadline).unwrap_or_else(|| clock::after(Duration::MAX));
                if alarm.poll_at(cx, next, now).is_ready() {
                    return Poll::Ready(given_up_at.is_some());
                }
                if has_changed { Poll::Ready(false) } else { Poll::Pending }
            })
            .await;
            if is_over {
                return;
            }
        }
    }

    /// Completes when fewer than `most` connections are served. Only one task can wait for that.
    #[cfg(feature = "serve")]
    pub(crate) fn poll_room(&self, most: NonZeroUsize, cx: &std::task::Context<'_>) -> Poll<()> {
        self.inner.poll_room(most, cx)
    }

    pub(crate) fn wakeup(&self) -> Wakeup {
        Wakeup::new(self.inner.clone())
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }

    pub(crate) fn set_deadline(&self, deadline: Instant) {
        self.inner.set_deadline(deadline);
    }

    pub(crate) fn cut_served(&self) {
        self.inner.cut_served();
    }
}

/// How long it takes at most until what is cut is gone.
const LONGEST_CUT: Duration = Duration::from_secs(1);

impl Default for Tracker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker")
            .field("served", &self.served())
            .field("closing", &self.closing())
            .finish_non_exhaustive()
    }
}
