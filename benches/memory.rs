//! What does a lingering connection hold? Clients get their response and the server's end, say nothing and stay: so many
//! connections drain at once. What is counted is the server process: its proportional set size and its descriptors, over what
//! it has when it is idle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::rustls::ClientConfig;
use tower_linger::ClosePolicy;
use tower_linger_benches::clients::{lingering, trusting};
use tower_linger_benches::process::{Server, serves};
use tower_linger_benches::results::{Bound, Results, Row, is_bench};
use tower_linger_benches::servers::{Config, Stack, serve};

/// Longer than the bench takes.
const PATIENCE: Duration = Duration::from_secs(100);
/// Connections that are made at the same time.
const AT_ONCE: usize = 100;

/// How a server is built, and whether over TLS.
const ROWS: [(Stack, bool); 4] =
    [(Stack::Layer, false), (Stack::Adapter, false), (Stack::Layer, true), (Stack::Adapter, true)];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let Some(args) = serves() {
        let policy = ClosePolicy::builder().drain_limit(PATIENCE).drain_idle_timeout(PATIENCE);
        let policy = policy.build().expect("it makes sense");
        let stack = Stack::named(&args[0]);
        let config = Config { stack, tls: args[1] == "tls", policy, notes_drains: false };
        return runtime.block_on(serve("127.0.0.1", config));
    }
    let mut rows = Vec::new();
    for (stack, tls) in ROWS {
        let number = match (is_bench(), tls) {
            (true, false) => 10_000,
            (true, true) => 5_000,
            (false, _) => 50,
        };
        rows.extend(runtime.block_on(measure(stack, tls, number)));
    }
    Results::new("memory", rows).tell();
}

#[expect(clippy::cast_precision_loss, reason = "for a table")]
async fn measure(stack: Stack, tls: bool, number: usize) -> [Row; 4] {
    let over = if tls { "TLS" } else { "plain" };
    let name = format!("{}, {over}, {number} at once", stack.name());
    let mut server = Server::start(&[stack.name(), if tls { "tls" } else { "plain" }]);
    let client = tls.then(trusting);
    // The first connections fill what is there once.
    drop(connections(server.address, client.clone(), 200.min(number)).await);
    server.settle();
    let idle = server.holds();
    let held = connections(server.address, client.clone(), number).await;
    let full = server.holds();
    drop(held);
    server.settle();
    let after = server.holds();
    let held = connections(server.address, client, number).await;
    let again = server.holds();
    drop(held);
    let each = |full: u64, idle: u64| (full as f64 - idle as f64) / number as f64;
    let of = |one: u64, other: u64| one as f64 / other as f64;
    [
        Row::new(format!("memory of a lingering connection: {name}"), each(full.bytes, idle.bytes), "bytes")
            .bounded(Bound::AtMost(1024.0)),
        Row::new(format!("its descriptors: {name}"), each(full.descriptors, idle.descriptors), "")
            .bounded(Bound::AtMost(1.0)),
        Row::new(format!("the process after they ended ÷ idle: {name}"), of(after.bytes, idle.bytes), "×")
            .bounded(Bound::AtMost(1.1)),
        Row::new(
            format!("the process with as many again ÷ at first: {name}"),
            of(again.bytes, full.bytes),
            "×",
        ),
    ]
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
