//! Does the tracker's one lock slow many threads down? So many threads, each with a runtime of its own, serve
//! and close connections as fast as they can: on loopback through hyper, alone or with one layer for all
//! threads; and in memory, with one tracker for all of them, or one for each. In memory a connection takes a
//! small part of the time that it takes with its system calls, so the lock is taken far more often than in a
//! server.

use std::convert::Infallible;
use std::num::NonZeroU64;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tower::{Layer, Service, service_fn};
use tower_linger::{LingerIo, LingerLayer, Outcome, RequestLayer, Tracker};
use tower_linger_benches::clients::ask;
use tower_linger_benches::results::{Bound, Results, Row, is_bench, median};
use tower_linger_tests::server::{Http, listen};

const THREADS: [u64; 4] = [1, 2, 8, 64];
/// Of all threads together, in one round.
const CLOSES: u64 = 200_000;
const CONNECTIONS: u64 = 6_400;
const ROUNDS: usize = 9;

fn main() {
    let (scale, rounds) = if is_bench() { (1, ROUNDS) } else { (100, 1) };
    let mut rows = Vec::new();
    let mut alone = None;
    for threads in THREADS {
        let ratio = median((0..rounds).map(|_| {
            let with = served(threads, CONNECTIONS / scale, true);
            with / served(threads, CONNECTIONS / scale, false)
        }));
        let alone = *alone.get_or_insert(ratio);
        let what = "connections a second on loopback, one layer for all threads ÷ hyper alone";
        rows.push(Row::new(format!("{what}, {threads} threads"), ratio, "×"));
        if threads > 1 {
            rows.push(
                Row::new(format!("{what}, {threads} threads ÷ 1 thread"), ratio / alone, "×")
                    .bounded(Bound::AtLeast(0.95)),
            );
        }
    }
    for threads in THREADS {
        let ratios = (0..rounds).map(|_| {
            let one = in_memory(threads, CLOSES / scale, true);
            one / in_memory(threads, CLOSES / scale, false)
        });
        let what = format!("closes a second in memory, one tracker ÷ one for each thread, {threads} threads");
        rows.push(Row::new(what, median(ratios), "×"));
    }
    Results::new("contention", rows).tell();
}

/// How many of these a second so many threads do together: each does its part in a runtime of its own, after
/// one that makes what is made once.
fn rate<W: Future<Output = ()>>(threads: u64, all: u64, work: impl Fn(NonZeroU64) -> W + Sync) -> f64 {
    let each = NonZeroU64::new(all / threads).unwrap_or(NonZeroU64::MIN);
    let ready = Barrier::new(usize::try_from(threads).expect("few"));
    let took = thread::scope(|scope| {
        let (ready, work) = (&ready, &work);
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(move || {
                    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
                    runtime.block_on(work(NonZeroU64::MIN));
                    ready.wait();
                    let began = Instant::now();
                    runtime.block_on(work(each));
                    (began, Instant::now())
                })
            })
            .collect();
        // From when the first begins: this thread may be woken after many of them have ended.
        let times: Vec<_> = running.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        let (first, last) = (times.iter().map(|time| time.0).min(), times.iter().map(|time| time.1).max());
        last.zip(first).map(|(last, first)| last - first).expect("there are threads")
    });
    #[expect(clippy::cast_precision_loss, reason = "less than a million")]
    let done = (threads * each.get()) as f64;
    done / took.as_secs_f64()
}

fn in_memory(threads: u64, all: u64, is_shared: bool) -> f64 {
    let shared = Tracker::new();
    rate(threads, all, |count| {
        let tracker = if is_shared { shared.clone() } else { Tracker::new() };
        async move { closes(&tracker, count).await }
    })
}

fn served(threads: u64, all: u64, is_layered: bool) -> f64 {
    let linger = LingerLayer::default();
    let app = || Router::new().route("/", get(async || "hello\n"));
    rate(threads, all, |count| {
        let linger = linger.clone();
        async move {
            if is_layered {
                connections(linger.layer(Http::new(RequestLayer.layer(app()))), count).await;
            } else {
                connections(Http::new(app()), count).await;
            }
        }
    })
}

/// One connection after the other, each with a request that its client announces as the last.
async fn connections<S>(mut server: S, count: NonZeroU64)
where
    S: Service<TcpStream, Future: Send + 'static, Response: Send + 'static, Error: Send + 'static>,
{
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    for _ in 0..count.get() {
        let client = async {
            let mut io = TcpStream::connect(address).await.expect("it listens");
            assert!(ask(&mut io, "/").await.ends_with(b"hello\n"));
        };
        let serve = async {
            let (io, _) = listener.accept().await.expect("a connection");
            drop(tokio::spawn(server.call(io)).await.expect("no panic"));
        };
        tokio::join!(client, serve);
    }
}

async fn closes(tracker: &Tracker, count: NonZeroU64) {
    let answer = service_fn(async |mut io: LingerIo<DuplexStream>| {
        let _ = io.read_u8().await;
        let _ = io.write_all(b"x").await;
        let _ = io.shutdown().await;
        Ok::<_, Infallible>(())
    });
    let mut connections = LingerLayer::default().with_tracker(tracker.clone()).layer(answer);
    for _ in 0..count.get() {
        let (mut client, server) = duplex(64);
        client.write_all(b"x").await.expect("there is room");
        let closing = connections.call(server);
        client.shutdown().await.expect("in memory");
        closing.await.expect("infallible");
    }
    let closed = tracker.summary().count(Outcome::PeerClosed { close_notify: false });
    assert!(closed >= count.get(), "every client has closed: {}", tracker.summary());
}
