//! Many clients at once: does a server still end its connections as it should, and what does that cost?
//!
//! In a closed loop each connection asks again when it has its answer; in an open loop requests are due at a fixed rate,
//! whether the server keeps up or not, and each latency counts from the moment when the request was due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at};
use tokio_rustls::rustls::client::Resumption;

use crate::model::load::LoadReport;
use crate::target::{Options, Target};

mod client;
#[cfg(target_os = "linux")]
mod held;
mod mix;
mod tally;

use client::{Client, Requests};
pub use mix::{Kind, Mix};
use tally::{Came, Tally};

/// How a server is loaded.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which requests.
    pub mix: Mix,
    /// At most so many at once.
    pub connections: u32,
    /// New requests are begun for so long.
    pub duration: Duration,
    /// Requests a second of an open loop; none for a closed one.
    pub rate: Option<f64>,
    /// Many requests on a connection, instead of one on each. An upload that is refused is its connection's last in any case.
    pub keep_alive: bool,
    /// TLS sessions are resumed where the server gives tickets.
    pub resume: bool,
}

impl Plan {
    /// In a few words.
    #[must_use]
    pub fn words(&self) -> String {
        let loop_ = self.rate.map_or("closed loop".to_owned(), |rate| format!("{rate} requests a second"));
        let connections = if self.keep_alive { "kept alive" } else { "one request on each" };
        format!("{loop_}, {} connections, {connections}", self.connections)
    }
}

/// What a running load has come to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Live {
    /// Whole responses.
    pub complete: u64,
    /// Requests without one.
    pub lost: u64,
}

/// Loads a server, and tells how it goes, a few times a second.
///
/// # Cancel safety
/// Dropping it ends its connections.
pub async fn load(
    target: &Target,
    options: &Options,
    plan: &Plan,
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
    let shared = Arc::new(Shared::new(plan));
    #[cfg(target_os = "linux")]
    let held = (target.address.ip().is_loopback() && !plan.keep_alive)
        .then(|| held::Sampler::start(target.address.port()))
        .flatten();
    let cpu = cpu();

    let pacer = plan.rate.map(|_| Pacer::start(&shared));
    let mut clients = JoinSet::new();
    for _ in 0..plan.connections {
        clients.spawn(shared.clone().client(Client::new(requests.clone())));
    }
    let mut all = Client::new(requests.clone());
    let mut tallies = Kind::ALL.map(|_| Tally::new());
    let mut ticks = interval(Duration::from_millis(250));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            joined = clients.join_next() => match joined {
                None => break,
                Some(Ok((client, found))) => {
                    for (sum, more) in tallies.iter_mut().zip(&found) {
                        sum.merge(more);
                    }
                    all.opened += client.opened;
                    all.resumed += client.resumed;
                    all.unopened += client.unopened;
                    all.why = all.why.or(client.why);
                }
                Some(Err(panic)) => {
                    all.unopened += 1;
                    all.why.get_or_insert_with(|| panic.to_string());
                }
            },
            _ = ticks.tick() => progress(shared.live()),
        }
    }
    let took = shared.begun.elapsed();
    let spent = cpu.zip(self::cpu()).map(|(before, after)| after.saturating_sub(before));
    drop(pacer);
    progress(shared.live());

    let (is_tls, is_closed) = (target.tls.is_some(), plan.rate.is_none());
    let kinds: Vec<_> = Kind::ALL
        .into_iter()
        .zip(&tallies)
        .filter(|(kind, _)| plan.mix.has(*kind))
        .map(|(kind, tally)| tally.report(kind, is_tls, is_closed))
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
        connections: all.opened,
        unopened: all.why.map(|why| (all.unopened, why)),
        resumed: is_tls.then_some(all.resumed),
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
    rate: Option<f64>,
    begun: Instant,
    end: Instant,
    /// Requests that are due, in an open loop.
    due: Semaphore,
    issued: AtomicU64,
    taken: AtomicU64,
    complete: AtomicU64,
    lost: AtomicU64,
}

impl Shared {
    fn new(plan: &Plan) -> Self {
        let begun = Instant::now();
        Self {
            mix: plan.mix.clone(),
            rate: plan.rate,
            begun,
            end: begun + plan.duration,
            due: Semaphore::new(0),
            issued: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            complete: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    fn live(&self) -> Live {
        Live { complete: self.complete.load(Ordering::Relaxed), lost: self.lost.load(Ordering::Relaxed) }
    }

    fn unsent(&self) -> u64 {
        self.issued.load(Ordering::Relaxed).saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// The next request's kind, and when it was due. None when the time is up.
    async fn next(&self) -> Option<(Kind, Instant)> {
        let Some(rate) = self.rate else {
            let now = Instant::now();
            let number = self.taken.fetch_add(1, Ordering::Relaxed);
            return (now < self.end).then(|| (self.mix.kind(number), now));
        };
        let permit = timeout_at(self.end, self.due.acquire()).await.ok()?.ok()?;
        permit.forget();
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let due = self.begun + Duration::from_secs_f64(as_f64(number) / rate);
        Some((self.mix.kind(number), due))
    }

    /// A client, until the time is up.
    async fn client(self: Arc<Self>, mut client: Client) -> (Client, [Tally; Kind::ALL.len()]) {
        let mut tallies = Kind::ALL.map(|_| Tally::new());
        while let Some((kind, due)) = self.next().await {
            let exchange = client.exchange(kind, due).await;
            let whole = exchange.is_some_and(|exchange| exchange.came == Came::Whole);
            let live = if whole { &self.complete } else { &self.lost };
            live.fetch_add(1, Ordering::Relaxed);
            match exchange {
                Some(exchange) => tallies[kind as usize].add(exchange),
                // A server that takes no connections is not asked as fast as one can.
                None => sleep_until((Instant::now() + UNOPENED_PAUSE).min(self.end)).await,
            }
        }
        (client, tallies)
    }
}

/// Issues requests when they are due: a thread, because a runtime's timers are as coarse as a millisecond.
struct Pacer(Arc<AtomicBool>);

impl Pacer {
    fn start(shared: &Arc<Shared>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (shared.clone(), stop.clone());
        std::thread::spawn(move || {
            let rate = shared.rate.unwrap_or(1.0);
            let mut issued = 0_u64;
            while !stopped.load(Ordering::Relaxed) && Instant::now() < shared.end {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a count of requests"
                )]
                let due = (shared.begun.elapsed().as_secs_f64() * rate) as u64 + 1;
                let more = due.saturating_sub(issued);
                shared.issued.fetch_add(more, Ordering::Relaxed);
                shared.due.add_permits(usize::try_from(more).unwrap_or_default());
                issued = issued.max(due);
                let next = shared.begun + Duration::from_secs_f64(as_f64(issued) / rate);
                std::thread::sleep(next.saturating_duration_since(Instant::now()).min(PACER_PAUSE));
            }
        });
        Self(stop)
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
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
/// So that it sees when it is to stop.
const PACER_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    /// A request that had to wait for a connection counts from when it was due: coordinated omission is not possible.
    #[tokio::test(start_paused = true)]
    async fn an_open_loop_counts_from_the_due_time() {
        let plan = Plan {
            mix: "get".parse().expect("a mix"),
            connections: 1,
            duration: Duration::from_secs(10),
            rate: Some(100.0),
            keep_alive: false,
            resume: false,
        };
        let shared = Shared::new(&plan);
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
}
