//! Is anything left of a connection, however it ended? Clients of ten kinds come and go as fast as they can,
//! plain and over TLS, for `SOAK_MINUTES` (20 s without it). Each second, the memory, descriptors, tasks and
//! sockets of the server's process are looked at; afterwards nothing of them may be left. With `SOAK_MINUTES`
//! the results are kept for the table and for `docs/soak.svg`. Needs root or user namespaces, and jemalloc.

use std::process::ExitCode;
use std::time::Duration;

use tower_linger_benches::namespace;
use tower_linger_benches::process::{Server, have_descriptors, serves};
use tower_linger_benches::results::{Bound, Results, Row, is_bench, median};

use crate::clients::Clients;
use crate::sample::{Sample, sample, settled};

#[path = "soak/clients.rs"]
mod clients;
#[path = "soak/sample.rs"]
mod sample;
#[path = "soak/server.rs"]
mod server;

/// So long until allocator and runtime have reached their size.
const WARM_UP: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_secs(20);
/// Under `cargo test --benches`.
const SHORTEST: Duration = Duration::from_secs(1);

/// How often it tells how far it is.
const PROGRESS: usize = 10;

/// Points of a curve in the plot.
const POINTS: usize = 180;

fn main() -> ExitCode {
    if serves().is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(server::serve());
        return ExitCode::SUCCESS;
    }
    if let Some(status) = namespace::enter() {
        return status;
    }
    have_descriptors(4096);
    // Each sample reads the table of all sockets.
    std::fs::write("/proc/sys/net/ipv4/tcp_max_tw_buckets", "5000").expect("the namespace is ours");
    let minutes = std::env::var("SOAK_MINUTES").ok();
    let minutes = minutes.map(|minutes| minutes.parse::<f64>().expect("SOAK_MINUTES is a number of minutes"));
    let length = match minutes {
        Some(minutes) => Duration::from_secs_f64(minutes * 60.0),
        None if is_bench() => SHORT,
        None => SHORTEST,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let soaked = runtime.block_on(soak(length));
    let results = soaked.results();
    if minutes.is_some() {
        results.tell();
    } else {
        results.print();
    }
    soaked.judge()
}

/// What a run has found.
struct Soaked {
    /// At rest, before and after.
    before: Sample,
    after: Sample,
    /// One for each second.
    samples: Vec<Sample>,
    failed: Vec<String>,
}

async fn soak(length: Duration) -> Soaked {
    let environment =
        [("LD_PRELOAD", "libjemalloc.so.2"), ("MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")];
    let mut server = Server::start_with(&["soak"], &environment);
    assert!(server.has_loaded("libjemalloc.so.2"), "libjemalloc.so.2: `make needs` installs it");
    // The address is the plain one's.
    let tls = sample(&mut server).tls_port;
    let warm_up = Clients::start(server.address, tls);
    tokio::time::sleep(WARM_UP.min(length)).await;
    let mut failed = warm_up.stop().await;
    let before = settled(&mut server).await;

    let clients = Clients::start(server.address, tls);
    let (mut samples, seconds) = (Vec::new(), usize::try_from(length.as_secs()).expect("minutes"));
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.tick().await;
    for second in 1..=seconds {
        ticks.tick().await;
        let sample = sample(&mut server);
        if second % PROGRESS == 0 {
            eprintln!("{second:5} of {seconds} s: {sample}");
        }
        samples.push(sample);
    }
    failed.extend(clients.stop().await);
    let after = settled(&mut server).await;
    Soaked { before, after, samples, failed }
}

impl Soaked {
    fn results(&self) -> Results {
        let connections = self.after.ended - self.before.ended;
        let seconds = self.samples.len() as u64;
        let half = &self.samples[self.samples.len() / 2..];
        let grown = slope(half, |sample| sample.memory_kib);
        let ended_in_half = half.last().map_or(0, |last| last.ended - half[0].ended);
        let by_quarters = |what: &str, of: fn(&Sample) -> u64| {
            let row = Row::new(format!("{what}: last quarter ÷ first"), quarters(&self.samples, of), "×");
            row.bounded(Bound::AtMost(1.1))
        };
        let left = |what: &str, of: fn(&Sample) -> u64| {
            let left = float(of(&self.after)) - float(of(&self.before));
            Row::new(format!("{what} left when all clients have gone"), left, "").bounded(Bound::AtMost(0.0))
        };
        let after = float(self.after.memory_kib) / float(self.before.memory_kib);
        let rows = vec![
            Row::new("connections", float(connections), ""),
            Row::new("time", float(seconds), "s"),
            Row::new("connections that were not reported once", float(self.after.unaccounted()), "")
                .bounded(Bound::AtMost(0.0)),
            Row::new("clients that saw what they should not see", float(self.failed.len() as u64), "")
                .bounded(Bound::AtMost(0.0)),
            Row::new("growth of memory in the second half", grown * float(ended_in_half), "KiB")
                .bounded(Bound::AtMost(1024.0)),
            Row::new("that growth for 100 000 connections", grown * 100_000.0, "KiB"),
            by_quarters("memory", |sample| sample.memory_kib),
            by_quarters("descriptors", |sample| sample.descriptors),
            by_quarters("tasks", |sample| sample.tasks),
            Row::new("memory when all clients have gone ÷ before", after, "×").bounded(Bound::AtMost(1.1)),
            left("descriptors", |sample| sample.descriptors),
            left("tasks", |sample| sample.tasks),
            left("connections", |sample| sample.served + sample.closing),
        ];
        let curve = |of: fn(&Sample) -> u64| points(&self.samples, of);
        let per_second = |sample: &[Sample]| sample[1].ended - sample[0].ended;
        let rate: Vec<_> = self.samples.windows(2).map(|two| float(per_second(two))).collect();
        Results::new("soak", rows)
            .with("memory of the server, KiB", "anonymous memory", curve(|sample| sample.memory_kib))
            .with("descriptors and tasks of the server", "descriptors", curve(|sample| sample.descriptors))
            .with("descriptors and tasks of the server", "tasks", curve(|sample| sample.tasks))
            .with("connections of the server", "served", curve(|sample| sample.served))
            .with("connections of the server", "closing", curve(|sample| sample.closing))
            .with("connections of the server", "FIN_WAIT2", curve(|sample| sample.in_state("FIN_WAIT2")))
            .with("connections that ended in a second", "plain and TLS", spread(&rate))
    }

    /// Says what must not be.
    fn judge(&self) -> ExitCode {
        let rows = self.results().rows;
        let missed: Vec<_> = rows.iter().filter(|row| row.is_met() == Some(false)).collect();
        for row in &missed {
            eprintln!("not met: {}: {} {}", row.what, row.value, row.unit);
        }
        for how in self.failed.iter().take(10) {
            eprintln!("{how}");
        }
        println!("{}", self.after.summary);
        if missed.is_empty() || !is_bench() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a table")]
fn float(value: u64) -> f64 {
    value as f64
}

/// The growth per connection: the median of the slopes between any two samples (Theil and Sen), which a few
/// samples that differ do not change.
fn slope(samples: &[Sample], of: fn(&Sample) -> u64) -> f64 {
    let mut slopes = Vec::new();
    for (place, first) in samples.iter().enumerate() {
        for second in &samples[place + 1..] {
            let ended = float(second.ended - first.ended);
            if ended > 0.0 {
                slopes.push((float(of(second)) - float(of(first))) / ended);
            }
        }
    }
    if slopes.is_empty() { 0.0 } else { median(slopes) }
}

/// The median of the last quarter, divided by that of the first.
fn quarters(samples: &[Sample], of: fn(&Sample) -> u64) -> f64 {
    let quarter = samples.len().div_ceil(4);
    let of = |samples: &[Sample]| median(samples.iter().map(|sample| float(of(sample))));
    of(&samples[samples.len() - quarter..]) / of(&samples[..quarter])
}

fn points(samples: &[Sample], of: fn(&Sample) -> u64) -> Vec<(f64, f64)> {
    spread(&samples.iter().map(|sample| float(of(sample))).collect::<Vec<_>>())
}

/// The values of the seconds over minutes: medians of so many that the plot has [`POINTS`] at most.
fn spread(values: &[f64]) -> Vec<(f64, f64)> {
    let each = values.len().div_ceil(POINTS).max(1);
    let chunks = values.chunks(each).enumerate();
    chunks
        .map(|(place, chunk)| (float((place * each) as u64) / 60.0, median(chunk.iter().copied())))
        .collect()
}
