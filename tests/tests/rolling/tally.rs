//! What the clients of a test have seen, all together.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

/// Far longer than a replica is away.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was asked for. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Traffic {
    Get,
    /// Not idempotent, so that no balancer may send it a second time.
    Post,
    /// An upload that is refused before its end.
    Upload,
    /// A message on a `WebSocket`.
    Message,
}

/// Counts of one kind of traffic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) begun: usize,
    pub(super) answered: usize,
    /// Requests without their answer; connections of messages that were cut.
    pub(super) lost: Vec<String>,
    /// Requests that no server has got, sent once more on a new connection; `WebSocket`s that were told 1001.
    pub(super) moved: usize,
    /// The longest that an answer took.
    pub(super) slowest: Duration,
}

/// Clones are the same tally.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    counts: Arc<Mutex<BTreeMap<(&'static str, Traffic), Count>>>,
    /// How often each process has answered.
    replicas: watch::Sender<HashMap<u32, usize>>,
}

impl Tally {
    pub(super) fn begin(&self, door: &'static str, traffic: Traffic) {
        self.counts().entry((door, traffic)).or_default().begun += 1;
    }

    /// A request that was begun then was answered by this process.
    pub(super) fn answered(&self, door: &'static str, traffic: Traffic, begun: Instant, replica: u32) {
        self.came_back(door, traffic, begun);
        self.replicas.send_modify(|replicas| *replicas.entry(replica).or_default() += 1);
    }

    /// An answer came that does not tell whose it is.
    pub(super) fn came_back(&self, door: &'static str, traffic: Traffic, begun: Instant) {
        let mut counts = self.counts();
        let count = counts.entry((door, traffic)).or_default();
        count.answered += 1;
        count.slowest = count.slowest.max(begun.elapsed());
    }

    pub(super) fn lost(&self, door: &'static str, traffic: Traffic, how: String) {
        self.counts().entry((door, traffic)).or_default().lost.push(how);
    }

    pub(super) fn moved(&self, door: &'static str, traffic: Traffic) {
        self.counts().entry((door, traffic)).or_default().moved += 1;
    }

    /// Waits until this process has answered so many requests.
    ///
    /// # Panics
    ///
    /// If it does not within 30 seconds.
    pub(super) async fn answered_by(&self, replica: u32, times: usize) {
        let mut replicas = self.replicas.subscribe();
        let has_answered =
            |replicas: &HashMap<u32, usize>| replicas.get(&replica).copied().unwrap_or(0) >= times;
        let answered = timeout(PATIENCE, replicas.wait_for(has_answered)).await;
        drop(answered.unwrap_or_else(|_| panic!("process {replica} answers nothing: {self}")));
    }

    pub(super) fn total(&self) -> Count {
        self.sum(|_| true)
    }

    /// One kind of traffic, through whatever door.
    pub(super) fn count(&self, traffic: Traffic) -> Count {
        self.sum(|of| of == traffic)
    }

    /// In one piece, because tests print at the same time.
    pub(super) fn print(&self, title: &str) {
        let text = format!("{title}:{self}\n");
        print!("{text}");
    }

    fn sum(&self, counts: impl Fn(Traffic) -> bool) -> Count {
        let mut sum = Count::default();
        for (_, count) in self.counts().iter().filter(|((_, traffic), _)| counts(*traffic)) {
            sum.begun += count.begun;
            sum.answered += count.answered;
            sum.moved += count.moved;
            sum.slowest = sum.slowest.max(count.slowest);
            sum.lost.extend(count.lost.iter().cloned());
        }
        sum
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<(&'static str, Traffic), Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line for each kind of traffic, and the losses below it, each way once.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((door, traffic), count) in self.counts().iter() {
            let Count { begun, answered, lost, moved, slowest } = count;
            write!(f, "\n  {door:<10} {:<8}", format!("{traffic:?}"))?;
            write!(f, "{begun:6} begun {answered:6} answered {moved:4} moved {:4} lost", lost.len())?;
            write!(f, ", slowest {} ms", slowest.as_millis())?;
            let mut ways = BTreeMap::new();
            for how in lost {
                *ways.entry(how).or_insert(0) += 1;
            }
            for (how, times) in ways {
                write!(f, "\n      {times} × {how}")?;
            }
        }
        Ok(())
    }
}
