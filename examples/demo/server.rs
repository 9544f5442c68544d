//! The app, and the servers around it. What the layer changes is the listener, and nothing else.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::put;
use axum::serve::Listener;
use axum::{Router, serve};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower_linger::axum::{LingerListener, TlsLingerListener};
use tower_linger::{LingerLayer, TlsAcceptLayer};
use tower_linger_examples::Result;
use tower_linger_tests::certs::{Certs, ClientAuth, Version};

/// Size of the large answer.
pub(crate) const DOWNLOAD_BYTES: usize = 8 << 20;

/// The app: neither handler looks at the body of its request.
fn app() -> Router {
    let large = Bytes::from(vec![b'.'; DOWNLOAD_BYTES]);
    Router::new()
        .route("/upload", put(async || (StatusCode::PAYLOAD_TOO_LARGE, "{\"error\":\"too large\"}\n")))
        .route("/download", put(async move || large.clone()))
}

/// One server of each kind, running until the process ends.
pub(crate) struct Servers {
    /// What the progress bar calls them.
    pub(crate) name: &'static str,
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
    /// TLS that asks for a client certificate.
    pub(crate) mutual_tls: SocketAddr,
}

impl Servers {
    /// As people run axum today.
    pub(crate) async fn bare(certs: &Certs) -> Result<Self> {
        Ok(Self {
            name: "bare",
            plain: start(listen().await?)?,
            tls: start(BareTls::new(listen().await?, acceptor(certs, ClientAuth::None)))?,
            mutual_tls: start(BareTls::new(listen().await?, acceptor(certs, ClientAuth::Required)))?,
        })
    }

    /// The same with the layer.
    pub(crate) async fn layered(certs: &Certs, linger: &LingerLayer) -> Result<Self> {
        let tls = |client_auth| TlsAcceptLayer::new(acceptor(certs, client_auth), linger.clone());
        Ok(Self {
            name: "layered",
            plain: start(LingerListener::new(listen().await?, linger.clone()))?,
            tls: start(TlsLingerListener::new(listen().await?, tls(ClientAuth::None)))?,
            mutual_tls: start(TlsLingerListener::new(listen().await?, tls(ClientAuth::Required)))?,
        })
    }
}

fn start<L>(listener: L) -> Result<SocketAddr>
where
    L: Listener<Addr = SocketAddr>,
{
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    tokio::spawn(async move { serve(listener, app()).await });
    Ok(address)
}

async fn listen() -> Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))
}

fn acceptor(certs: &Certs, client_auth: ClientAuth) -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(certs.server(&Version::ALL, client_auth)))
}

/// TLS as most servers do it on tokio-rustls: a handshake in a task of its own, and a failed one is dropped.
struct BareTls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<io::Result<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl BareTls {
    fn new(listener: TcpListener, acceptor: TlsAcceptor) -> Self {
        Self { listener, acceptor, handshakes: JoinSet::new() }
    }
}

impl Listener for BareTls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                Some(handshake) = self.handshakes.join_next() => {
                    if let Ok(Ok(accepted)) = handshake {
                        return accepted;
                    }
                }
                (stream, address) = Listener::accept(&mut self.listener) => {
                    let handshake = tokio::time::timeout(Duration::from_secs(10), self.acceptor.accept(stream));
                    self.handshakes.spawn(async move { Ok((handshake.await??, address)) });
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
