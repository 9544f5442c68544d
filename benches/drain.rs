//! What does discarding cost? A client floods its connection after the last response. Compares the processor
//! time per GiB of the layer's close, of a thread in a bare loop of `recv(MSG_TRUNC)`, and of nginx with
//! `lingering_close always`. The servers take turns on one core; the client has another. Five runs, of which
//! the median counts. Needs nginx and two cores.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, recv};
use tower_linger::{ClosePolicy, close};
use tower_linger_benches::process::{Server, cpu, pin, pin_this, serves};
use tower_linger_benches::results::{Bound, Results, Row, is_bench, median};
use tower_linger_tests::nginx::Nginx;

const ROUNDS: usize = 5;
const RUNS: usize = 5;
const SERVERS_CORE: usize = 0;
const CLIENTS_CORE: usize = 1;
const FLOOD_BYTES: usize = 4 << 30;
/// Less for nginx, which needs several times as long per GiB.
const NGINX_FLOOD_BYTES: usize = 1 << 30;

#[expect(clippy::cast_precision_loss, reason = "bytes, for a ratio")]
fn main() {
    if let Some(how) = serves() {
        pin_this(SERVERS_CORE);
        return if how == ["layer"] { layer() } else { bare_loop() };
    }
    pin_this(CLIENTS_CORE);
    let (runs, rounds, scale) = if is_bench() { (RUNS, ROUNDS, 1) } else { (1, 1, 256) };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let port = free_port();
    let mut nginx = {
        let _inside = runtime.enter();
        Nginx::start(
            &format!(
                "server {{ listen 127.0.0.1:{port}; lingering_close always; client_max_body_size 1k; }}"
            ),
            &[],
        )
    };
    pin(nginx.id(), SERVERS_CORE);
    runtime.block_on(nginx.listens_at(port));
    let (layer, bare) = (Server::start(&["layer"]), Server::start(&["loop"]));
    let nginx_at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut found = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..runs * rounds {
        let servers = [
            (layer.id(), layer.address, FLOOD_BYTES),
            (bare.id(), bare.address, FLOOD_BYTES),
            (nginx.id(), nginx_at, NGINX_FLOOD_BYTES),
        ];
        for ((process, address, bytes), found) in servers.into_iter().zip(&mut found) {
            let bytes = bytes / scale;
            let before = cpu(process);
            flood(address, bytes);
            let spent = cpu(process).saturating_sub(before);
            found.push(spent.as_secs_f64() * 1e3 / (bytes as f64 / f64::from(1 << 30)));
        }
    }
    let ratio = |what: &str, other: &[f64]| {
        let of_run = |(ours, theirs): (&[f64], &[f64])| median(ours.iter().zip(theirs).map(|(a, b)| a / b));
        let runs: Vec<f64> = found[0].chunks(rounds).zip(other.chunks(rounds)).map(of_run).collect();
        Row::of_runs(format!("processor time to drain a GiB, layer ÷ {what}"), &runs, "×")
    };
    Results::new(
        "drain",
        vec![
            ratio("bare recv(MSG_TRUNC) loop", &found[1]).bounded(Bound::AtMost(0.62)),
            ratio("nginx", &found[2]).bounded(Bound::AtMost(0.25)),
            Row::new("processor time to drain a GiB, layer", median(found[0].iter().copied()), "ms"),
            Row::new("processor time to drain a GiB, bare loop", median(found[1].iter().copied()), "ms"),
            Row::new("processor time to drain a GiB, nginx", median(found[2].iter().copied()), "ms"),
        ],
    )
    .tell();
}

/// Sends a request with a long body. The kernel may still hold a few MiB of it when this returns; their cost
/// falls into the next round.
fn flood(address: SocketAddr, bytes: usize) {
    let mut connection = TcpStream::connect(address).expect("it listens");
    write!(connection, "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n")
        .expect("it reads");
    let chunk = vec![0; 256 << 10];
    let mut left = bytes;
    while left > 0 {
        left -= connection.write(&chunk[..left.min(chunk.len())]).expect("it is drained");
    }
    connection.shutdown(std::net::Shutdown::Write).expect("it is open");
    // The server ended its side long ago.
    connection.read_to_end(&mut Vec::new()).expect("no reset");
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port()
}

/// A server that closes every connection at once, by the layer's close.
fn layer() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("bound"));
        let hour = Duration::from_secs(3600);
        let policy = ClosePolicy::builder().drain_limit_bytes(u64::MAX).drain_limit(hour);
        let policy = policy.build().expect("it makes sense");
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _report = close(connection, &policy).await;
            });
        }
    });
}

/// The cheapest server that drains: nothing but a loop of `recv(MSG_TRUNC)`.
fn bare_loop() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("bound"));
    let mut untouched = vec![0; 1 << 20];
    for connection in listener.incoming() {
        let connection = connection.expect("it is open");
        connection.shutdown(std::net::Shutdown::Write).expect("it is open");
        while recv(connection.as_raw_fd(), &mut untouched, MsgFlags::MSG_TRUNC).expect("no reset") > 0 {}
    }
}
