//! What the clients of a load share: its clock, its queue of requests and its live counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::expect::Statuses;
use super::mix::{Kind, Mix};
use super::tally::Came;
use super::{Live, Plan, as_f64};

/// What the clients of a load share.
#[derive(Debug)]
pub(super) struct Shared {
    mix: Mix,
    allowed: Statuses,
    pub(super) connections: u32,
    ramp_up: Duration,
    rate: Option<f64>,
    pub(super) begun: Instant,
    /// No request begins after this.
    pub(super) end: Instant,
    /// No request waits longer than this.
    pub(super) cut: Instant,
    /// In an open loop, a permit for each request that is due and has not begun.
    pub(super) due: Semaphore,
    pub(super) issued: AtomicU64,
    taken: AtomicU64,
    complete: AtomicU64,
    unexpected: AtomicU64,
    lost: AtomicU64,
}

impl Shared {
    pub(super) fn new(plan: &Plan, timeout: Duration) -> Self {
        let begun = Instant::now();
        let end = begun + plan.duration;
        Self {
            mix: plan.mix.clone(),
            allowed: plan.allowed.clone(),
            connections: plan.connections,
            ramp_up: plan.ramp_up,
            rate: plan.rate,
            begun,
            end,
            cut: end + timeout.min(GRACE),
            due: Semaphore::new(0),
            issued: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            complete: AtomicU64::new(0),
            unexpected: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    pub(super) fn live(&self) -> Live {
        let value = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Live { complete: value(&self.complete), unexpected: value(&self.unexpected), lost: value(&self.lost) }
    }

    /// Adds a request to the counts of [`Shared::live`].
    pub(super) fn note(&self, kind: Kind, came: Came) {
        let add = |number: &AtomicU64| _ = number.fetch_add(1, Ordering::Relaxed);
        match came {
            Came::Whole(status) => {
                add(&self.complete);
                if !kind.expects(status) && !self.allowed.has(status) {
                    add(&self.unexpected);
                }
            }
            Came::Unfinished => {}
            Came::Refused | Came::Unopened | Came::Reset | Came::TimedOut | Came::Cut => add(&self.lost),
        }
    }

    /// Requests that were due and never began.
    pub(super) fn unsent(&self) -> u64 {
        self.issued.load(Ordering::Relaxed).saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// When the client of this number begins. Numbers begin at 0.
    pub(super) fn beginning(&self, client: u32) -> Instant {
        self.begun + self.ramp_up.mul_f64(f64::from(client) / f64::from(self.connections))
    }

    /// The kind of the next request, and when it was due. `None` once the time is up, even if more requests
    /// are due.
    pub(super) async fn next(&self) -> Option<(Kind, Instant)> {
        let now = Instant::now();
        if now >= self.end {
            return None;
        }
        let Some(rate) = self.rate else {
            let number = self.taken.fetch_add(1, Ordering::Relaxed);
            return Some((self.mix.kind(number), now));
        };
        let permit = timeout_at(self.end, self.due.acquire()).await.ok()?.ok()?;
        permit.forget();
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let due = self.begun + Duration::from_secs_f64(as_f64(number) / rate);
        Some((self.mix.kind(number), due))
    }
}

/// Requests under way when the run ends have this long to finish.
const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            mix: "get".parse().expect("a mix"),
            connections: 4,
            duration: Duration::from_secs(10),
            ramp_up: Duration::from_secs(2),
            rate: Some(100.0),
            keep_alive: false,
            resume: false,
            allowed: Statuses::default(),
        }
    }

    /// A request that had to wait for a connection counts from when it was due, which rules out coordinated
    /// omission.
    #[tokio::test(start_paused = true)]
    async fn an_open_loop_counts_from_the_due_time() {
        let shared = Shared::new(&plan(), GRACE);
        shared.issued.fetch_add(300, Ordering::Relaxed);
        shared.due.add_permits(300);
        tokio::time::advance(Duration::from_secs(3)).await;
        for number in 0..300 {
            let (_, due) = shared.next().await.expect("the time is not up");
            assert_eq!(due - shared.begun, Duration::from_millis(10 * number));
        }
        assert!(shared.next().await.is_none(), "nothing more is due");
        assert_eq!(shared.unsent(), 0);
    }

    /// A request that was due before the end does not begin after it.
    #[tokio::test(start_paused = true)]
    async fn the_end_is_the_end() {
        let shared = Shared::new(&plan(), GRACE);
        shared.issued.fetch_add(300, Ordering::Relaxed);
        shared.due.add_permits(300);
        assert!(shared.next().await.is_some());
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(shared.next().await.is_none());
        assert_eq!(shared.unsent(), 299);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_begin_evenly_and_the_grace_is_bounded() {
        let shared = Shared::new(&plan(), Duration::from_millis(300));
        let begin = |client| shared.beginning(client) - shared.begun;
        assert_eq!([0, 1, 3].map(begin), [0, 500, 1500].map(Duration::from_millis));
        assert_eq!(shared.cut - shared.end, Duration::from_millis(300));
        assert_eq!(Shared::new(&plan(), Duration::from_secs(60)).cut - shared.end, GRACE);
        assert_eq!(
            plan().words(),
            "100 requests a second, 4 connections, begun over 2 s, one request on each"
        );
    }
}
