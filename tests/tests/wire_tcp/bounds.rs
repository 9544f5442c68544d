//! Limits of a close: bytes, memory, descriptors, time.

use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::task::Poll;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;
use tower_linger::{ClosePolicy, LingerLayer, Outcome, Tracker, close};
use tower_linger_tests::counters::Counters;
use tower_linger_tests::peer::{Client, End, Manner, head, receive};
use tower_linger_tests::scripted::Script;
use tower_linger_tests::server::{Engine, listen, reporting};
use tower_linger_tests::until::until;
use tower_linger_tests::wire::ResetWatch;

use super::common::{UPLOAD_BYTES, app, arrived, last_request};
use super::memory::anonymous_kib;

/// CONFORMANCE 27: at full speed the drain takes exactly its limit, and the client, which goes on sending, is
/// reset.
pub(crate) async fn the_byte_limit_is_exact() {
    for engine in Engine::ALL {
        for limit in [1, 4097, 1_000_003, 5 << 20] {
            let policy = ClosePolicy::builder().drain_limit_bytes(limit).build().expect("makes sense");
            let (linger, mut reports) = reporting(policy);
            let server = engine.start(Some(&linger), app()).await;
            let before = Counters::read();
            let client = Client::plain(server.address, None).await.expect("connects");
            let request = head("PUT", "/413", UPLOAD_BYTES);
            let client =
                tokio::spawn(client.exchange(&*request.leak(), UPLOAD_BYTES, Manner::StopsAtFailedWrite));
            let report = reports.recv().await.expect("a report");
            assert_eq!((report.outcome, report.bytes_drained), (Outcome::DrainLimit, limit), "{engine:?}");
            assert_eq!(client.await.expect("does not panic").end, End::Reset, "{engine:?}");
            assert!(Counters::read().since(&before).out_rsts() > 0, "{engine:?}");
        }
    }
}

/// CONFORMANCE 28: the memory of this process for each connection in the drain whose client is silent.
pub(crate) async fn a_drain_holds_no_buffer() {
    // Each connection takes two descriptors, one for each end.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("may be raised to the hard limit");
    for engine in Engine::ALL {
        let long = Duration::from_secs(3600);
        let policy = ClosePolicy::builder().drain_limit(long).drain_idle_timeout(long).build();
        let (linger, mut reports) = reporting(policy.expect("makes sense"));
        let server = engine.start(Some(&linger), app()).await;
        // The first connections also allocate what all share: thread-local buffers, the runtime's lists.
        let mut clients: Vec<_> = (0..50).map(|_| stuck_in_drain(server.address)).collect();
        let before = resident_bytes();
        clients.extend((0..CONNECTIONS).map(|_| stuck_in_drain(server.address)));
        until("all of them linger", || linger.tracker().len() == clients.len()).await;
        let held = resident_bytes().saturating_sub(before) / CONNECTIONS;
        assert!(
            held < 8 << 10,
            "{engine:?}: {held} bytes per connection, where 64 KiB of buffer would be 65536"
        );

        drop(clients);
        for _ in 0..50 + CONNECTIONS {
            let report = reports.recv().await.expect("a report");
            assert_eq!(report.bytes_drained, FLOOD.len() as u64, "{report}");
        }
    }

    // This way of measuring does show a buffer.
    let before = resident_bytes();
    let buffers: Vec<_> = (0..CONNECTIONS).map(|_| vec![1_u8; 64 << 10]).collect();
    let held = resident_bytes().saturating_sub(before) / buffers.len();
    assert!(held > 32 << 10, "{held} bytes per buffer of 64 KiB");
}

const CONNECTIONS: usize = 500;
static FLOOD: [u8; 200_000] = [b'x'; 200_000];

/// A client that has read its response, has sent more, and keeps its connection open.
fn stuck_in_drain(server: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(server).expect("connects");
    client.write_all(&last_request("/small")).expect("writes");
    client.read_to_end(&mut Vec::new()).expect("reads");
    client.write_all(&FLOOD).expect("writes");
    client
}

fn resident_bytes() -> usize {
    usize::try_from(anonymous_kib()).expect("it fits into memory") << 10
}

/// CONFORMANCE 30: the default is half of the process's soft limit when the layer is made.
pub(crate) async fn half_of_the_descriptors_linger_by_default_and_the_oldest_goes_first() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    setrlimit(Resource::RLIMIT_NOFILE, 64, most).expect("may be lowered");
    let by_default = LingerLayer::default();
    let unlimited = LingerLayer::default().with_tracker(Tracker::unlimited());
    for (linger, evicted) in [(by_default, 100 - 32), (unlimited, 0)] {
        let mut scripts = Vec::new();
        for _ in 0..100 {
            let (script, io) = Script::new();
            // A close's age counts from the beginning of its wait, which the first poll comes to.
            let mut closing = Box::pin(linger.close(io));
            let polled = poll_fn(|cx| Poll::Ready(closing.as_mut().poll(cx))).await;
            assert!(polled.is_pending() && script.seen().discards > 0);
            tokio::spawn(closing);
            scripts.push(script);
        }
        for script in &scripts[..evicted] {
            script.until(|seen| seen.drops == 1).await;
        }
        assert!(scripts[evicted..].iter().all(|script| script.seen().drops == 0));
        // The tracker counts a close right after its transport is dropped.
        until("they are counted", || linger.tracker().len() == 100 - evicted).await;
        assert_eq!(linger.tracker().summary().count(Outcome::Evicted), evicted as u64);
    }
}

/// CONFORMANCE 5, RFC 9112 §9.6: the drain ends because the client is silent, and the release sends no
/// reset.
pub(crate) async fn a_silent_client_is_released_without_a_reset() {
    static LATE: [u8; 30_000] = [b'x'; 30_000];
    let policy = ClosePolicy::builder().drain_idle_timeout(Duration::from_millis(100)).build();
    let policy = policy.expect("makes sense");
    let listener = listen().await;
    let address = listener.local_addr().expect("is bound");
    for layer in [true, false] {
        let before = Counters::read();
        let resets = ResetWatch::start(address.port()).expect("captures");
        let mut client = Client::plain(address, None).await.expect("connects");
        let (mut server, _) = listener.accept().await.expect("accepts");
        server.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("writes");
        client.write_all(&LATE).await.expect("writes");
        if layer {
            let report = close(server, &policy).await;
            assert_eq!((report.outcome, report.bytes_drained), (Outcome::DrainIdle, LATE.len() as u64));
            assert_eq!(receive(&mut client, End::Fin).await.end, End::Fin);
            drop(client);
            resets.assert_none(());
        } else {
            arrived(address.port(), LATE.len());
            drop(server);
            assert_eq!(Counters::read().since(&before).aborts_on_close(), 1, "without the layer");
        }
    }
}
