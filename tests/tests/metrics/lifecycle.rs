//! The gauges at each turn of a connection's life, behind a real axum and a real hyper.

use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, duplex};
use tokio::task::JoinSet;
use tower_linger::{LingerLayer, Shutdown, Tracker, metrics};
use tower_linger_tests::peer::{Client, End, receive};
use tower_linger_tests::server::Engine;
use tower_linger_tests::until::until;

use crate::mix::{App, Scene, ask, send};
use crate::scrape::{Scrape, install};

/// A shutdown's deadline for requests that never end.
const LIMIT: Duration = Duration::from_millis(200);

const EACH: [(Engine, bool); 4] =
    [(Engine::Axum, false), (Engine::Axum, true), (Engine::Hyper, false), (Engine::Hyper, true)];

/// Waits until the gauges say so: the recorder is told right after the tracker.
async fn gauges(what: &str, listener: &str, served: u32, lingering: u32) {
    let expected = (Some(f64::from(served)), Some(f64::from(lingering)));
    until(&format!("{what}: {expected:?}"), || Scrape::of(listener).gauges() == expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn served_and_lingering_are_exact_at_each_turn_and_zero_in_the_end() {
    install();
    for (engine, tls) in EACH {
        let what = format!("{engine:?}, TLS {tls}");
        let name = format!("lifecycle {engine:?} {tls}");
        let linger = LingerLayer::default().named(name.clone());
        let tracker = linger.tracker().clone();
        let app = App::default();
        let shutdown = Shutdown::new(tracker.clone(), LIMIT);
        let mut scene = Scene::start(engine, tls, &linger, app.router(), &shutdown).await;

        let mut client = scene.connect(None).await;
        ask(&mut client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hello").await;
        until(&what, || Scrape::of(&name).get(metrics::SERVED) == Some(1.0)).await;
        // The server ends the connection, and its client does not.
        ask(&mut client, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "hello").await;
        gauges(&what, &name, 0, 1).await;
        drop(client);
        gauges(&what, &name, 0, 0).await;

        let mut upgraded = scene.connect(None).await;
        let upgrade = "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        ask(&mut upgraded, upgrade, "welcome").await;
        let mut pending = scene.connect(None).await;
        send(&mut pending, b"GET /pending HTTP/1.1\r\nHost: x\r\n\r\n").await;
        // Over TLS, this one is in its handshake.
        let silent = Client::plain(scene.address, None).await.expect("it listens");
        gauges(&what, &name, 3, 0).await;
        drop(upgraded);
        gauges(&what, &name, 2, 0).await;
        shutdown.handle().request();
        let (_, summary) = shutdown.finish(scene.serve()).await;
        assert_eq!(summary.total(), 4, "{what}: {summary}");
        let scrape = Scrape::of(&name);
        scrape.assert_agrees(&what, &tracker);
        let cut = scrape.by(metrics::HANDSHAKE_FAILURES, "reason");
        // axum drops its listener at once, and the handshakes with it: they were given up, and did not fail.
        let is_cut = tls && engine == Engine::Hyper;
        assert_eq!(cut.get("shutdown_cut").copied(), is_cut.then_some(1.0), "{what}: {cut:?}");
        drop((pending, silent));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_evicted_taken_away_or_refused_is_counted_once() {
    install();
    let name = "evicting";
    let limit = NonZeroUsize::new(2).expect("not zero");
    let tracker = Tracker::with_limit(limit);
    let linger = LingerLayer::default().named(name).with_tracker(tracker.clone());
    let shutdown = Shutdown::new(tracker.clone(), LIMIT);
    let scene = Scene::start(Engine::Axum, true, &linger, App::default().router(), &shutdown).await;
    let mut stay = Vec::new();
    for clients in 1..=4 {
        let mut client = scene.connect(None).await;
        ask(&mut client, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "hello").await;
        let waiting: u32 = clients.min(2);
        until("older ones are evicted", || {
            (tracker.summary().total(), tracker.closing()) == (u64::from(clients - waiting), waiting as usize)
        })
        .await;
        gauges("evicting", name, 0, waiting).await;
        stay.push(client);
    }
    assert_eq!(Scrape::of(name).get(metrics::LINGERING_LIMIT), Some(2.0));
    drop(stay);
    // No TLS: the alert is read, and the connection lingers until its client has closed.
    let mut plain = Client::plain(scene.address, None).await.expect("it listens");
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it is taken");
    let _alert = receive(&mut plain, End::Fin).await;
    drop(plain);
    tracker.wait().await;
    let scrape = Scrape::of(name);
    scrape.assert_agrees(name, &tracker);
    assert_eq!(tracker.summary().total(), 5);
    assert_eq!(scrape.by(metrics::CLOSES, "outcome")["evicted"], 2.0);
    assert_eq!(scrape.by(metrics::HANDSHAKE_FAILURES, "reason")["invalid_message"], 1.0);

    let (peer, io) = duplex(16);
    let taken = LingerLayer::default().named("taken away");
    let lent = taken.wrap(io);
    assert_eq!(Scrape::of("taken away").get(metrics::SERVED), Some(1.0));
    drop(lent.into_inner());
    assert_eq!(Scrape::of("taken away").get(metrics::SERVED), Some(0.0));
    assert_eq!(Scrape::of("taken away").by(metrics::CLOSES, "outcome").len(), 0);
    drop(peer);
}

/// Many connections at once, from many threads: no change of a gauge is lost, and none is told out of order.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_storm_of_connections_leaves_the_gauges_at_zero() {
    const TASKS: u64 = 64;
    const CONNECTIONS: u64 = 50;
    install();
    let linger = LingerLayer::default().named("storm");
    let tracker = linger.tracker().clone();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let linger = linger.clone();
        tasks.spawn(async move {
            for _ in 0..CONNECTIONS {
                let (peer, io) = duplex(16);
                let lent = linger.wrap(io);
                drop(peer);
                tokio::task::yield_now().await;
                drop(lent);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no panic");
    }
    tracker.wait().await;
    assert_eq!(tracker.summary().total(), TASKS * CONNECTIONS);
    Scrape::of("storm").assert_agrees("storm", &tracker);
}
