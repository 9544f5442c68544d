//! Connections that end without a failure: the end looks clean.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use hyper_util::rt::TokioTimer;
use tower_linger_tests::peer::receive;
use tower_linger_tests::server::Http;

use super::scene::{GET, PEER_CLOSED, Scene};

#[tokio::test]
async fn an_idle_timeout_looks_clean() {
    for tls in [false, true] {
        let http = Http::new(Router::new().route("/", get(async || "hello"))).configured(|builder| {
            let timeout = Duration::from_millis(100);
            builder.http1().timer(TokioTimer::new()).header_read_timeout(timeout);
        });
        let mut scene = Scene::start(tls, http).await;
        // After a response, and in the middle of a head.
        for bytes in [GET, b"GET / HTTP/1.1\r\nHost: loc"] {
            assert_eq!(scene.exchange(bytes).await.end, scene.clean(), "TLS: {tls}");
            assert_eq!(scene.outcome().await, PEER_CLOSED);
        }
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_parsed_is_answered_and_looks_clean() {
    let long = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![b'x'; 500_000]].concat();
    for tls in [false, true] {
        let mut scene = Scene::start(tls, Http::new(Router::new())).await;
        for (bytes, status) in [(b"GET / HTTP/1.1\r\nno colon\r\n\r\n".as_slice(), 400), (&long, 431)] {
            let seen = scene.exchange(bytes).await;
            assert_eq!((seen.status, seen.end), (Some(status), scene.clean()), "TLS: {tls}");
            assert_eq!(scene.outcome().await, PEER_CLOSED);
        }
    }
}

#[tokio::test]
async fn a_shutdown_before_the_first_byte_looks_clean() {
    for tls in [false, true] {
        let http = Http::new(Router::new());
        let mut scene = Scene::start(tls, http.clone()).await;
        let mut client = scene.connect().await;
        // The server has to have accepted it. Over TLS the handshake shows that; over plain TCP the answer
        // to a second connection does.
        if !tls {
            let close = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            assert_eq!(scene.exchange(close).await.status, Some(404));
            assert_eq!(scene.outcome().await, PEER_CLOSED);
        }
        http.shut_down();
        let seen = receive(&mut client, scene.clean()).await;
        assert_eq!((seen.status, seen.end), (None, scene.clean()), "TLS: {tls}");
        drop(client);
        assert_eq!(scene.outcome().await, PEER_CLOSED);
    }
}
