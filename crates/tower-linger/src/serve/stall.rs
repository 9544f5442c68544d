//! How long a service's writes have made no progress.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::clock::now;
use crate::tracker::state::Alarmed;
use crate::tracker::tracker::Tracker;

/// Runs while a write is not taken, where the policy bounds that. Costs nothing but a pointer otherwise.
#[derive(Default)]
pub(crate) struct Stall(Option<Box<Running>>);

struct Running {
    deadline: Instant,
    alarm: Alarmed,
}

impl Stall {
    /// A write was not taken: completes when that has been so for `limit`.
    pub(crate) fn poll(&mut self, limit: Option<Duration>, tracker: &Tracker, cx: &Context<'_>) -> Poll<()> {
        let Some(limit) = limit else { return Poll::Pending };
        let now = now();
        let running = self
            .0
            .get_or_insert_with(|| Box::new(Running { deadline: now + limit, alarm: tracker.alarmed() }));
        running.alarm.poll_at(cx, running.deadline, now)
    }

    /// A write was taken.
    pub(crate) fn end(&mut self) {
        self.0 = None;
    }
}
