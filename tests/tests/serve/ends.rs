//! The end of a server: notice, stop, deadline.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tower_linger::Limits;

use crate::scene::{Client, Running, SECOND, app};

fn noticed_for_five_seconds(app: Router) -> Running {
    Running::start(app, Limits::default(), 5 * SECOND, 10 * SECOND)
}

fn says_close(answer: &str) -> bool {
    answer.contains("\r\nconnection: close\r\n")
}

#[tokio::test(start_paused = true)]
async fn during_the_notice_each_connection_has_one_more_request_and_is_told() {
    let server = noticed_for_five_seconds(app());
    let (mut kept, mut idle) = (server.network.connect(), server.network.connect());
    assert!(!says_close(&kept.get().await) && !says_close(&idle.get().await));
    assert!(!server.shutdown.is_noticed());
    let began = Instant::now();
    server.shutdown.request();
    assert!(server.shutdown.is_noticed());
    sleep_until(began + 4 * SECOND).await;
    assert!(says_close(&kept.get().await));
    assert!(kept.end().await.is_empty());
    let mut new = server.network.connect();
    assert!(says_close(&new.get().await));
    assert!(new.end().await.is_empty());
    assert_eq!(began.elapsed(), 4 * SECOND, "each ended with its response");
    assert!(idle.end().await.is_empty());
    assert_eq!(began.elapsed(), 5 * SECOND, "the idle one ends with the notice");
    let summary = server.ended.await.expect("no panic");
    assert_eq!(summary.to_string(), "3 closed: peer_closed 3");
    assert_eq!(began.elapsed(), 5 * SECOND);
    assert!(!server.network.is_listening());
}

#[tokio::test(start_paused = true)]
async fn a_notified_handler_hears_of_the_notice_before_the_stop() {
    let server = noticed_for_five_seconds(app());
    let (noticed, requested) = (server.shutdown.noticed(), server.shutdown.requested());
    let began = Instant::now();
    server.shutdown.request();
    noticed.await;
    assert!(began.elapsed().is_zero());
    requested.await;
    assert_eq!(began.elapsed(), 5 * SECOND);
    // Who asks later, hears the same.
    server.shutdown.requested().await;
    assert_eq!(began.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn without_a_notice_idle_connections_end_at_once_and_busy_ones_after_their_response() {
    let (gate, open) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (called, opened) = (gate.clone(), open.clone());
    let app = app().route(
        "/slow",
        get(async move || {
            called.notify_one();
            opened.notified().await;
            "hello"
        }),
    );
    let server = Running::start(app, Limits::default(), Duration::ZERO, 10 * SECOND);
    let (mut idle, mut busy) = (server.network.connect(), server.network.connect());
    let _hello = idle.get().await;
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    gate.notified().await;
    server.shutdown.request();
    assert!(idle.end().await.is_empty());
    open.notify_one();
    assert!(says_close(&busy.answer().await));
    assert!(busy.end().await.is_empty());
    assert_eq!(server.ended.await.expect("no panic").to_string(), "2 closed: peer_closed 2");
}

/// The engine has taken the whole response out of the handler's body, but the client has not.
#[tokio::test(start_paused = true)]
async fn a_response_that_its_client_is_still_taking_when_the_server_stops_is_completed() {
    const BYTES: usize = 300_000;
    let app = Router::new().route("/", get(async || vec![b'.'; BYTES]));
    let server = Running::start(app, Limits::default(), Duration::ZERO, 10 * SECOND);
    let mut client = server.network.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut beginning = [0; 1000];
    client.0.read_exact(&mut beginning).await.expect("it is answered");
    server.shutdown.request();
    sleep_until(Instant::now() + SECOND).await;
    let rest = client.end().await;
    assert!(beginning.len() + rest.len() > BYTES, "{} bytes are lost", BYTES - rest.len());
    assert_eq!(server.ended.await.expect("no panic").to_string(), "1 closed: peer_closed 1");
}

/// A client in the queue takes itself for connected.
#[tokio::test(start_paused = true)]
async fn what_is_in_the_queue_when_the_server_stops_is_answered() {
    let limits = Limits::builder().max_connections(std::num::NonZeroUsize::MIN).build().expect("sensible");
    let server = Running::start(app(), limits, Duration::ZERO, 10 * SECOND);
    let mut first = server.network.connect();
    let _hello = first.get().await;
    let mut queued = server.network.connect();
    queued.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.shutdown.request();
    drop(first);
    assert!(says_close(&queued.answer().await));
    assert!(queued.end().await.is_empty());
    assert_eq!(server.ended.await.expect("no panic").to_string(), "2 closed: peer_closed 2");
}

/// Such a client may be about to send: a proxy sends its request right after it has connected.
#[tokio::test(start_paused = true)]
async fn a_client_that_has_just_connected_has_a_second_for_its_first_request() {
    let server = Running::limited(Limits::default());
    let (mut late, silent) = (server.network.connect(), server.network.connect());
    let _hello = server.network.connect().get().await;
    let began = Instant::now();
    server.shutdown.request();
    sleep_until(began + SECOND * 9 / 10).await;
    assert!(says_close(&late.get().await));
    assert!(silent.end().await.is_empty());
    assert_eq!(began.elapsed(), SECOND);
}

/// A request whose head has begun is served.
#[tokio::test(start_paused = true)]
async fn a_request_whose_head_has_begun_when_the_server_stops_is_answered() {
    let server = Running::limited(Limits::default());
    let mut client = server.network.connect();
    let _hello = client.get().await;
    client.send("GET / HTTP/1.1\r\nHo").await;
    // The server reads these bytes before it hears of its end.
    let _hello = server.network.connect().get().await;
    let began = Instant::now();
    server.shutdown.request();
    sleep_until(began + 5 * SECOND).await;
    client.send("st: a\r\n\r\n").await;
    assert!(says_close(&client.answer().await));
    assert!(client.end().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_cut_when_notice_and_limit_are_over_and_by_a_second_request_at_once() {
    for impatient in [false, true] {
        let app = Router::new().route("/", get(std::future::pending::<()>));
        let server = noticed_for_five_seconds(app);
        let mut client = server.network.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        tokio::task::yield_now().await;
        let began = Instant::now();
        server.shutdown.request();
        if impatient {
            sleep_until(began + SECOND).await;
            server.shutdown.request();
        }
        assert!(client.end().await.is_empty());
        assert_eq!(began.elapsed(), if impatient { SECOND } else { 15 * SECOND });
        assert_eq!(server.ended.await.expect("no panic").to_string(), "1 closed: shutdown_cut 1");
    }
}

/// Dropping the future stops accepting; connections go on.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_dropped_leaves_its_connections_alone() {
    let server = Running::limited(Limits::default());
    let mut client = server.network.connect();
    let _hello = client.get().await;
    server.ended.abort();
    assert!(server.ended.await.is_err());
    assert!(!server.network.is_listening());
    assert!(!says_close(&client.get().await));
    let Client(mut io) = client;
    io.shutdown().await.expect("it is open");
    server.tracker.wait().await;
    assert_eq!(server.tracker.summary().to_string(), "1 closed: peer_closed 1");
}
