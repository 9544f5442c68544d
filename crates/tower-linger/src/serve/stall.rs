//! How long a service's writes have made no progress.

use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::clock::now;
use crate::tracker::state::Alarmed;
use crate::tracker::tracker::Tracker;

/// Runs while a write or a flush has to wait, where the policy bounds that. Costs nothing but a pointer
/// otherwise.
#[derive(Default)]
pub(crate) struct Stall(Option<Box<Running>>);

struct Running {
    deadline: Instant,
    alarm: Alarmed,
    /// Bytes that the peer had not acknowledged when the deadline was set. The system wakes a writer only
    /// when a third of its buffer is free, and a slow peer may need longer for that than the deadline allows.
    unacked: Option<u64>,
}

impl Stall {
    /// A write has to wait: completes when the peer has taken nothing for `limit`.
    pub(crate) fn poll(
        &mut self,
        limit: Option<Duration>,
        tracker: &Tracker,
        cx: &Context<'_>,
        unacked: impl Fn() -> Option<u64>,
    ) -> Poll<()> {
        let Some(limit) = limit else { return Poll::Pending };
        let now = now();
        let running = self.0.get_or_insert_with(|| {
            Box::new(Running { deadline: now + limit, alarm: tracker.alarmed(), unacked: unacked() })
        });
        ready!(running.alarm.poll_at(cx, running.deadline, now));
        let left = unacked();
        if left >= running.unacked {
            return Poll::Ready(());
        }
        running.unacked = left;
        running.deadline = now + limit;
        running.alarm.poll_at(cx, running.deadline, now)
    }

    /// Whether something had to wait, and nothing was taken since.
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// Something was taken.
    pub(crate) fn end(&mut self) {
        self.0 = None;
    }
}
