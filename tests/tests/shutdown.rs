//! `Shutdown` and `Tracker::shutdown`, on a paused clock.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::{Instant, timeout};
use tower_linger::{ClosePolicy, LingerLayer, Outcome, Shutdown, Tracker};
use tower_linger_tests::scripted::Script;

const SECOND: Duration = Duration::from_secs(1);

/// When a server has ended its requests, its connections have the rest of the same deadline.
#[tokio::test(start_paused = true)]
async fn requests_and_connections_share_one_deadline() {
    let linger = LingerLayer::default();
    let shutdown = Shutdown::new(linger.tracker().clone(), 4 * SECOND);
    let (script, io) = Script::new();
    let requested = shutdown.requested();
    let serve = async {
        requested.await;
        tokio::time::advance(SECOND).await;
        drop(linger.wrap(io));
        "served"
    };
    let began = Instant::now();
    shutdown.handle().request();
    let (served, summary) = shutdown.finish(serve).await;
    assert_eq!((served, began.elapsed()), (Some("served"), 4 * SECOND));
    assert_eq!(summary.to_string(), "1 closed: shutdown_cut 1");
    assert_eq!((script.seen().fins, script.seen().drops), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_end_is_cut_at_the_deadline() {
    let linger = LingerLayer::default();
    let shutdown = Shutdown::new(linger.tracker().clone(), 4 * SECOND);
    let (script, io) = Script::new();
    let held = linger.wrap(io);
    let serve = async {
        let _held = held;
        std::future::pending::<()>().await;
    };
    let began = Instant::now();
    shutdown.handle().request();
    let (served, summary) = shutdown.finish(serve).await;
    assert_eq!((served, began.elapsed()), (None, 4 * SECOND));
    // Its connection is closed all the same: a FIN, but no time is left for a drain.
    assert_eq!(summary.to_string(), "1 closed: shutdown_cut 1");
    assert_eq!((script.seen().fins, script.seen().drops), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_second_request_cuts_at_once() {
    let linger = LingerLayer::default();
    let shutdown = Shutdown::new(linger.tracker().clone(), 60 * SECOND);
    let (_script, io) = Script::new();
    drop(linger.wrap(io));
    let began = Instant::now();
    shutdown.handle().request();
    let impatient = shutdown.handle();
    tokio::spawn(async move {
        tokio::time::advance(SECOND).await;
        impatient.request();
    });
    let (served, summary) = shutdown.finish(std::future::pending::<()>()).await;
    assert_eq!((served, began.elapsed()), (None, SECOND));
    assert_eq!(summary.count(Outcome::ShutdownCut), 1);
}

/// Without a request nothing is cut.
#[tokio::test(start_paused = true)]
async fn a_server_that_ends_by_itself_waits_for_its_connections() {
    let linger = LingerLayer::default();
    let shutdown = Shutdown::new(linger.tracker().clone(), SECOND);
    let (_script, io) = Script::new();
    drop(linger.wrap(io));
    let began = Instant::now();
    let (served, summary) = shutdown.finish(async { "over" }).await;
    assert_eq!((served, began.elapsed()), (Some("over"), 5 * SECOND));
    assert_eq!(summary.count(Outcome::DrainIdle), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_served_is_waited_for_and_cut_at_the_deadline() {
    let linger = LingerLayer::default();
    let tracker = linger.tracker();
    let (_peer, io) = duplex(64);
    let mut io = linger.wrap(io);
    assert_eq!((tracker.served(), tracker.closing(), tracker.len()), (1, 0, 1));
    let reading = tokio::spawn(async move { io.read_u8().await.map_err(|error| error.kind()) });
    let began = Instant::now();
    assert!(timeout(SECOND, tracker.wait()).await.is_err(), "it is still served");
    let summary = tracker.shutdown(4 * SECOND).await;
    assert_eq!(reading.await.expect("no panic"), Err(std::io::ErrorKind::ConnectionAborted));
    assert_eq!((began.elapsed(), tracker.len()), (5 * SECOND, 0));
    assert_eq!(summary.to_string(), "1 closed: shutdown_cut 1");
}

#[tokio::test(start_paused = true)]
async fn both_halves_of_a_connection_are_woken_when_it_is_cut() {
    let linger = LingerLayer::default();
    // The peer takes one byte.
    let (_peer, io) = duplex(1);
    let (mut reader, mut writer) = tokio::io::split(linger.wrap(io));
    let reading = tokio::spawn(async move { reader.read_u8().await.map_err(|error| error.kind()) });
    let writing = tokio::spawn(async move { writer.write_all(b"two").await.map_err(|error| error.kind()) });
    let summary = linger.tracker().shutdown(SECOND).await;
    assert_eq!(summary.count(Outcome::ShutdownCut), 1);
    let aborted = std::io::ErrorKind::ConnectionAborted;
    assert_eq!(reading.await.expect("no panic"), Err(aborted));
    assert_eq!(writing.await.expect("no panic"), Err(aborted));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_comes_after_the_deadline_is_cut_at_once() {
    let linger = LingerLayer::default();
    let _nothing = linger.tracker().shutdown(Duration::ZERO).await;
    let (_peer, io) = duplex(64);
    let mut io = linger.wrap(io);
    let error = io.read_u8().await.expect_err("cut");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);
    assert_eq!(error.to_string(), "the server's shutdown deadline cut the connection");
}

/// A service that neither reads nor writes cannot be cut. The shutdown waits for it for a second more.
#[tokio::test(start_paused = true)]
async fn a_service_that_does_nothing_holds_a_shutdown_for_a_second() {
    let linger = LingerLayer::default();
    let (_peer, io) = duplex(64);
    let held = linger.wrap(io);
    let began = Instant::now();
    let summary = linger.tracker().shutdown(4 * SECOND).await;
    assert_eq!((began.elapsed(), summary.total(), linger.tracker().served()), (5 * SECOND, 0, 1));
    drop(held);
    linger.tracker().wait().await;
    assert_eq!(linger.tracker().summary().count(Outcome::ShutdownCut), 1);
}

/// A `main` may call `finish` late. What is cut then still gets time to end.
#[tokio::test(start_paused = true)]
async fn a_finish_long_after_the_deadline_waits_for_what_it_cuts() {
    let linger = LingerLayer::default();
    let shutdown = Shutdown::new(linger.tracker().clone(), SECOND);
    let (_peer, io) = duplex(64);
    let mut io = linger.wrap(io);
    let reading = tokio::spawn(async move { io.read_u8().await.map_err(|error| error.kind()) });
    tokio::task::yield_now().await;
    shutdown.handle().request();
    tokio::time::advance(60 * SECOND).await;
    let (served, summary) = shutdown.finish(std::future::pending::<()>()).await;
    assert_eq!((served, summary.total(), linger.tracker().len()), (None, 1, 0));
    assert!(reading.await.expect("no panic").is_err());
}

#[tokio::test(start_paused = true)]
async fn the_longest_durations_are_waited_for_without_a_panic() {
    for limit in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(1 << 40)] {
        let linger = LingerLayer::default();
        let (script, io) = Script::new();
        script.end();
        drop(linger.wrap(io));
        assert_eq!(linger.tracker().shutdown(limit).await.total(), 1);

        let linger = LingerLayer::default();
        let shutdown = Shutdown::new(linger.tracker().clone(), limit);
        shutdown.handle().request();
        let (_script, io) = Script::new();
        drop(linger.wrap(io));
        let (served, summary) = shutdown.finish(async { "over" }).await;
        // No deadline comes before the close's own bound.
        assert_eq!((served, summary.count(Outcome::DrainIdle)), (Some("over"), 1));
        let shutdown = Shutdown::new(linger.tracker().clone(), limit);
        shutdown.handle().request();
        assert!(timeout(SECOND, shutdown.finish(std::future::pending::<()>())).await.is_err());
        assert!(linger.tracker().is_empty());
    }
}

/// One of two simultaneous calls is the second one, and cuts.
#[test]
fn two_requests_at_the_same_time_cut() {
    for _ in 0..500 {
        let shutdown = Shutdown::new(Tracker::new(), 60 * SECOND);
        let barrier = Arc::new(Barrier::new(2));
        let (other, at_once) = (shutdown.handle(), barrier.clone());
        let thread = std::thread::spawn(move || {
            at_once.wait();
            other.request();
        });
        barrier.wait();
        shutdown.handle().request();
        thread.join().expect("no panic");
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let began = Instant::now();
            let _ = shutdown.finish(std::future::pending::<()>()).await;
            assert!(began.elapsed() < SECOND, "the cut was lost: {:?}", began.elapsed());
        });
    }
}

/// A connection that was served without the layer is closed by its policy and observer, and waited for.
#[tokio::test(start_paused = true)]
async fn a_close_by_hand_is_reported_and_waited_for_by_its_layer() {
    let (reports, seen) = std::sync::mpsc::channel();
    let patient = ClosePolicy::builder().drain_idle_timeout(7 * SECOND).build().expect("makes sense");
    let linger = LingerLayer::new(patient).on_close(move |report| {
        let _ = reports.send(*report);
    });
    let (script, io) = Script::new();
    linger.close(io).detach();
    let shutdown = Shutdown::new(linger.tracker().clone(), SECOND);
    assert_eq!((linger.tracker().closing(), script.seen().drops), (1, 0));
    let began = Instant::now();
    let (_, summary) = shutdown.finish(async {}).await;
    assert_eq!((began.elapsed(), summary.count(Outcome::DrainIdle)), (7 * SECOND, 1));
    assert_eq!((script.seen().fins, script.seen().drops), (1, 1));
    assert_eq!(seen.try_recv().expect("reported").outcome, Outcome::DrainIdle);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_close_by_hand_has_a_whole_report_without_an_observer() {
    for with_layer in [true, false] {
        let listener = tower_linger_tests::server::listen().await;
        let address = listener.local_addr().expect("bound");
        let client = tokio::net::TcpStream::connect(address).await.expect("it listens");
        let (io, _) = listener.accept().await.expect("a connection");
        drop(client);
        let report = if with_layer {
            LingerLayer::default().close(io).await
        } else {
            tower_linger::close(io, &ClosePolicy::default()).await
        };
        assert_eq!((report.outcome, report.unacked), (Outcome::PeerClosed { close_notify: false }, Some(0)));
    }
}

struct Server;

impl IntoFuture for Server {
    type Output = &'static str;
    type IntoFuture = std::future::Ready<&'static str>;

    fn into_future(self) -> Self::IntoFuture {
        std::future::ready("served")
    }
}

#[tokio::test]
async fn finish_takes_what_can_be_awaited() {
    let (served, _) = Shutdown::new(Tracker::new(), SECOND).finish(Server).await;
    assert_eq!(served, Some("served"));
}
