//! What the modules share.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::any;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tower::Layer;
use tower_linger::axum::TlsLingerListener;
use tower_linger::{LingerLayer, TlsAcceptLayer};
use tower_linger_tests::server::{BareTls, Engine, Http, Running, accept_loop, listen, serve};

pub(super) const UPLOAD_BYTES: usize = 64 << 20;
/// More than the buffers of two sockets hold.
pub(super) const LARGE_BYTES: usize = 3 << 20;
/// For a loss that depends on who is faster; nearly always the first try shows it.
pub(super) const TRIES: usize = 20;
pub(super) const MESSAGE: &str = "not like this\n";

pub(super) fn app() -> Router {
    let large = Bytes::from(vec![b'.'; LARGE_BYTES]);
    Router::new()
        .route("/small", any(async || MESSAGE))
        .route("/large", any(async move || large.clone()))
        .route("/413", any(async || (StatusCode::PAYLOAD_TOO_LARGE, MESSAGE)))
}

/// The app behind TLS and the layer, in a framework's loop or one's own.
pub(super) async fn layered(engine: Engine, linger: &LingerLayer, config: ServerConfig) -> Running {
    let tls = TlsAcceptLayer::new(TlsAcceptor::from(Arc::new(config)), linger.clone());
    let listener = listen().await;
    match engine {
        Engine::Axum => serve(TlsLingerListener::new(listener, tls), app()),
        Engine::Hyper => accept_loop(listener, tls.layer(linger.layer(Http::new(app())))),
    }
}

/// The app behind TLS as most people do it.
pub(super) async fn bare(config: ServerConfig) -> Running {
    accept_loop(listen().await, BareTls::new(TlsAcceptor::from(Arc::new(config)), Http::new(app())))
}

/// The server's end of one connection, its handshake done, and the client's TCP stream with the handshake still to do.
pub(super) async fn accept(config: ServerConfig) -> (tokio_rustls::Accept<TcpStream>, TcpStream) {
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (server, _) = accepted.expect("loopback");
    (TlsAcceptor::from(Arc::new(config)).accept(server), client.expect("loopback"))
}

/// Both ends of a TLS connection.
pub(super) async fn connect(
    server: ServerConfig,
    client: tokio_rustls::rustls::ClientConfig,
) -> (TlsStream<TcpStream>, tokio_rustls::client::TlsStream<TcpStream>) {
    let (accept, tcp) = accept(server).await;
    let name = "localhost".try_into().expect("a name");
    let connect = tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, tcp);
    let (server, client) = tokio::join!(accept, connect);
    (server.expect("loopback"), client.expect("loopback"))
}
