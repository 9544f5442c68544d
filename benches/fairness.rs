//! How much does one flooding client slow down a hundred others? Each of the others sends a request every 10
//! ms and measures how long its answer takes: while the server does nothing else, while the server drains a
//! flood after the flooder's last response, and while a service reads the same flood as an upload. The three
//! take turns. The server and the others have a core, and the flooder has another, as it would
//! have a machine of its own. Five runs, of which the worst counts.

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
use tower_linger_benches::process::pin_this;
use tower_linger_benches::results::{Bound, Results, Row, is_bench, median};

const OTHERS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);
const ROUND: Duration = Duration::from_millis(700);
const ROUNDS: u32 = 15;
const RUNS: u32 = 5;
const SERVERS_CORE: usize = 0;
const FLOODERS_CORE: usize = 1;

/// What the server does with the flood.
#[derive(Clone, Copy)]
enum Flood {
    None,
    Drained,
    Read,
}

fn main() {
    // The others run beside the server: on the flooder's core they would wait for the flooder.
    pin_this(SERVERS_CORE);
    let (runs, rounds) = if is_bench() { (RUNS, ROUNDS) } else { (1, 1) };
    let found: Vec<Vec<[Round; 3]>> = (0..runs)
        .map(|_| (0..rounds).map(|_| [Flood::None, Flood::Drained, Flood::Read].map(round)).collect())
        .collect();
    // The ratio of each round: a disturbance of the machine then affects both sides of the ratio.
    let of_quiet = |index: usize| {
        let of_run = |run: &Vec<[Round; 3]>| median(run.iter().map(|round| round[index].p99 / round[0].p99));
        found.iter().map(of_run).collect::<Vec<f64>>()
    };
    let (drained, read) = (of_quiet(1), of_quiet(2));
    let worst = drained.iter().copied().fold(0.0, f64::max);
    let all = || found.iter().flatten();
    let rate = |index: usize| median(all().map(|round| round[index].gib_a_second));
    let p99 = "p99 of a hundred others while a flood is drained ÷ quiet";
    Results::new(
        "fairness",
        vec![
            Row::new(format!("{p99}, worst of five runs"), worst, "×").bounded(Bound::AtMost(1.05)),
            Row::of_runs(p99, &drained, "×"),
            Row::of_runs("p99 of a hundred others while a service reads that flood ÷ quiet", &read, "×"),
            Row::new("p99, quiet", median(all().map(|round| round[0].p99)), "µs"),
            Row::new("flood drained", rate(1), "GiB/s"),
            Row::new("flood read by a service", rate(2), "GiB/s"),
        ],
    )
    .tell();
}

struct Round {
    p99: f64,
    gib_a_second: f64,
}

/// In microseconds, up to a minute.
fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are in order")
}

/// One round, on fresh connections.
#[expect(clippy::cast_precision_loss, reason = "for a table of two decimals")]
fn round(flood: Flood) -> Round {
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
    let mut latencies = latencies();
    for latency in found.into_iter().flatten() {
        latencies.record(latency).expect("less than a minute");
    }
    over.store(true, Ordering::Relaxed);
    let sent = flooder.map_or(0, |flooder| flooder.join().expect("no panic"));
    Round {
        p99: latencies.value_at_quantile(0.99) as f64,
        gib_a_second: sent as f64 / f64::from(1 << 30) / ROUND.as_secs_f64(),
    }
}

/// Starts a server on a thread of its own, which runs until the process ends. A client's byte says what it
/// wants.
fn server() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        pin_this(SERVERS_CORE);
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
        // Measured from when the request was due, so that one slow answer also counts for the requests behind
        // it.
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
        pin_this(FLOODERS_CORE);
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
