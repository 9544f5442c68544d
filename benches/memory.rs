//! How much memory does a lingering connection hold? Clients get their response and the end of the server's
//! data, and keep their sockets open without sending, so that thousands of connections linger at once.
//! Compares the proportional set size and the descriptors of the server process with those when it is idle:
//! with the system's allocator, and with jemalloc, which is told to return memory at once. glibc is told so
//! by a debugger, which calls `malloc_trim` in the process: a server of ours has no unsafe code. Needs gdb
//! and jemalloc.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::rustls::ClientConfig;
use tower_linger::ClosePolicy;
use tower_linger_benches::clients::{lingering, trusting};
use tower_linger_benches::process::{Server, serves};
use tower_linger_benches::results::{Bound, Results, Row, is_bench, median};
use tower_linger_benches::servers::{Config, Stack, serve};

/// Longer than the bench takes.
const PATIENCE: Duration = Duration::from_secs(100);
/// How many connections are made at the same time.
const AT_ONCE: usize = 100;

/// Takes the median of this many processes, because an allocator does not behave the same in each.
const PROCESSES: usize = 3;

/// Connections in a round, and rounds, that fill the caches of a server before it is measured.
const WARM_UP: (usize, usize) = (200, 10);

/// The name of an allocator, and the environment that selects it.
type Allocator = (&'static str, &'static [(&'static str, &'static str)]);
const GLIBC: Allocator = ("glibc", &[]);
const ALLOCATORS: [Allocator; 2] =
    [GLIBC, ("jemalloc", &[("LD_PRELOAD", JEMALLOC), ("MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")])];
const JEMALLOC: &str = "libjemalloc.so.2";

/// Each stack, and whether it speaks TLS.
const ROWS: [(Stack, bool); 4] =
    [(Stack::Layer, false), (Stack::Adapter, false), (Stack::Layer, true), (Stack::Adapter, true)];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let Some(args) = serves() {
        let policy = ClosePolicy::builder().drain_limit(PATIENCE).drain_idle_timeout(PATIENCE);
        let policy = policy.build().expect("it makes sense");
        let config = Config { policy, resumes: false, ..Config::from_args(&args) };
        return runtime.block_on(serve("127.0.0.1", config));
    }
    let mut rows = Vec::new();
    for allocator in ALLOCATORS {
        for (stack, tls) in ROWS {
            let number = match (is_bench(), tls) {
                (true, false) => 10_000,
                (true, true) => 5_000,
                (false, _) => 50,
            };
            rows.extend(runtime.block_on(measure(stack, tls, number, allocator)));
        }
    }
    Results::new("memory", rows).tell();
}

async fn measure(stack: Stack, tls: bool, number: usize, allocator: Allocator) -> Vec<Row> {
    let over = if tls { "TLS" } else { "plain" };
    let name = format!("{}, {over}, {number} at once, {}", stack.name(), allocator.0);
    let mut found = Vec::new();
    for _ in 0..if is_bench() { PROCESSES } else { 1 } {
        found.push(process(stack, tls, number, allocator).await);
    }
    let of = |figure: fn(&Found) -> f64| median(found.iter().map(figure));
    let after = |when: &str, figure| Row::new(format!("the process {when} ÷ idle: {name}"), figure, "×");
    let ended = after("after they ended", of(|found| found.after));
    let bounded = Bound::AtMost(1.1);
    let (ended, trimmed) = if allocator == GLIBC {
        (ended, Some(after("after they ended and malloc_trim", of(|found| found.trimmed)).bounded(bounded)))
    } else {
        (ended.bounded(bounded), None)
    };
    let rows = [
        Row::new(format!("memory of a lingering connection: {name}"), of(|found| found.bytes), "bytes")
            .bounded(Bound::AtMost(900.0)),
        Row::new(format!("its descriptors: {name}"), of(|found| found.descriptors), "")
            .bounded(Bound::AtMost(1.0)),
        ended,
        Row::new(format!("the process with as many again ÷ at first: {name}"), of(|found| found.again), "×"),
    ];
    rows.into_iter().chain(trimmed).collect()
}

/// What one process holds.
struct Found {
    /// Memory per connection.
    bytes: f64,
    descriptors: f64,
    /// The size of the process after the connections have ended, divided by its size when it was idle.
    after: f64,
    /// The same after `malloc_trim`, where the allocator is glibc's.
    trimmed: f64,
    /// The size of the process with as many connections again, divided by its size the first time.
    again: f64,
}

#[expect(clippy::cast_precision_loss, reason = "for a table")]
async fn process(stack: Stack, tls: bool, number: usize, allocator: Allocator) -> Found {
    let environment = allocator.1;
    let mut server = Server::start_with(&[stack.name(), if tls { "tls" } else { "plain" }], environment);
    assert!(allocator == GLIBC || server.has_loaded(JEMALLOC), "{JEMALLOC}: `make needs` installs it");
    let client = tls.then(trusting);
    for _ in 0..WARM_UP.1 {
        drop(connections(server.address, client.clone(), WARM_UP.0.min(number)).await);
        server.settle();
    }
    let idle = server.holds();
    let held = connections(server.address, client.clone(), number).await;
    let full = server.holds();
    drop(held);
    server.settle();
    let after = server.holds();
    let held = connections(server.address, client, number).await;
    let again = server.holds();
    drop(held);
    server.settle();
    if allocator == GLIBC {
        server.trim();
    }
    let trimmed = server.holds();
    let each = |full: u64, idle: u64| (full as f64 - idle as f64) / number as f64;
    let of = |one: u64, other: u64| one as f64 / other as f64;
    Found {
        bytes: each(full.bytes, idle.bytes),
        descriptors: each(full.descriptors, idle.descriptors),
        after: of(after.bytes, idle.bytes),
        trimmed: of(trimmed.bytes, idle.bytes),
        again: of(again.bytes, full.bytes),
    }
}

async fn connections(address: SocketAddr, tls: Option<Arc<ClientConfig>>, number: usize) -> Vec<TcpStream> {
    let (mut opening, mut open) = (JoinSet::new(), Vec::with_capacity(number));
    for begun in 0..number {
        if begun >= AT_ONCE {
            open.push(opening.join_next().await.expect("some are under way").expect("no panic"));
        }
        opening.spawn(lingering(address, tls.clone()));
    }
    open.extend(opening.join_all().await);
    open
}
