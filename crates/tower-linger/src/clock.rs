//! Tokio's clock, so that tests can pause it: the only place that reads it or sleeps by it.

use std::time::{Duration, Instant};

use linger_proto::ConfigError;

#[cfg(not(all(test, tower_linger_shuttle)))]
use crate::sync::Sleep;
#[cfg(all(test, tower_linger_shuttle))]
pub(crate) use crate::sync::model::clock::{now, park_until, sleep_until};

/// The machine and the tracker reckon in the standard library's type.
#[cfg(not(all(test, tower_linger_shuttle)))]
#[expect(clippy::disallowed_methods, reason = "the one clock")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// This long from now. Decades are the longest, so that the clock does not overflow: they stand for "never".
pub(crate) fn after(time: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    let now = now();
    now.checked_add(time.min(NEVER)).unwrap_or(now)
}

/// A setting of a server: more than zero, at most a day, since longer is a mistake in the unit.
pub(crate) fn checked_time(field: &'static str, time: Duration) -> Result<Duration, ConfigError> {
    if time.is_zero() {
        Err(ConfigError::ZeroTime { field })
    } else if time > Duration::from_secs(24 * 60 * 60) {
        Err(ConfigError::TooLong { field, time })
    } else {
        Ok(time)
    }
}

#[cfg(not(all(test, tower_linger_shuttle)))]
#[expect(clippy::disallowed_methods, reason = "the one way to sleep")]
pub(crate) fn sleep_until(deadline: Instant) -> Sleep {
    tokio::time::sleep_until(deadline.into())
}

/// Blocks the thread until it is unparked or the time has come. It may return earlier for no reason.
#[cfg(not(all(test, tower_linger_shuttle)))]
#[expect(clippy::disallowed_methods, reason = "the one way to sleep in a thread")]
pub(crate) fn park_until(deadline: Instant) {
    std::thread::park_timeout(deadline.saturating_duration_since(now()));
}
