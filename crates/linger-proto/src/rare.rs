//! State that only some closes need. It is boxed, so the others pay only for a pointer.

use std::time::{Duration, Instant};

/// State that only some closes need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Rare {
    /// The server's shutdown deadline, once there is one.
    pub(crate) cut_at: Option<Instant>,
    /// The bounds of reading through the TLS session, while the drain still does.
    pub(crate) session: Option<SessionRead>,
    /// When everything was acknowledged, and how long the peer has to be quiet from then on.
    pub(crate) acknowledged: Option<(Instant, Duration)>,
    /// While the close waits until everything is acknowledged.
    pub(crate) settling: Option<Settling>,
}

impl Rare {
    /// The state of a close that needs none of it.
    pub(crate) const NONE: &Self = &Self { cut_at: None, session: None, acknowledged: None, settling: None };
}

/// Reading through the session until the peer's `close_notify`, as the policy allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionRead {
    pub(crate) deadline: Instant,
    pub(crate) left: u64,
}

/// The kernel wakes nobody when data is acknowledged, so it is asked, less and less often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Settling {
    pub(crate) ask_at: Instant,
    pub(crate) interval: Duration,
    /// The system's last answer.
    pub(crate) unacked: Option<u64>,
    /// Since when nothing is unacknowledged.
    pub(crate) acknowledged_at: Option<Instant>,
    /// When the peer last sent something.
    pub(crate) last_byte_at: Instant,
}

impl Settling {
    const FIRST_INTERVAL: Duration = Duration::from_millis(1);
    const LONGEST_INTERVAL: Duration = Duration::from_millis(50);

    pub(crate) fn new(now: Instant) -> Self {
        Self {
            ask_at: now + Self::FIRST_INTERVAL,
            interval: Self::FIRST_INTERVAL,
            unacked: None,
            acknowledged_at: None,
            last_byte_at: now,
        }
    }

    pub(crate) fn ask_later(&mut self, now: Instant) {
        self.interval = (2 * self.interval).min(Self::LONGEST_INTERVAL);
        self.ask_at = now + self.interval;
    }
}
