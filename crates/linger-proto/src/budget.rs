//! The two clocks of one stretch of the close: a total one that is never extended, an idle one that restarts.

use std::time::{Duration, Instant};

/// A deadline and an idle timeout; both finite, by [`ClosePolicy`](crate::ClosePolicy)'s checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    deadline: Instant,
    /// In nanoseconds, which suffice for centuries.
    idle: u64,
    progress_at: Instant,
}

/// Which of the two clocks ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    Total,
    Idle,
}

impl Budget {
    pub(crate) fn new(total: Duration, idle: Duration, now: Instant) -> Self {
        let idle = u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX);
        Self { deadline: now + total, idle, progress_at: now }
    }

    /// Restarts the idle clock from `at`, which may be in the past: bytes are sometimes read later than they
    /// came.
    pub(crate) fn progress(&mut self, at: Instant) {
        self.progress_at = self.progress_at.max(at);
    }

    /// When there was progress last.
    pub(crate) fn progress_at(&self) -> Instant {
        self.progress_at
    }

    /// When the earlier of the two clocks runs out, unless there is progress before.
    pub(crate) fn next_timeout(&self) -> Instant {
        self.deadline.min(self.idle_deadline())
    }

    fn idle_deadline(&self) -> Instant {
        self.progress_at + Duration::from_nanos(self.idle)
    }

    pub(crate) fn expired(&self, now: Instant) -> Option<Expired> {
        if now >= self.deadline {
            Some(Expired::Total)
        } else if now >= self.idle_deadline() {
            Some(Expired::Idle)
        } else {
            None
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the clock gives a point to count from")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn progress_restarts_the_idle_clock_and_never_the_total_one() {
        let t0 = Instant::now();
        let mut budget = Budget::new(5 * SECOND, 2 * SECOND, t0);
        for second in 1..=4 {
            let now = t0 + second * SECOND;
            assert_eq!(budget.expired(now), None, "at {second} s");
            budget.progress(now);
        }
        assert_eq!(budget.next_timeout(), t0 + 5 * SECOND);
        assert_eq!(budget.expired(t0 + 5 * SECOND), Some(Expired::Total));
    }

    #[test]
    fn silence_runs_the_idle_clock_out_first() {
        let t0 = Instant::now();
        let budget = Budget::new(5 * SECOND, 2 * SECOND, t0);
        assert_eq!(budget.next_timeout(), t0 + 2 * SECOND);
        assert_eq!(budget.expired(t0 + 2 * SECOND), Some(Expired::Idle));
    }
}
