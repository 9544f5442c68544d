//! Many clients at once: does a server still end its connections as it should, and what does that cost?
//!
//! In a closed loop each connection asks again when it has its answer. In an open loop requests are due at a
//! fixed rate, whether the server keeps up or not.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_rustls::rustls::client::Resumption;

use crate::model::load::{LoadReport, Unopened};
use crate::target::{Options, Target};

mod client;
mod expect;
#[cfg(target_os = "linux")]
mod held;
mod mix;
mod pacer;
mod tally;
mod worker;

use client::Requests;
pub use expect::Statuses;
pub use mix::{Kind, Mix};
use pacer::Pacer;
use tally::{Came, Pace};
use worker::{Found, Workers};

/// How a server is loaded.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which requests.
    pub mix: Mix,
    /// At most so many at once.
    pub connections: u32,
    /// New requests are begun for so long. Those that are under way then have a second more at most, or the
    /// options' timeout where that is shorter.
    pub duration: Duration,
    /// The connections are begun evenly over this time.
    pub ramp_up: Duration,
    /// Requests a second of an open loop; none for a closed one.
    pub rate: Option<f64>,
    /// Many requests on a connection, instead of one on each. An upload that is refused is its connection's
    /// last in any case.
    pub keep_alive: bool,
    /// TLS sessions are resumed where the server gives tickets.
    pub resume: bool,
    /// Statuses that count as an answer beside those that a kind of request expects.
    pub allowed: Statuses,
}

impl Plan {
    /// In a few words.
    #[must_use]
    pub fn words(&self) -> String {
        let loop_ = self.rate.map_or("closed loop".to_owned(), |rate| format!("{rate} requests a second"));
        let connections = if self.keep_alive { "kept alive" } else { "one request on each" };
        let begun = match self.ramp_up.as_secs_f64() {
            0.0 => String::new(),
            seconds => format!(", begun over {seconds} s"),
        };
        format!("{loop_}, {} connections{begun}, {connections}", self.connections)
    }
}

/// What a running load has come to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Live {
    /// Whole responses.
    pub complete: u64,
    /// Those with a status that is not expected.
    pub unexpected: u64,
    /// Requests without one.
    pub lost: u64,
}

/// Loads a server, and tells how it goes, a few times a second. Once `stop` is ready, it ends early, and
/// tells what was found until then.
///
/// # Cancel safety
/// Dropping it ends its connections.
pub async fn load(
    target: &Target,
    options: &Options,
    plan: &Plan,
    stop: impl Future<Output = ()>,
    mut progress: impl FnMut(Live),
) -> LoadReport {
    let mut target = target.clone();
    if let Some(tls) = &mut target.tls {
        // A store of its own: what a server remembers of another run is not measured.
        let mut config = (*tls.config).clone();
        config.resumption =
            if plan.resume { Resumption::in_memory_sessions(256) } else { Resumption::disabled() };
        tls.config = Arc::new(config);
    }
    let requests = Arc::new(Requests::new(&target, options, plan));
    let shared = Arc::new(Shared::new(plan, options.timeout));
    #[cfg(target_os = "linux")]
    let held = (target.address.ip().is_loopback() && !plan.keep_alive)
        .then(|| held::Sampler::start(target.address.port()))
        .flatten();
    let cpu = cpu();

    let pacer = plan.rate.map(|rate| Pacer::start(&shared, rate));
    let mut workers = Workers::start(&shared, &requests);
    let mut found = Found::default();
    let mut ticks = interval(Duration::from_millis(250));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut stop, mut is_stopped) = (pin!(stop), false);
    loop {
        tokio::select! {
            () = &mut stop, if !is_stopped => {
                workers.stop();
                is_stopped = true;
            }
            worker = workers.next() => match worker {
                Some(more) => found.merge(more),
                None => break,
            },
            _ = ticks.tick() => progress(shared.live()),
        }
    }
    let took = shared.begun.elapsed();
    let spent = cpu.zip(self::cpu()).map(|(before, after)| after.saturating_sub(before));
    drop(pacer);
    progress(shared.live());

    let is_tls = target.tls.is_some();
    let pace = match plan.rate {
        Some(_) => Pace::Due,
        None => Pace::Closed { took, connections: plan.connections },
    };
    let Found { kinds, openings } = found;
    let kinds: Vec<_> = Kind::ALL
        .into_iter()
        .zip(&kinds)
        .filter(|(kind, _)| plan.mix.has(*kind))
        .map(|(kind, tally)| tally.report(kind, &plan.allowed, is_tls, pace))
        .collect();
    let each = |time: Duration, number: u64| (number > 0).then(|| time.div_f64(as_f64(number)));
    let ended = kinds.iter().map(|kind| kind.ended).sum();
    let asked: u64 = kinds.iter().map(|kind| kind.requests).sum();
    // Little's law: how many there are at a time is how many come in a time, times how long each stays.
    #[cfg(target_os = "linux")]
    let held = held.and_then(held::Sampler::finish).and_then(|mean| each(took.mul_f64(mean), ended));
    #[cfg(not(target_os = "linux"))]
    let held = None;
    LoadReport {
        name: target.name,
        url: target.url,
        plan: plan.words(),
        took,
        connections: openings.opened,
        unopened: openings.why.map(|why| Unopened { connections: openings.failed, why }),
        resumed: is_tls.then_some(openings.resumed),
        unsent: shared.unsent(),
        held,
        probe_cpu: spent.and_then(|spent| each(spent, asked)),
        server_cpu: None,
        kinds,
    }
}

/// What the clients of a load share.
#[derive(Debug)]
struct Shared {
    mix: Mix,
    allowed: Statuses,
    connections: u32,
    ramp_up: Duration,
    rate: Option<f64>,
    begun: Instant,
    /// No request is begun after it.
    end: Instant,
    /// No request waits longer.
    cut: Instant,
    /// Requests that are due, in an open loop.
    due: Semaphore,
    issued: AtomicU64,
    taken: AtomicU64,
    complete: AtomicU64,
    unexpected: AtomicU64,
    lost: AtomicU64,
}

impl Shared {
    fn new(plan: &Plan, timeout: Duration) -> Self {
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

    fn live(&self) -> Live {
        let value = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Live { complete: value(&self.complete), unexpected: value(&self.unexpected), lost: value(&self.lost) }
    }

    /// Counts a request in what [`Shared::live`] tells.
    fn note(&self, kind: Kind, came: Came) {
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

    fn unsent(&self) -> u64 {
        self.issued.load(Ordering::Relaxed).saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// When this client begins, counted from 0.
    fn beginning(&self, client: u32) -> Instant {
        self.begun + self.ramp_up.mul_f64(f64::from(client) / f64::from(self.connections))
    }

    /// The next request's kind, and when it was due. None when the time is up, also where more requests are
    /// due.
    async fn next(&self) -> Option<(Kind, Instant)> {
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

/// What this process has spent so far.
#[cfg(unix)]
fn cpu() -> Option<Duration> {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let time = |time: nix::sys::time::TimeVal| {
        let micros = i128::from(time.tv_sec()) * 1_000_000 + i128::from(time.tv_usec());
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    };
    Some(time(usage.user_time()) + time(usage.system_time()))
}

#[cfg(not(unix))]
fn cpu() -> Option<Duration> {
    None
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

/// After a connection that could not be opened.
const UNOPENED_PAUSE: Duration = Duration::from_millis(10);
/// At the end of a run, for requests that are under way.
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

    /// A request that had to wait for a connection counts from when it was due: coordinated omission is not
    /// possible.
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

    /// Requests that were due before the end are not begun after it.
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
