//! One handle for a server's end, on a paused clock.

use std::time::Duration;

use tokio::time::Instant;
use tower_linger::{LingerLayer, Outcome, Shutdown};
use tower_linger_tests::scripted::Script;

const SECOND: Duration = Duration::from_secs(1);

/// A server that ends its requests in good time leaves what is left of the deadline to its connections.
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
    shutdown.request();
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
    shutdown.request();
    let (served, summary) = shutdown.finish(serve).await;
    assert_eq!((served, began.elapsed()), (None, 4 * SECOND));
    // Its connection is closed all the same: FIN, and no time left for a drain.
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
    shutdown.request();
    let impatient = shutdown.clone();
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
