//! What the modules share.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::any;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower::Layer;
use tower_linger::LingerLayer;
use tower_linger::axum::TlsLingerListener;
use tower_linger_tests::server::{BareTls, Engine, Http, Running, accept_loop, listen, midway, serve};

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
        .route(
            "/413-midway",
            any(async |body| {
                midway(body).await;
                (StatusCode::PAYLOAD_TOO_LARGE, MESSAGE)
            }),
        )
}

/// The app behind TLS and the layer, in a framework's loop or one's own.
pub(super) async fn layered(engine: Engine, linger: &LingerLayer, config: ServerConfig) -> Running {
    let tls = linger.clone().tls(TlsAcceptor::from(Arc::new(config)));
    let listener = listen().await;
    match engine {
        Engine::Axum => serve(TlsLingerListener::new(listener, tls), app()),
        Engine::Hyper => accept_loop(listener, tls.layer(Http::new(app()))),
    }
}

/// The app behind TLS as most people do it.
pub(super) async fn bare(config: ServerConfig) -> Running {
    accept_loop(listen().await, BareTls::new(TlsAcceptor::from(Arc::new(config)), Http::new(app())))
}

/// The server's end of one connection, its handshake done, and the client's TCP stream with the handshake
/// still to do.
pub(super) async fn accept(config: ServerConfig) -> (tokio_rustls::Accept<TcpStream>, TcpStream) {
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (server, _) = accepted.expect("loopback");
    (TlsAcceptor::from(Arc::new(config)).accept(server), client.expect("loopback"))
}

/// A client whose session the test can reach.
pub(super) async fn dial(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let tcp = TcpStream::connect(address).await.expect("loopback");
    let name = "localhost".try_into().expect("a name");
    TlsConnector::from(config).connect(name, tcp).await.expect("loopback")
}

/// The client's own `close_notify`, and no FIN: if both came before a bare server's `close`, its socket
/// would be closed already and would send no reset (RFC 9293 §3.6).
pub(super) async fn answer_close_notify(client: &mut tokio_rustls::client::TlsStream<TcpStream>) {
    client.get_mut().1.send_close_notify();
    // The bare server's socket may be gone.
    let _ = client.flush().await;
}

/// Both ends of a TLS connection.
pub(super) async fn connect(
    server: ServerConfig,
    client: ClientConfig,
) -> (TlsStream<TcpStream>, tokio_rustls::client::TlsStream<TcpStream>) {
    let (accept, tcp) = accept(server).await;
    let name = "localhost".try_into().expect("a name");
    let connect = TlsConnector::from(Arc::new(client)).connect(name, tcp);
    let (server, client) = tokio::join!(accept, connect);
    (server.expect("loopback"), client.expect("loopback"))
}
