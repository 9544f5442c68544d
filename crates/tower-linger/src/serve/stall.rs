//! The limit on how long a service's writes may make no progress (`write_idle_timeout`).

use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::clock::now;
use crate::tracker::tracker::Tracker;
use crate::tracker::wakeup::Wakeup;

/// Runs while a write or a flush has to wait, if the policy bounds that. Otherwise it costs only a pointer.
#[derive(Default)]
pub(crate) struct Stall(Option<Box<Running>>);

struct Running {
    deadline: Instant,
    alarm: Wakeup,
    /// Bytes that the peer had not acknowledged when the deadline was set. If there are fewer of them at the
    /// deadline, the peer is only slow: the system wakes a writer when a third of its buffer is free, which
    /// may take longer than the limit.
    unacked: Option<u64>,
}

impl Stall {
    /// To be called while a write has to wait. Completes when the peer has taken nothing for `limit`.
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
            Box::new(Running { deadline: now + limit, alarm: tracker.wakeup(), unacked: unacked() })
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

    /// Whether a write had to wait and nothing was taken since.
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// Something was taken. Returns whether a write had to wait for that.
    pub(crate) fn end(&mut self) -> bool {
        self.0.take().is_some()
    }
}
