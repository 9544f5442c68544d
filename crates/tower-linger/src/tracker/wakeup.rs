//! A task that waits for a time by the tracker's timers, and is no close.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::tracker::state::{Inner, Place};

/// The timers reckon in times of a day at most, which no bound of a close exceeds.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// Wakes one task at a given time, and when the server's shutdown deadline is set or moved. It uses the
/// tracker's timers.
pub(crate) struct Wakeup {
    inner: Arc<Inner>,
    place: Place,
}

impl Wakeup {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, place: Place::default() }
    }

    /// Completes at this time. Without a runtime it cannot wake the task for that.
    pub(crate) fn poll_at(&mut self, cx: &Context<'_>, at: Instant, now: Instant) -> Poll<()> {
        if at <= now {
            return Poll::Ready(());
        }
        self.inner.wait_uncounted(&mut self.place, cx, at.min(now + LONGEST_SLEEP), now);
        Poll::Pending
    }
}

impl Drop for Wakeup {
    fn drop(&mut self) {
        self.inner.end_wait(&mut self.place);
    }
}
