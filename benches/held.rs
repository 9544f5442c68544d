//! What does a connection hold, and how often does it allocate? Counted by a global allocator that counts:
//! bytes asked for, whatever an allocator makes of them. Server and clients share one thread, and the clients
//! allocate nothing of their own.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::task::yield_now;
use tower::{Layer, Service};
use tower_linger::{ClosePolicy, LingerLayer, RequestLayer};
use tower_linger_benches::results::{Results, Row};
use tower_linger_tests::server::Http;

/// Enough for what grows by doubling to be small in each one's share.
const CONNECTIONS: usize = 1_000;

const ASKS: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const ASKS_LAST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stack {
    Bare,
    Layer,
    Requests,
}

impl Stack {
    const ALL: [(Self, &str); 3] =
        [(Self::Bare, "hyper alone"), (Self::Layer, "layer"), (Self::Requests, "layer and RequestLayer")];
}

/// How far a connection has come when it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// It waits for another request.
    Kept,
    /// The client has its response and the server's FIN, and stays.
    Ended,
    Gone,
}

fn main() {
    let mut rows = Vec::new();
    for (stack, name) in Stack::ALL {
        let (kept, ended, gone) =
            (cost(stack, Until::Kept), cost(stack, Until::Ended), cost(stack, Until::Gone));
        rows.push(Row::new(format!("bytes of a served connection, {name}"), bytes(&kept), "bytes"));
        rows.push(Row::new(format!("bytes after its last response, {name}"), bytes(&ended), "bytes"));
        rows.push(Row::new(format!("bytes when it has gone, {name}"), bytes(&gone), "bytes"));
        rows.push(Row::new(format!("allocations of a connection, {name}"), each(gone.count_total), ""));
    }
    Results::new("held", rows).tell();
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn each(count: u64) -> f64 {
    count as f64 / CONNECTIONS as f64
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn bytes(info: &AllocationInfo) -> f64 {
    info.bytes_current as f64 / CONNECTIONS as f64
}

/// What so many connections have allocated when all have come as far as this.
fn cost(stack: Stack, until: Until) -> AllocationInfo {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let policy = ClosePolicy::builder().drain_limit(PATIENCE).drain_idle_timeout(PATIENCE).build();
    let server = Server {
        listener: runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port"),
        linger: LingerLayer::new(policy.expect("it makes sense")),
        stack,
    };
    let mut clients = Vec::with_capacity(CONNECTIONS);
    // What grows once has grown then.
    runtime.block_on(server.come_and_go(&mut clients, Until::Gone));
    let info = measure(|| runtime.block_on(server.come_and_go(&mut clients, until)));
    clients.clear();
    runtime.block_on(server.linger.tracker().wait());
    info
}

/// Longer than all of them take.
const PATIENCE: Duration = Duration::from_secs(1_000);

struct Server {
    listener: TcpListener,
    linger: LingerLayer,
    stack: Stack,
}

impl Server {
    async fn come_and_go(&self, clients: &mut Vec<std::net::TcpStream>, until: Until) {
        let app = Router::new().route("/", get(async || "hello\n"));
        let app = if self.stack == Stack::Requests { app.layer(RequestLayer) } else { app };
        let mut bare = Http::new(app.clone());
        let mut layered = self.linger.layer(Http::new(app));
        let address = self.listener.local_addr().expect("bound");
        for _ in 0..CONNECTIONS {
            let mut client = std::net::TcpStream::connect(address).expect("it listens");
            client.set_nonblocking(true).expect("a socket");
            let (io, _) = self.listener.accept().await.expect("loopback");
            match self.stack {
                Stack::Bare => drop(tokio::spawn(bare.call(io))),
                Stack::Layer | Stack::Requests => drop(tokio::spawn(layered.call(io))),
            }
            ask(&mut client, until).await;
            clients.push(client);
        }
        if until == Until::Gone {
            clients.clear();
            self.linger.tracker().wait().await;
            // A bare connection is gone at its FIN; its task needs a turn more.
            for _ in 0..1_000 {
                yield_now().await;
            }
        }
    }
}

/// Sends a request, and reads until the response is whole, or the server has ended its side.
async fn ask(client: &mut std::net::TcpStream, until: Until) {
    client.write_all(if until == Until::Kept { ASKS } else { ASKS_LAST }).expect("it is connected");
    let (mut response, mut length) = ([0; 1024], 0);
    loop {
        match client.read(&mut response[length..]) {
            Ok(0) => return assert!(until != Until::Kept, "it is kept"),
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => yield_now().await,
            Err(error) => panic!("{error}"),
        }
        if until == Until::Kept && response[..length].ends_with(b"hello\n") {
            return;
        }
    }
}
