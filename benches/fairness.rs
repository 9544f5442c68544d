//! What does one flooding client cost a hundred others? Each of them sends a request every 10 ms and notes how long its answer
//! takes: while the server does nothing else, while it drains a flood after the flooder's last response, and while a service
//! reads the same flood as an upload. Rounds alternate; compare the rows of one run.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tower_linger::{ClosePolicy, close};

const OTHERS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);
const ROUND: Duration = Duration::from_millis(700);
const ROUNDS: u32 = 15;

/// What the flooder's connection is for.
#[derive(Clone, Copy)]
enum Flood {
    None,
    Drained,
    Read,
}

#[expect(clippy::cast_precision_loss, reason = "for a table of two decimals")]
fn main() {
    // `cargo test --benches` asks only whether it runs.
    let rounds = if std::env::args().any(|arg| arg == "--bench") { ROUNDS } else { 1 };
    let rows = [("quiet", Flood::None), ("flood drained", Flood::Drained), ("flood read", Flood::Read)];
    let mut found = rows.map(|row| (row, latencies(), 0));
    for _ in 0..rounds {
        for ((_, flood), latencies, flooded) in &mut found {
            *flooded += round(*flood, latencies);
        }
    }
    let quiet = found[0].1.value_at_quantile(0.99);
    println!("{:15} {:>9} {:>9} {:>12} {:>12}", "", "p50, µs", "p99, µs", "p99 ÷ quiet", "flood, GiB/s");
    for ((name, _), latencies, flooded) in &found {
        let p99 = latencies.value_at_quantile(0.99);
        let rate = *flooded as f64 / f64::from(1 << 30) / (ROUND * rounds).as_secs_f64();
        let p50 = latencies.value_at_quantile(0.5);
        println!("{name:15} {p50:>9} {p99:>9} {:>12.2} {rate:>12.2}", p99 as f64 / quiet as f64);
    }
}

/// In microseconds, up to a minute.
fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are in order")
}

/// One round, on fresh connections. Returns what the flooder sent.
fn round(flood: Flood, latencies: &mut Histogram<u64>) -> u64 {
    let address = server();
    let over = Arc::new(AtomicBool::new(false));
    let flooder = match flood {
        Flood::None => None,
        Flood::Drained => Some(flooder(address, b'd', over.clone())),
        Flood::Read => Some(flooder(address, b'r', over.clone())),
    };
    let runtime = runtime();
    let found = runtime.block_on(async {
        let mut others = JoinSet::new();
        for index in 0..OTHERS {
            others.spawn(other(address, PAUSE * index / OTHERS));
        }
        others.join_all().await
    });
    for latency in found.into_iter().flatten() {
        latencies.record(latency).expect("less than a minute");
    }
    over.store(true, Ordering::Relaxed);
    flooder.map_or(0, |flooder| flooder.join().expect("no panic"))
}

/// A server on a thread of its own, for as long as the process lives: one byte tells what a connection is for.
fn server() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        runtime().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("bound")).expect("the bench waits");
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection));
            }
        });
    });
    told.recv().expect("it starts")
}

async fn serve(mut connection: TcpStream) -> std::io::Result<()> {
    let mut chunk = vec![0; 64 << 10];
    loop {
        match connection.read_u8().await? {
            b'd' => {
                let policy =
                    ClosePolicy::builder().drain_limit_bytes(u64::MAX).build().expect("it makes sense");
                let _report = close(connection, &policy).await;
                return Ok(());
            }
            b'r' => while connection.read(&mut chunk).await? > 0 {},
            _ => connection.write_all(b"answer").await?,
        }
    }
}

async fn other(address: SocketAddr, delay: Duration) -> Vec<u64> {
    let mut connection = TcpStream::connect(address).await.expect("it listens");
    connection.set_nodelay(true).expect("it is a socket");
    let mut ticks = interval_at(Instant::now() + delay, PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut latencies, end) = (Vec::new(), Instant::now() + ROUND);
    loop {
        // From when it was due, so that a wait of one request counts for those behind it, too.
        let due = ticks.tick().await;
        if due > end {
            return latencies;
        }
        connection.write_all(b"?").await.expect("it reads");
        connection.read_exact(&mut [0; 6]).await.expect("it answers");
        latencies.push(u64::try_from(due.elapsed().as_micros()).expect("no century").max(1));
    }
}

fn flooder(address: SocketAddr, purpose: u8, over: Arc<AtomicBool>) -> thread::JoinHandle<u64> {
    thread::spawn(move || {
        let mut connection = std::net::TcpStream::connect(address).expect("it listens");
        connection.write_all(&[purpose]).expect("it reads");
        let (chunk, mut sent) = (vec![0; 256 << 10], 0);
        while !over.load(Ordering::Relaxed) {
            sent += connection.write(&chunk).expect("it is drained") as u64;
        }
        sent
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
