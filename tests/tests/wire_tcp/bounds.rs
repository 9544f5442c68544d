//! What a close costs at most.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
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

/// CONFORMANCE 27: at full speed, and not one byte over the limit. What the limit cuts off is cut off by a
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

/// CONFORMANCE 28: what a connection costs in user space while clients that have sent something stay silent.
pub(crate) async fn a_drain_holds_no_buffer() {
    // A descriptor for each end of each connection.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("may be raised to the hard limit");
    for engine in Engine::ALL {
        let long = Duration::from_secs(3600);
        let policy = ClosePolicy::builder().drain_limit(long).drain_idle_timeout(long).build();
        let (linger, mut reports) = reporting(policy.expect("makes sense"));
        let server = engine.start(Some(&linger), app()).await;
        // What a first connection costs once: thread-local buffers, room in the runtime's lists.
        let mut clients: Vec<_> = (0..50).map(|_| stuck_in_drain(server.address)).collect();
        let before = resident_bytes();
        clients.extend((0..CONNECTIONS).map(|_| stuck_in_drain(server.address)));
        while linger.tracker().len() < clients.len() {
            tokio::task::yield_now().await;
        }
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

    // The measure itself: it would show a buffer.
    let before = resident_bytes();
    let buffers: Vec<_> = (0..CONNECTIONS).map(|_| vec![1_u8; 64 << 10]).collect();
    let held = resident_bytes().saturating_sub(before) / buffers.len();
    assert!(held > 32 << 10, "{held} bytes per buffer of 64 KiB");
}

const CONNECTIONS: usize = 500;
static FLOOD: [u8; 200_000] = [b'x'; 200_000];

/// Gets its response, sends more, and stays open.
fn stuck_in_drain(server: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(server).expect("connects");
    client.write_all(&last_request("/small")).expect("writes");
    client.read_to_end(&mut Vec::new()).expect("reads");
    client.write_all(&FLOOD).expect("writes");
    client
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs is there");
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    kilobytes.and_then(|number| number.parse::<usize>().ok()).expect("in kB") << 10
}

/// CONFORMANCE 30: the process's soft limit when the layer is made counts.
pub(crate) async fn half_of_the_descriptors_linger_by_default_and_the_oldest_goes_first() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    setrlimit(Resource::RLIMIT_NOFILE, 64, most).expect("may be lowered");
    let by_default = LingerLayer::default();
    let unlimited = LingerLayer::default().with_tracker(Tracker::unlimited());
    for (linger, evicted) in [(by_default, 100 - 32), (unlimited, 0)] {
        let mut scripts = Vec::new();
        for _ in 0..100 {
            let (script, io) = Script::new();
            drop(linger.wrap(io));
            // The order in which they begin to wait is the order of their age.
            script.until(|seen| seen.discards > 0).await;
            scripts.push(script);
        }
        for script in &scripts[..evicted] {
            script.until(|seen| seen.drops == 1).await;
        }
        assert!(scripts[evicted..].iter().all(|script| script.seen().drops == 0));
        // A transport is dropped right before it is counted.
        until("they are counted", || linger.tracker().len() == 100 - evicted).await;
        assert_eq!(linger.tracker().summary().count(Outcome::Evicted), evicted as u64);
    }
}

/// CONFORMANCE 5, RFC 9112 §9.6: silence ends the drain, and the release after it is no reset.
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
