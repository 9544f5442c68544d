//! What was sent before a failure arrives.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{any, get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tower_linger::LingerLayer;
use tower_linger_tests::peer::{Client, End, Manner, head};

use crate::happening::SWITCHING;
use crate::server::{Hook, Server, Tls};

const TRIES: usize = 20;
const WHOLE_BYTES: usize = 1 << 20;
const BOUND: Duration = Duration::from_secs(60);

/// Two pipelined requests of a client that reads slowly: the first response is whole, the second fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_response_arrives_although_the_next_one_fails() {
    let app = Router::new()
        .route("/", get(async || vec![b'a'; WHOLE_BYTES]))
        .route("/panics", get(async || -> String { std::panic::resume_unwind(Box::new("on purpose")) }))
        .route(
            "/fails",
            get(async || {
                let parts = [Ok("begin"), Err(io::Error::other("on purpose"))];
                Body::from_stream(tokio_stream::iter(parts))
            }),
        );
    let tls = Tls::make();
    let hooks = [Hook::Axum, Hook::AxumServer, Hook::Tonic, Hook::Layer, Hook::HyperErrors];
    for (hook, tls) in hooks.into_iter().flat_map(|hook| [(hook, None), (hook, Some(&tls))]) {
        for linger in [None, Some(LingerLayer::default())] {
            let server = Server::start(hook, tls, linger.clone(), app.clone());
            for second in ["/panics", "/fails"] {
                for _ in 0..TRIES / 2 {
                    let mut client = server.connect(Some(64 << 10)).await;
                    let requests =
                        format!("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET {second} HTTP/1.1\r\nHost: x\r\n\r\n");
                    client.write_all(requests.as_bytes()).await.expect("loopback");
                    let (received, end) = read_to_end(&mut client).await;
                    let at = format!("{hook:?}, TLS: {}, {linger:?}, {second}: {end:?}", tls.is_some());
                    // The whole body and its head.
                    assert!(received.len() > WHOLE_BYTES, "{} bytes: {at}", received.len());
                    let is_reset = end == Err(io::ErrorKind::ConnectionReset);
                    assert!(!is_reset || linger.is_none(), "{at}");
                    // Over TLS a read of no bytes is a close_notify.
                    assert!(tls.is_none() || end.is_err(), "{at}");
                }
            }
        }
    }
}

/// The client learns that the protocol was switched before its handler failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_101_arrives_although_the_upgraded_handler_panics() {
    let app = Router::new().route("/", get(panics_when_upgraded));
    let tls = Tls::make();
    for hook in [Hook::Axum, Hook::AxumServer, Hook::Layer, Hook::HyperErrors, Hook::Wrap] {
        for tls in [None, Some(&tls)] {
            let linger = LingerLayer::default();
            let server = Server::start(hook, tls, Some(linger.clone()), app.clone());
            for _ in 0..TRIES {
                let mut client = server.connect(None).await;
                let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: words\r\n\r\n";
                client.write_all(request).await.expect("loopback");
                let (received, end) = read_to_end(&mut client).await;
                let at = format!("{hook:?}, TLS: {}: {end:?}", tls.is_some());
                assert!(received.starts_with(b"HTTP/1.1 101 "), "{at}");
                assert!(received.ends_with(b"\r\n\r\n"), "{at}");
                assert!(end.is_err(), "it looks clean: {at}");
            }
            linger.tracker().wait().await;
            assert_eq!(linger.tracker().summary().to_string(), format!("{TRIES} closed: aborted {TRIES}"));
        }
    }
}

async fn panics_when_upgraded(request: Request) -> impl IntoResponse {
    tokio::spawn(async move {
        let _tunnel = hyper::upgrade::on(request).await.expect("upgraded");
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    SWITCHING
}

/// A handler's 103 is no final response: hyper answers 500 itself, and ends the connection with an error.
#[tokio::test(flavor = "multi_thread")]
async fn hypers_own_500_arrives_at_uploading_clients() {
    const UPLOAD_BYTES: usize = 32 << 20;
    let app = Router::new().route("/", any(async || StatusCode::from_u16(103).expect("a status")));
    for hook in [Hook::Axum, Hook::Layer, Hook::HyperErrors] {
        for linger in [None, Some(LingerLayer::default())] {
            let is_bare = linger.is_none();
            let server = Server::start(hook, None, linger, app.clone());
            let mut answered = 0;
            for _ in 0..TRIES {
                let client = server.connect(None).await;
                let request = head("POST", "/", UPLOAD_BYTES);
                let seen = client.exchange(&request, UPLOAD_BYTES, Manner::StopsAtFailedWrite).await;
                answered += usize::from(seen.status == Some(500) && seen.end == End::Fin);
            }
            if is_bare {
                assert!(
                    answered < TRIES,
                    "{hook:?}: all are answered without the layer, so this shows nothing"
                );
            } else {
                assert_eq!(answered, TRIES, "{hook:?}");
            }
        }
    }
}

/// What arrived, and whether the end looked clean.
async fn read_to_end(client: &mut Client) -> (Vec<u8>, Result<(), io::ErrorKind>) {
    let mut received = Vec::new();
    let read = timeout(BOUND, client.read_to_end(&mut received)).await.expect("it ends");
    (received, read.map(drop).map_err(|error| error.kind()))
}
