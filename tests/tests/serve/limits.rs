//! What a client may hold before and between its requests.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, put};
use tokio::io::AsyncReadExt as _;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tower_linger::{ClosePolicy, Limits, LingerLayer, Outcome, serve};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};

use crate::scene::{InMemory, Running, SECOND, app};

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_is_closed_after_the_first_byte_timeout() {
    let server = Running::limited(Limits::default());
    let began = Instant::now();
    let client = server.network.connect();
    assert!(client.end().await.is_empty());
    assert_eq!(began.elapsed(), 10 * SECOND);
    server.tracker.wait().await;
    assert_eq!(server.tracker.summary().to_string(), "1 closed: peer_closed 1");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_begins_no_handshake_is_closed_after_the_handshake_timeout() {
    let certs = Certs::make();
    for seconds in [10, 3] {
        let limits = Limits::builder().handshake_timeout(seconds * SECOND).build().expect("it makes sense");
        let (listener, network) = InMemory::new();
        let server = serve(listener, app()).limits(limits);
        let server = server.tls(certs.server(&Version::ALL, ClientAuth::None));
        let running = tokio::spawn(server.into_future());
        let began = Instant::now();
        assert!(network.connect().end().await.is_empty());
        assert_eq!(began.elapsed(), seconds * SECOND);
        running.abort();
    }
}

/// Each byte of the head would begin the time anew, if it were an idle timeout.
#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_is_closed_after_the_header_read_timeout() {
    let server = Running::limited(Limits::default());
    let mut client = server.network.connect();
    let began = Instant::now();
    client.send("GET / HTTP/1.1\r\n").await;
    for second in 1..30 {
        sleep_until(began + second * SECOND).await;
        client.send("a: b\r\n").await;
    }
    assert!(client.end().await.is_empty());
    assert_eq!(began.elapsed(), 30 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_the_idle_timeout_counted_from_its_last_response() {
    let server = Running::limited(Limits::default());
    let mut client = server.network.connect();
    let began = Instant::now();
    let _hello = client.get().await;
    sleep_until(began + 74 * SECOND).await;
    let _hello = client.get().await;
    assert!(client.end().await.is_empty());
    assert_eq!(began.elapsed(), (74 + 75) * SECOND);
}

/// The header's time begins with the first byte of a request, not with the wait for it.
#[tokio::test(start_paused = true)]
async fn a_kept_connection_has_the_whole_header_read_timeout_for_its_next_request() {
    let server = Running::limited(Limits::default());
    let mut client = server.network.connect();
    let began = Instant::now();
    let _hello = client.get().await;
    sleep_until(began + 70 * SECOND).await;
    client.send("GET / HTTP/1.1\r\n").await;
    sleep_until(began + 99 * SECOND).await;
    client.send("Host: a\r\n\r\n").await;
    let _hello = client.answer().await;
    client.send("GET").await;
    assert!(client.end().await.is_empty());
    assert_eq!(began.elapsed(), (99 + 30) * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_long_is_not_timed_out() {
    let done = Arc::new(Notify::new());
    let (slow, upload) = (
        done.clone(),
        put(async |body: Body| axum::body::to_bytes(body, 9).await.map_or("cut", |_| "hello")),
    );
    let app = Router::new()
        .route(
            "/slow",
            get(async move || {
                slow.notified().await;
                "hello"
            }),
        )
        .route("/upload", upload);
    let server = Running::start(app, Limits::default(), Duration::ZERO, 10 * SECOND);
    let mut client = server.network.connect();
    let hour = Instant::now() + 3600 * SECOND;
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    sleep_until(hour).await;
    done.notify_one();
    let _hello = client.answer().await;
    client.send("PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na").await;
    sleep_until(hour + 3600 * SECOND).await;
    client.send("b").await;
    let _hello = client.answer().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_let_go_after_the_write_idle_timeout() {
    for (of_policy, seconds) in [(None, 60), (Some(7), 7), (Some(90), 90)] {
        let (listener, network) = InMemory::new();
        let linger = LingerLayer::new(bounded(of_policy));
        let running = tokio::spawn(serve(listener, large()).linger(linger.clone()).into_future());
        let began = Instant::now();
        let mut client = network.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        while linger.tracker().summary().count(Outcome::FlushTimeout) == 0 {
            sleep_until(Instant::now() + SECOND / 10).await;
        }
        let took = began.elapsed();
        assert!((seconds * SECOND..=(seconds + 1) * SECOND).contains(&took), "{took:?} by {of_policy:?}");
        assert_eq!((linger.tracker().served(), linger.tracker().closing()), (0, 0));
        running.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_response_slowly_is_not_idle_until_it_has_all_of_it() {
    let server = Running::start(large(), Limits::default(), Duration::ZERO, 10 * SECOND);
    let mut client = server.network.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (mut read, mut chunk) = (0, vec![0; LARGE_BYTES / 10]);
    while read < LARGE_BYTES {
        sleep_until(Instant::now() + 50 * SECOND).await;
        match client.0.read(&mut chunk).await.expect("it is kept") {
            0 => panic!("it ends after {read} bytes"),
            more => read += more,
        }
    }
    // The head came with it.
    read -= LARGE_BYTES;
    while read < 50 {
        read += client.0.read(&mut chunk).await.expect("it is kept");
    }
    let began = Instant::now();
    assert!(client.end().await.is_empty());
    assert_eq!(began.elapsed(), 75 * SECOND, "after the last bytes");
}

/// The bound is for both together, and each of them hears of room.
#[tokio::test(start_paused = true)]
async fn two_servers_that_share_a_tracker_both_accept_again_when_there_is_room() {
    let limits = Limits::builder().max_connections(NonZeroUsize::MIN).build().expect("it makes sense");
    let linger = LingerLayer::default();
    let start = || {
        let (listener, network) = InMemory::new();
        (network, tokio::spawn(serve(listener, app()).linger(linger.clone()).limits(limits).into_future()))
    };
    let ((one, _one_runs), (other, _other_runs)) = (start(), start());
    let mut first = one.connect();
    let _hello = first.get().await;
    // Both are full, and wait.
    let mut waiting = [one.connect(), other.connect()];
    for client in &mut waiting {
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert!(timeout(SECOND, client.answer()).await.is_err(), "it is served beyond the bound");
    }
    drop(first);
    for client in &mut waiting {
        let _hello = timeout(10 * SECOND, client.answer()).await.expect("there is room");
    }
}

const LARGE_BYTES: usize = 1 << 20;

fn large() -> Router {
    Router::new().route("/", get(async || vec![b'.'; LARGE_BYTES]))
}

fn bounded(write_idle_timeout: Option<u32>) -> ClosePolicy {
    let policy = ClosePolicy::builder();
    let policy = match write_idle_timeout {
        Some(seconds) => policy.write_idle_timeout(seconds * SECOND),
        None => policy,
    };
    policy.build().expect("it makes sense")
}

#[tokio::test(start_paused = true)]
async fn the_keep_alive_hint_is_sent_where_the_connection_stays() {
    let limits = Limits::builder().keep_alive_hint(70 * SECOND).build().expect("it makes sense");
    let server = Running::limited(limits);
    let mut client = server.network.connect();
    assert!(client.get().await.contains("\r\nkeep-alive: timeout=70\r\n"));
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(!client.answer().await.contains("keep-alive"));
    let server = Running::limited(Limits::default());
    assert!(!server.network.connect().get().await.contains("keep-alive"));
}

#[tokio::test(start_paused = true)]
async fn a_connection_beyond_the_bound_waits_until_another_is_not_served_any_more() {
    let two = NonZeroUsize::new(2).expect("it is not zero");
    let limits = Limits::builder().max_connections(two).build().expect("it makes sense");
    let server = Running::start(app(), limits, Duration::ZERO, 10 * SECOND);
    let (mut first, mut second) = (server.network.connect(), server.network.connect());
    let _hellos = (first.get().await, second.get().await);
    let mut third = server.network.connect();
    third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(timeout(SECOND, third.answer()).await.is_err(), "it is served beyond the bound");
    assert_eq!(server.tracker.served(), 2);
    // The first has got everything. It lingers, because its upload may still come, and does not count.
    first.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 9\r\n\r\n").await;
    let _hellos = (first.answer().await, third.answer().await);
    assert_eq!((server.tracker.served(), server.tracker.closing()), (2, 1));
}
