//! What does a connection with one request cost the server? hyper alone, hyper with the layer, the same with
//! `RequestLayer`, `Workers`, and nginx with `lingering_close always` take turns on one core. `linger_probe::load` loads them from another core, plain
//! and over TLS with full handshakes. Five runs, of which the median counts. Needs nginx and two cores.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use linger_probe::load::{Plan, Statuses, load};
use linger_probe::target::{Options, Target, Tls};
use tokio_rustls::rustls::ClientConfig;
use tower_linger_benches::clients::trusting;
use tower_linger_benches::process::{Server, cpu, pin, pin_this, serves};
use tower_linger_benches::results::{Bound, Results, Row, is_bench, median};
use tower_linger_benches::servers::{Config, Stack, serve};
use tower_linger_tests::certs::Certs;
use tower_linger_tests::nginx::Nginx;

const RUNS: usize = 5;
/// Of each run.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);
const CONNECTIONS: u32 = 50;
const SERVERS_CORE: usize = 0;
const CLIENTS_CORE: usize = 1;

/// What one round found.
#[derive(Debug, Clone, Copy)]
struct Found {
    /// Processor time of the server per connection, in microseconds.
    cpu: f64,
    /// Complete responses per second.
    rate: f64,
}

fn main() {
    if let Some(args) = serves() {
        pin_this(SERVERS_CORE);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        return runtime.block_on(serve("127.0.0.1", Config::from_args(&args)));
    }
    pin_this(CLIENTS_CORE);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let rows = [false, true].into_iter().flat_map(|is_tls| runtime.block_on(compare(is_tls)));
    Results::new("connections", rows.collect()).tell();
}

async fn compare(is_tls: bool) -> Vec<Row> {
    let over = if is_tls { "TLS" } else { "plain" };
    let tls = is_tls.then(trusting);
    let certs = Certs::make();
    let port =
        std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let nginx_at = port.expect("a port");
    let mut nginx = nginx(nginx_at, is_tls, &certs);
    pin(nginx.id(), SERVERS_CORE);
    nginx.listens_at(nginx_at.port()).await;
    let argument = if is_tls { "tls" } else { "plain" };
    let stacks = [Stack::Bare, Stack::Layer, Stack::Requests, Stack::Workers];
    let ours = stacks.map(|stack| Server::start(&[stack.name(), argument]));
    let servers = ours.iter().map(|server| (server.id(), server.address)).chain([(nginx.id(), nginx_at)]);
    let (runs, rounds, duration) = if is_bench() { (RUNS, ROUNDS, ROUND) } else { (1, 1, ROUND / 10) };
    let mut found = [const { Vec::new() }; 5];
    for turn in 0..=runs * rounds {
        for ((process, address), found) in servers.clone().zip(&mut found) {
            let round = round(process, address, tls.clone(), duration).await;
            // The first turn warms the server up.
            if turn > 0 {
                found.push(round);
            }
        }
    }
    let [bare, layer, requests, workers, nginx] = found;
    // The median of each run's rounds.
    let ratio = |what: String, of: fn(&Found) -> f64, ours: &[Found], other: &[Found]| {
        let of_run = |(ours, other): (&[Found], &[Found])| {
            median(ours.iter().zip(other).map(|(ours, theirs)| of(ours) / of(theirs)))
        };
        let runs: Vec<f64> = ours.chunks(rounds).zip(other.chunks(rounds)).map(of_run).collect();
        Row::of_runs(what, &runs, "×")
    };
    let spent = |name: &str, found: &[Found]| {
        let cpu = median(found.iter().map(|found| found.cpu));
        Row::new(format!("processor time of a connection, {name}, {over}"), cpu, "µs")
    };
    // A session's client is waited for, whatever it has announced.
    let (waits, told) = if is_tls { (1.02, 1.02) } else { (1.04, 1.01) };
    let cpu = "processor time of a connection";
    let cpu_of = |what: &str, ours: &[Found], other: &[Found]| {
        ratio(format!("{cpu}, {what}, {over}"), |found| found.cpu, ours, other)
    };
    let rate = format!("connections a second, layer ÷ hyper alone, {over}");
    vec![
        cpu_of("layer ÷ hyper alone", &layer, &bare).bounded(Bound::AtMost(waits)),
        cpu_of("layer and RequestLayer ÷ hyper alone", &requests, &bare).bounded(Bound::AtMost(told)),
        ratio(rate, |found| found.rate, &layer, &bare).bounded(Bound::AtLeast(0.97)),
        cpu_of("layer ÷ nginx always", &layer, &nginx).bounded(Bound::AtMost(1.0)),
        cpu_of("layer and RequestLayer ÷ nginx always", &requests, &nginx),
        cpu_of("Workers ÷ nginx always", &workers, &nginx).bounded(Bound::AtMost(1.1)),
        spent("hyper alone", &bare),
        spent("layer", &layer),
        spent("layer and RequestLayer", &requests),
        spent("Workers", &workers),
        spent("nginx always", &nginx),
    ]
}

fn nginx(address: SocketAddr, is_tls: bool, certs: &Certs) -> Nginx {
    let tls = "ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;";
    let (listens, tls) = if is_tls { (" ssl", tls) } else { ("", "") };
    let server = format!(
        "server {{ listen {address}{listens} backlog=4096; {tls} lingering_close always; \
         location / {{ return 200 \"hello\\n\"; }} }}"
    );
    let (chain, key) = certs.server_pem();
    Nginx::start(&server, &[("cert.pem", chain), ("key.pem", key)])
}

async fn round(
    process: u32,
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    duration: Duration,
) -> Found {
    let tls = tls.map(|config| Tls { name: "localhost".try_into().expect("a name"), config });
    let target = Target::at(address, tls);
    let plan = Plan {
        mix: "get".parse().expect("a mix"),
        connections: CONNECTIONS,
        duration,
        ramp_up: Duration::ZERO,
        rate: None,
        keep_alive: false,
        resume: false,
        allowed: Statuses::default(),
    };
    let before = cpu(process);
    let report = load(&target, &Options::default(), &plan, std::future::pending(), |_| {}).await;
    let spent = cpu(process).saturating_sub(before);
    assert!(report.passed(), "a response is lost: {report:?}");
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let cpu = spent.as_secs_f64() * 1e6 / report.connections as f64;
    Found { cpu, rate: report.rate() }
}
