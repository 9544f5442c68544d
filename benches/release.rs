//! How long does a server hold a socket after its last response, on a link with a round trip of 20 ms? For
//! clients that close at once, the time is compared with the round trip. For clients that never close, on a
//! link that loses packets, descriptors times seconds are compared with those of nginx with
//! `lingering_close always`. Needs nginx, and TUN devices in a network namespace.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tower_linger::ClosePolicy;
use tower_linger_benches::clients::ask;
use tower_linger_benches::namespace::enter;
use tower_linger_benches::process::{Server, holds, serves};
use tower_linger_benches::results::{Bound, Results, Row, is_bench, median};
use tower_linger_benches::servers::{Config, LARGE_BYTES, Stack, serve};
use tower_linger_tests::nginx::Nginx;
use tower_linger_tests::slow_link::{FAR, NEAR, SlowLink};

const DELAY: Duration = Duration::from_millis(10);
const LOST_OF_THOUSAND: u32 = 20;
const CLIENTS: usize = 200;
const AT_ONCE: usize = 20;
const UPLOAD_BYTES: usize = 256 << 10;
/// Any port above 1024 will do: the namespace has no other servers.
const NGINX_PORT: u16 = 8080;

fn main() -> ExitCode {
    if let Some(status) = enter() {
        return status;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let Some(args) = serves() {
        let mut policy = ClosePolicy::builder();
        if args[0] == "early" {
            policy = policy.early_release(3);
        }
        let policy = policy.build().expect("it makes sense");
        let stack = if args[0] == "requests" { Stack::Requests } else { Stack::Layer };
        let config = Config { stack, tls: false, policy, records_drains: true, limit: None, resumes: true };
        runtime.block_on(serve(&NEAR.to_string(), config));
        return ExitCode::SUCCESS;
    }
    runtime.block_on(measure());
    ExitCode::SUCCESS
}

async fn measure() {
    let clients = if is_bench() { CLIENTS } else { 10 };
    let link = SlowLink::new(DELAY);
    let round_trips = prompt(clients).await;
    link.lose(LOST_OF_THOUSAND);
    let early = {
        let server = Server::start(&["early"]);
        lazy(server.id(), far(server.address.port()), clients, Clients::Mixed).await
    };
    let silent = {
        let server = Server::start(&["requests"]);
        lazy(server.id(), far(server.address.port()), clients, Clients::Silent).await
    };
    let (nginx, nginx_silent) = {
        let servers = format!(
            "server {{ listen {NEAR}:{NGINX_PORT}; listen 127.0.0.1:{NGINX_PORT}; root {{folder}}; \
             lingering_close always; client_max_body_size 1k; location /ends {{ keepalive_timeout 0; }} }}"
        );
        let large = ".".repeat(LARGE_BYTES);
        let mut nginx = Nginx::start(&servers, &[("large", &large), ("ends", &large)]);
        nginx.listens_at(NGINX_PORT).await;
        let mixed = lazy(nginx.id(), far(NGINX_PORT), clients, Clients::Mixed).await;
        (mixed, lazy(nginx.id(), far(NGINX_PORT), clients, Clients::Silent).await)
    };
    let whole = |name: &str, found: &Lazy| {
        Row::new(format!("responses lost to {clients} lazy clients, {name}"), found.lost, "")
            .bounded(Bound::AtMost(0.0))
    };
    let held = "descriptor-seconds of a connection whose client stays";
    Results::new(
        "release",
        vec![
            // The link's own threads delay every packet a little, so a round trip is what connecting took.
            Row::new("release after the server's FIN, client closes at once ÷ round trip", round_trips, "×")
                .bounded(Bound::AtMost(1.05)),
            Row::new(format!("{held}, early release ÷ nginx always"), early.held / nginx.held, "×")
                .bounded(Bound::AtMost(0.1)),
            whole("early release", &early),
            Row::new(
                format!("{held}, its request was read, layer and RequestLayer ÷ nginx always"),
                silent.held / nginx_silent.held,
                "×",
            )
            .bounded(Bound::AtMost(0.1)),
            whole("its request was read, layer and RequestLayer", &silent),
            Row::new(format!("{held}, its request was read, layer and RequestLayer"), silent.held, "s"),
            Row::new(format!("{held}, its request was read, nginx always"), nginx_silent.held, "s"),
            Row::new(format!("{held}, early release"), early.held, "s"),
            Row::new(format!("{held}, nginx always"), nginx.held, "s"),
            Row::new(format!("responses lost to {clients} lazy clients, nginx always"), nginx.lost, ""),
        ],
    )
    .tell();
}

fn far(port: u16) -> SocketAddr {
    (FAR, port).into()
}

/// Clients that close as soon as they have seen the end. Returns the median drain, in round trips, on a link
/// that loses nothing.
async fn prompt(clients: usize) -> f64 {
    let mut server = Server::start(&["default"]);
    let mut round_trips = Vec::new();
    for _ in 0..clients {
        let began = Instant::now();
        let mut io = TcpStream::connect(far(server.address.port())).await.expect("it listens");
        round_trips.push(began.elapsed().as_secs_f64());
        assert!(ask(&mut io, "/").await.ends_with(b"hello\n"));
    }
    let drains = server.settle();
    let drains = drains.split_whitespace().map(|micros| micros.parse::<f64>().expect("a number") / 1e6);
    median(drains) / median(round_trips)
}

struct Lazy {
    /// Descriptors times seconds, per connection.
    held: f64,
    lost: f64,
}

/// What clients ask for that keep their sockets open.
#[derive(Clone, Copy)]
enum Clients {
    /// A response, of which they announce that it is the last; or they have an upload refused.
    Mixed,
    /// A response after which the server ends the connection, and they have not asked for that.
    Silent,
}

/// Clients that get their responses and keep their sockets open.
#[expect(clippy::cast_precision_loss, reason = "for a ratio")]
async fn lazy(process: u32, address: SocketAddr, clients: usize, kind: Clients) -> Lazy {
    let idle = holds(process).descriptors;
    let mut running = JoinSet::new();
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    for number in 0..clients {
        let permits = permits.clone();
        running.spawn(async move {
            let _permit = permits.acquire().await.expect("open");
            let mut io = TcpStream::connect(address).await.expect("it listens");
            let is_whole = match kind {
                Clients::Silent => download(&mut io, "GET /ends HTTP/1.1\r\n").await,
                Clients::Mixed if number % 2 == 0 => {
                    download(&mut io, "GET /large HTTP/1.1\r\nConnection: close\r\n").await
                }
                Clients::Mixed => upload(&mut io).await,
            };
            (io, is_whole)
        });
    }
    let (mut held, mut kept, mut lost) = (0.0, Vec::new(), 0.0);
    let mut ticks = interval(Duration::from_millis(5));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut counted = Instant::now();
    loop {
        tokio::select! {
            Some(client) = running.join_next() => {
                let (io, is_whole) = client.expect("no panic");
                lost += f64::from(u8::from(!is_whole));
                kept.push(io);
            }
            _ = ticks.tick() => {
                let more = holds(process).descriptors.saturating_sub(idle);
                held += more as f64 * counted.elapsed().as_secs_f64();
                counted = Instant::now();
                if more == 0 && kept.len() == clients {
                    return Lazy { held: held / clients as f64, lost };
                }
            }
        }
    }
}

async fn download(io: &mut TcpStream, head: &str) -> bool {
    let mut response = Vec::new();
    io.write_all(format!("{head}Host: localhost\r\n\r\n").as_bytes()).await.is_ok()
        && io.read_to_end(&mut response).await.is_ok()
        && response
            .windows(4)
            .position(|end| end == b"\r\n\r\n")
            .is_some_and(|end| response.len() - end - 4 == LARGE_BYTES)
}

/// Sends the whole upload before it reads the response.
async fn upload(io: &mut TcpStream) -> bool {
    let head = format!("PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {UPLOAD_BYTES}\r\n\r\n");
    let mut response = Vec::new();
    io.write_all(head.as_bytes()).await.is_ok()
        && io.write_all(&vec![0; UPLOAD_BYTES]).await.is_ok()
        && io.read_to_end(&mut response).await.is_ok()
        && response.starts_with(b"HTTP/1.1 413")
}
