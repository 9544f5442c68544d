//! Does the tracker's one lock slow many threads down? So many threads, each with a runtime of its own, serve
//! and close connections in memory as fast as they can: with one tracker for all of them, or one for each. In
//! memory a connection takes much less time than with its system calls, so the lock is taken more often here.

use std::convert::Infallible;
use std::num::NonZeroU64;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::runtime::Builder;
use tower::{Layer, Service, service_fn};
use tower_linger::{LingerIo, LingerLayer, Outcome, Tracker};
use tower_linger_benches::results::{Bound, Results, Row, is_bench, median};

const THREADS: [u64; 4] = [1, 2, 8, 64];
/// Of all threads together, in one round.
const CLOSES: u64 = 200_000;
const ROUNDS: usize = 9;

fn main() {
    let (closes, rounds) = if is_bench() { (CLOSES, ROUNDS) } else { (CLOSES / 100, 1) };
    let mut rows = Vec::new();
    for threads in THREADS {
        let each = NonZeroU64::new(closes / threads).expect("more closes than threads");
        let ratios = (0..rounds).map(|_| {
            let one = rate(threads, each, true);
            one / rate(threads, each, false)
        });
        let what = format!("closes a second in memory, one tracker ÷ one for each thread, {threads} threads");
        rows.push(Row::new(what, median(ratios), "×").bounded(Bound::AtLeast(0.95)));
    }
    Results::new("contention", rows).tell();
}

/// Closes a second of so many threads.
fn rate(threads: u64, each: NonZeroU64, is_shared: bool) -> f64 {
    let shared = Tracker::new();
    let ready = Barrier::new(usize::try_from(threads).expect("few"));
    let took = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                let tracker = if is_shared { shared.clone() } else { Tracker::new() };
                let ready = &ready;
                scope.spawn(move || {
                    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
                    runtime.block_on(closes(&tracker, NonZeroU64::MIN));
                    ready.wait();
                    let began = Instant::now();
                    runtime.block_on(closes(&tracker, each));
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
    let closed = (threads * each.get()) as f64;
    closed / took.as_secs_f64()
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
