//! Closes that may have lost the end of a response. Only Linux tells what a peer has not acknowledged.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tower_linger::{LingerLayer, Shutdown, metrics};
use tower_linger_tests::server::Engine;
use tower_linger_tests::until::until;

use crate::mix::{App, Scene, send};
use crate::scrape::{Scrape, install};

const SECOND: Duration = Duration::from_secs(1);

/// A client that resets its connection in the middle of a response has lost the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_a_reset_cut_is_counted_as_unacknowledged() {
    const NAME: &str = "unacked";
    install();
    let linger = LingerLayer::default().named(NAME);
    let tracker = linger.tracker().clone();
    let shutdown = Shutdown::new(tracker.clone(), SECOND);
    let scene = Scene::start(Engine::Hyper, false, &linger, App::default().router(), &shutdown).await;
    let mut client = scene.connect(Some(4096)).await;
    send(&mut client, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    client.read_exact(&mut [0; 1024]).await.expect("it begins");
    socket2::SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO)).expect("a socket");
    drop(client);
    until("it is closed", || tracker.summary().total() == 1).await;
    tracker.wait().await;
    let scrape = Scrape::of(NAME);
    assert_eq!(scrape.by(metrics::UNACKED, "outcome").get("peer_reset"), Some(&1.0), "{scrape:?}");
    assert_eq!(scrape.by(metrics::CLOSES, "outcome").get("peer_reset"), Some(&1.0), "{scrape:?}");

    // One that has read everything has lost nothing.
    let mut client = scene.connect(None).await;
    send(&mut client, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    client.read_to_end(&mut Vec::new()).await.expect("it ends");
    drop(client);
    until("it is closed", || tracker.summary().total() == 2).await;
    tracker.wait().await;
    let scrape = Scrape::of(NAME);
    scrape.assert_agrees(NAME, &tracker);
    assert_eq!(scrape.by(metrics::UNACKED, "outcome").len(), 1, "{scrape:?}");
}
