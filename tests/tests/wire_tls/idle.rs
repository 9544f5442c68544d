//! Idle connections that a timeout or the server's shutdown ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tower::Layer;
use tower_linger::axum::TlsLingerListener;
use tower_linger::{LingerLayer, RequestLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{End, head, receive};
use tower_linger_tests::server::{BareTls, Http, Running, accept_loop, listen};
use tower_linger_tests::wire::{Capture, ResetWatch, Side};

use super::common::{MESSAGE, answer_close_notify, app, dial};

/// CONFORMANCE 17, RFC 8446 §6.1: hyper drops an idle connection without shutting it down, so only the layer
/// sends `close_notify`. It does so because `RequestLayer` tells it that the connection is idle.
pub(crate) async fn an_idle_timeout_ends_in_close_notify() {
    let certs = Certs::make();
    for version in Version::ALL {
        let config = || certs.server(&[version], ClientAuth::None);
        let http = |app| {
            Http::new(app).configured(|builder| {
                let timeout = Duration::from_millis(100);
                builder.http1().timer(TokioTimer::new()).header_read_timeout(timeout);
            })
        };
        let with = layered(&LingerLayer::default(), config(), http(app().layer(RequestLayer))).await;
        let without = bare(config(), http(app())).await;
        // After a response, and in the middle of a head. Before the first bytes, which tell it the HTTP
        // version, hyper-util has no timer.
        for bytes in [head("GET", "/small", 0), b"GET / HTTP/1.1\r\nHost: loc".to_vec()] {
            for (server, end) in [(&with, End::CloseNotify), (&without, End::Fin)] {
                let mut client = dial(server.address, Arc::new(certs.client(&[version]))).await;
                client.write_all(&bytes).await.expect("loopback");
                let seen = receive(&mut client, End::CloseNotify).await;
                assert_eq!(seen.end, end, "{version:?}, after {} bytes: {seen:?}", bytes.len());
            }
        }
    }
}

/// CONFORMANCE 17 and 21, RFC 8446 §6.1: here a bare server sends `close_notify`, too, but it resets the
/// client that answers.
pub(crate) async fn a_shutdown_ends_idle_connections_in_close_notify() {
    let certs = Certs::make();
    for version in Version::ALL {
        let config = || certs.server(&[version], ClientAuth::None);
        let linger = LingerLayer::default();

        let http = Http::new(app());
        let server = layered(&linger, config(), http.clone()).await;
        let resets = ResetWatch::start(server.address.port()).expect("captures");
        let client = answered(server.address, &certs, version).await;
        http.shut_down();
        drop(is_told(client).await);
        linger.tracker().wait().await;
        resets.assert_none(version);

        let stop = Arc::new(Notify::new());
        let tls = linger.clone().tls(TlsAcceptor::from(Arc::new(config())));
        let listener = TlsLingerListener::new(listen().await, tls);
        let address = axum::serve::Listener::local_addr(&listener).expect("bound");
        let resets = ResetWatch::start(address.port()).expect("captures");
        let stopped = Arc::clone(&stop);
        let serving = axum::serve(listener, app())
            .with_graceful_shutdown(async move { stopped.notified().await })
            .into_future();
        let serving = tokio::spawn(serving);
        let client = answered(address, &certs, version).await;
        stop.notify_one();
        drop(is_told(client).await);
        serving.await.expect("no panic").expect("axum's loop does not fail");

        linger.tracker().wait().await;
        assert_eq!(linger.tracker().summary().total(), 2);
        resets.assert_none(version);

        let http = Http::new(app());
        let server = bare(config(), http.clone()).await;
        let capture = Capture::start(server.address.port()).expect("captures");
        let client = answered(server.address, &certs, version).await;
        http.shut_down();
        let _client = is_told(client).await;
        let reset = capture.wait_until(|seen| seen.resets(Side::Server) > 0);
        assert!(reset, "{version:?}, without the layer");
    }
}

async fn layered(linger: &LingerLayer, config: ServerConfig, http: Http) -> Running {
    let tls = linger.clone().tls(TlsAcceptor::from(Arc::new(config)));
    accept_loop(listen().await, tls.layer(http))
}

async fn bare(config: ServerConfig, http: Http) -> Running {
    accept_loop(listen().await, BareTls::new(TlsAcceptor::from(Arc::new(config)), http))
}

type TlsClient = tokio_rustls::client::TlsStream<TcpStream>;

/// A client that has read its whole response, so that its connection is idle.
async fn answered(server: SocketAddr, certs: &Certs, version: Version) -> TlsClient {
    let mut client = dial(server, Arc::new(certs.client(&[version]))).await;
    client.write_all(&head("GET", "/small", 0)).await.expect("loopback");
    let mut received = Vec::new();
    while !received.ends_with(MESSAGE.as_bytes()) {
        assert!(client.read_buf(&mut received).await.expect("an answer") > 0, "the connection stays open");
    }
    client
}

/// The client reads `close_notify` and answers with its own.
async fn is_told(mut client: TlsClient) -> TlsClient {
    assert_eq!(receive(&mut client, End::CloseNotify).await.end, End::CloseNotify);
    answer_close_notify(&mut client).await;
    client
}
