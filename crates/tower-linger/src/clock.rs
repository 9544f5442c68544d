//! Tokio's clock, so that tests can pause it: the only place that reads it or sleeps by it.

use std::thread;
use std::time::Instant;

use tokio::time::Sleep;

/// The machine and the tracker reckon in the standard library's type.
#[expect(clippy::disallowed_methods, reason = "the one clock")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[expect(clippy::disallowed_methods, reason = "the one way to sleep")]
pub(crate) fn sleep_until(deadline: Instant) -> Sleep {
    tokio::time::sleep_until(deadline.into())
}

/// Blocks the thread until it is unparked, or the time has come, or for no reason.
#[expect(clippy::disallowed_methods, reason = "the one way to sleep in a thread")]
pub(crate) fn park_until(deadline: Instant) {
    thread::park_timeout(deadline.saturating_duration_since(now()));
}
