//! CONFORMANCE 40, 41: a shutdown counts the connections that are served, waits for them, and cuts them at
//! its deadline or at a second request.

use std::io;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tower_linger::{ClosePolicy, CloseReport, LingerLayer, Shutdown};
use tower_linger_tests::peer::{Client, End, receive};
use tower_linger_tests::server::{Engine, listen, reporting, serve};
use tower_linger_tests::until::until;

use crate::mix::{App, Scene, ask, http2_request, send};

#[path = "served/mix.rs"]
mod mix;

/// The deadline of a shutdown whose requests never end.
const LIMIT: Duration = Duration::from_millis(200);

/// A limit that no test reaches.
const LONG: Duration = Duration::from_secs(60);

/// A cut takes a second at most; the rest is for a busy machine.
const GENEROUS: Duration = Duration::from_secs(10);

const EACH: [(Engine, bool); 4] =
    [(Engine::Axum, false), (Engine::Axum, true), (Engine::Hyper, false), (Engine::Hyper, true)];

/// Asserts what holds after every shutdown: each connection was reported once, and none is left.
fn assert_over(
    what: &str,
    linger: &LingerLayer,
    reports: &mut mpsc::UnboundedReceiver<CloseReport>,
    accepts: usize,
) {
    let tracker = linger.tracker();
    assert_eq!(tracker.len(), 0, "{what}: {tracker:?}");
    assert_eq!(tracker.summary().total(), accepts as u64, "{what}: {}", tracker.summary());
    for _ in 0..accepts {
        let _ = reports.try_recv().expect("reported before the shutdown returned");
    }
    assert!(reports.try_recv().is_err(), "{what}: one report each");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_served_is_counted_and_cut_at_the_deadline_or_a_second_request() {
    for (engine, tls) in EACH {
        for is_impatient in [false, true] {
            cut_a_mix(engine, tls, is_impatient).await;
        }
    }
}

/// Opens one connection of each kind, then shuts the server down.
async fn cut_a_mix(engine: Engine, tls: bool, is_impatient: bool) {
    let what = format!("{engine:?}, TLS {tls}, impatient {is_impatient}");
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let app = App::default();
    let shutdown = Shutdown::new(linger.tracker().clone(), if is_impatient { LONG } else { LIMIT });
    let mut scene = Scene::start(engine, tls, &linger, app.router(), &shutdown).await;

    let mut idle = scene.connect(None).await;
    ask(&mut idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hello").await;
    let mut lingering = scene.connect(None).await;
    ask(&mut lingering, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "hello").await;
    until(&format!("{what}: one lingers"), || linger.tracker().closing() == 1).await;

    let busy = busy_clients(&scene).await;
    // A client that sends nothing; over TLS it is in its handshake.
    let _silent = Client::plain(scene.address, None).await.expect("it listens");
    until(&format!("{what}: all is served"), || linger.tracker().served() == busy.len() + 2).await;
    until(&format!("{what}: all is handled"), || app.running() == busy.len()).await;
    let accepts = busy.len() + 3;
    assert_eq!((linger.tracker().len(), linger.tracker().closing()), (accepts, 1), "{what}");

    let began = Instant::now();
    shutdown.handle().request();
    if is_impatient {
        shutdown.handle().request();
    }
    let (_, summary) = shutdown.finish(scene.serve()).await;
    let took = began.elapsed();
    assert!((is_impatient || took >= LIMIT) && took < GENEROUS, "{what}: {took:?}");
    assert_eq!(summary, linger.tracker().summary(), "{what}: nothing ends afterwards");
    assert_over(&what, &linger, &mut reports, accepts);
    until(&format!("{what}: no handler runs on"), || app.running() == 0).await;
    for (number, mut client) in busy.into_iter().enumerate() {
        let seen = receive(&mut client, if tls { End::CloseNotify } else { End::Fin }).await;
        assert!(!seen.complete && seen.status.is_none(), "{what}: {number}: {seen:?}");
        assert!(matches!(seen.end, End::Fin | End::Reset), "{what}: {number} is unclean: {seen:?}");
    }
}

/// Clients in the middle of an exchange, each of which keeps one handler running.
async fn busy_clients(scene: &Scene) -> Vec<Client> {
    let mut busy = Vec::new();
    for request in [
        // A handler that is pending.
        "GET /pending HTTP/1.1\r\nHost: x\r\n\r\n",
        // A pending handler that does not read the body.
        "POST /pending HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nsome",
        // A pending handler, with another request behind.
        "GET /pending HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        // An upload that does not go on.
        "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nsome",
    ] {
        let mut client = scene.connect(None).await;
        send(&mut client, request.as_bytes()).await;
        busy.push(client);
    }
    for (request, answer) in [
        ("GET /events HTTP/1.1\r\nHost: x\r\n\r\n", "an event"),
        ("GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "welcome"),
    ] {
        let mut client = scene.connect(None).await;
        ask(&mut client, request, answer).await;
        busy.push(client);
    }
    let mut http2 = scene.connect(None).await;
    send(&mut http2, &http2_request("/pending")).await;
    busy.push(http2);
    busy
}

/// A request that is answered within the deadline is waited for, although the server's future was dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_waited_for_although_its_server_is_dropped() {
    for (engine, tls) in EACH {
        let what = format!("{engine:?}, TLS {tls}");
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let app = App::default();
        let shutdown = Shutdown::new(linger.tracker().clone(), LONG);
        let mut scene = Scene::start(engine, tls, &linger, app.router(), &shutdown).await;
        let mut client = scene.connect(None).await;
        send(&mut client, b"GET /gated HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        until("it is handled", || app.running() == 1).await;

        let (serve, requested) = (scene.serve(), shutdown.requested());
        let dropped_when_requested = async {
            tokio::select! { () = serve => {}, () = requested => {} }
        };
        shutdown.handle().request();
        let mut finishing = Box::pin(shutdown.finish(dropped_when_requested));
        tokio::select! {
            biased;
            _ = &mut finishing => panic!("{what}: a request is in flight"),
            () = until("its server is dropped", || TcpListener::bind(scene.address).is_ok()) => {}
        }
        app.open();
        let end = if tls { End::CloseNotify } else { End::Fin };
        let clients = async {
            let seen = receive(&mut client, end.clone()).await;
            drop(client);
            seen
        };
        let ((_, summary), seen) = tokio::join!(finishing, clients);
        assert_eq!((seen.status, seen.complete, seen.end), (Some(200), true, end), "{what}");
        assert_eq!(summary.total(), 1, "{what}: {summary}");
        assert_over(&what, &linger, &mut reports, 1);
    }
}

/// The tasks of a dropped `axum::serve` live on: with the layer until the deadline, without it for ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_whose_server_was_dropped_ends_at_the_deadline() {
    let bare_app = App::default();
    let bare = serve(listen().await, bare_app.router());
    let mut bare_client = Client::plain(bare.address, None).await.expect("it listens");
    ask(&mut bare_client, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n", "an event").await;
    drop(bare);

    for (engine, tls) in EACH {
        let app = App::default();
        let what = format!("{engine:?}, TLS {tls}");
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let shutdown = Shutdown::new(linger.tracker().clone(), LIMIT);
        let mut scene = Scene::start(engine, tls, &linger, app.router(), &shutdown).await;
        let mut client = scene.connect(None).await;
        ask(&mut client, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n", "an event").await;
        drop(scene.serve());
        shutdown.handle().request();
        let _ = shutdown.finish(async {}).await;
        assert_over(&what, &linger, &mut reports, 1);
        until(&format!("{what}: its stream is dropped"), || app.running() == 0).await;
        let end = client.read_u8().await.expect_err("no more");
        // The last chunk is missing. Over TLS the close_notify is missing, too, as rustls' own error says.
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof, "{what}");
        assert_eq!(end.get_ref().is_some(), tls, "{what}: {end}");
    }

    // The bare server was dropped before all of these, and its stream still goes on.
    assert_eq!(bare_app.running(), 1, "without the layer");
    let end = bare_client.tcp().try_read(&mut [0; 1]).map_err(|error| error.kind());
    assert_eq!(end, Err(io::ErrorKind::WouldBlock), "without the layer");
    drop(bare_client);
    until("it ends with its client", || bare_app.running() == 0).await;
}

/// CONFORMANCE 41: the framing shows the cut, or a missing `close_notify` does; where neither can, a reset.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_response_to_a_slow_reader_does_not_look_whole_when_the_deadline_cuts_it() {
    for (engine, tls) in EACH {
        for (request, is_framed) in
            [("GET /large HTTP/1.1\r\nHost: x\r\n\r\n", true), ("GET /until-close HTTP/1.0\r\n\r\n", false)]
        {
            let what = format!("{engine:?}, TLS {tls}, {request:?}");
            let (linger, mut reports) = reporting(ClosePolicy::default());
            let app = App::default();
            let shutdown = Shutdown::new(linger.tracker().clone(), LIMIT);
            let mut scene = Scene::start(engine, tls, &linger, app.router(), &shutdown).await;
            let mut client = scene.connect(Some(16 << 10)).await;
            ask(&mut client, request, "200 OK").await;
            until("it is handled", || app.running() == 1).await;
            shutdown.handle().request();
            let began = Instant::now();
            let _ = shutdown.finish(scene.serve()).await;
            assert!(began.elapsed() < GENEROUS, "{what}: {:?}", began.elapsed());
            assert_over(&what, &linger, &mut reports, 1);
            until(&format!("{what}: its body is dropped"), || app.running() == 0).await;
            let seen = receive(&mut client, if tls { End::CloseNotify } else { End::Fin }).await;
            assert!(seen.body < mix::LARGE_BYTES, "{what}: {seen:?}");
            let is_unclean = seen.end == End::Reset || (seen.end == End::Fin && (tls || is_framed));
            assert!(is_unclean, "{what}: {seen:?}");
        }
    }
}
