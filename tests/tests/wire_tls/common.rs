//! What the modules share.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower_linger::LingerLayer;
use tower_linger_tests::server::{BareTls, Engine, Http, Running, accept_loop, listen, midway};

use super::site;
pub(super) use super::site::{LARGE_BYTES, MESSAGE, TRIES, UPLOAD_BYTES, last_request};

/// Answers by the path: without reading the request's body, or in the middle of it.
pub(super) fn app() -> Router {
    let midway = any(async |body| {
        midway(body).await;
        (StatusCode::PAYLOAD_TOO_LARGE, MESSAGE)
    });
    site::app().route("/413-midway", midway)
}

/// The app behind TLS and the layer.
pub(super) async fn layered(engine: Engine, linger: &LingerLayer, config: ServerConfig) -> Running {
    engine.layered(listen().await, linger, Some(TlsAcceptor::from(Arc::new(config))), app())
}

/// The app behind TLS without the layer.
pub(super) async fn bare(config: ServerConfig) -> Running {
    accept_loop(listen().await, BareTls::new(TlsAcceptor::from(Arc::new(config)), Http::new(app())))
}

/// The two ends of a TCP connection: the server's with its handshake begun, the client's with the handshake
/// still to do.
pub(super) async fn accept(config: ServerConfig) -> (tokio_rustls::Accept<TcpStream>, TcpStream) {
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (server, _) = accepted.expect("loopback");
    (TlsAcceptor::from(Arc::new(config)).accept(server), client.expect("loopback"))
}

/// A client whose TLS session the test can use.
pub(super) async fn dial(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let tcp = TcpStream::connect(address).await.expect("loopback");
    let name = "localhost".try_into().expect("a name");
    TlsConnector::from(config).connect(name, tcp).await.expect("loopback")
}

/// Sends the client's `close_notify` and no FIN. If a FIN came before a bare server's `close`, its connection
/// would be over already and the server would send no reset (RFC 9293 §3.6).
pub(super) async fn answer_close_notify(client: &mut tokio_rustls::client::TlsStream<TcpStream>) {
    client.get_mut().1.send_close_notify();
    // Errors are ignored: a bare server's socket may be gone.
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
