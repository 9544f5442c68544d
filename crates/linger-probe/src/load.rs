//! Loads a server with many clients at once: does it still end its connections as it should, and what does
//! that cost?
//!
//! In a closed loop, each connection sends its next request once it has its response. In an open loop,
//! requests are due at a fixed rate, whether the server keeps up or not.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::rustls::client::Resumption;

use crate::model::load::{LoadReport, Unopened};
use crate::target::{Options, Target};

mod client;
mod expect;
#[cfg(target_os = "linux")]
mod held;
mod mix;
mod pacer;
mod shared;
mod tally;
mod worker;

use client::Requests;
pub use expect::Statuses;
pub use mix::{Kind, Mix};
use pacer::Pacer;
use shared::Shared;
use tally::Pace;
use worker::{Found, Workers};

/// How a server is loaded.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which requests are sent.
    pub mix: Mix,
    /// The maximum number of connections at once.
    pub connections: u32,
    /// How long new requests begin. Requests that are under way at the end have one more second, or the
    /// options' timeout if that is shorter.
    pub duration: Duration,
    /// The clients begin evenly spread over this time.
    pub ramp_up: Duration,
    /// Requests per second of an open loop. `None` is a closed loop.
    pub rate: Option<f64>,
    /// Whether a connection serves many requests instead of one. A refused upload is always the last request
    /// of its connection.
    pub keep_alive: bool,
    /// Whether TLS sessions are resumed where the server issues tickets.
    pub resume: bool,
    /// Statuses that pass, in addition to those that each kind of request expects.
    pub allowed: Statuses,
}

impl Plan {
    /// The plan in a few words, for reports.
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

/// The counts of a load that is running.
#[derive(Debug, Clone, Copy, Default)]
pub struct Live {
    /// Whole responses.
    pub complete: u64,
    /// Whole responses with an unexpected status.
    pub unexpected: u64,
    /// Requests without a whole response.
    pub lost: u64,
}

/// Loads a server, and calls `progress` a few times a second. Once `stop` completes, the load ends early, and
/// the report has what was found until then.
///
/// # Cancel safety
/// Dropping the future ends the load's connections.
pub async fn load(
    target: &Target,
    options: &Options,
    plan: &Plan,
    stop: impl Future<Output = ()>,
    mut progress: impl FnMut(Live),
) -> LoadReport {
    let mut target = target.clone();
    if let Some(tls) = &mut target.tls {
        // Each load has its own store of sessions, so that no session of an earlier run is resumed.
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
    // Little's law: the mean number of held sockets is their rate of arrival times how long each is held.
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

/// The processor time that this process has used so far.
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

/// A client pauses this long after a connection that could not be opened.
const UNOPENED_PAUSE: Duration = Duration::from_millis(10);
