//! Servers in Rust, bare and with tower-linger: the same app, over TCP and TLS. What the layer changes is the listener, or the
//! service of a connection, and nothing else.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::get;
use axum_server::tls_rustls::RustlsConfig;
use clap::ValueEnum;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tower::{Layer, Service, service_fn};
use tower_linger::axum::{LingerListener, TlsLingerListener};
use tower_linger::axum_server::{LingerAcceptor, TlsLingerAcceptor};
use tower_linger::{HyperErrors, LingerLayer, TlsAcceptLayer};

pub(crate) mod certs;

/// Who owns the accept loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stack {
    /// `axum::serve`.
    Axum,
    /// A loop of one's own around hyper-util.
    Hyper,
    /// axum-server.
    AxumServer,
}

/// Size of the large response.
const LARGE_BYTES: usize = 8 << 20;
/// For a handshake: the layer's default, too.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A small response, a large one, and a refusal of whatever is uploaded, unread.
fn app() -> Router {
    let large = Bytes::from(vec![b'.'; LARGE_BYTES]);
    let refused = async || (StatusCode::PAYLOAD_TOO_LARGE, "{\"error\":\"too large\"}\n");
    Router::new()
        .route("/", get(async || "hello\n").put(refused))
        .route("/large", get(async move || large.clone()))
}

impl Stack {
    /// Serves until this is dropped, over TLS where there is a configuration.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        layered: bool,
    ) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let linger = layered.then(LingerLayer::default);
        match self {
            Self::Axum => axum(tokio::net::TcpListener::from_std(listener)?, tls, linger).await,
            Self::Hyper => hyper(tokio::net::TcpListener::from_std(listener)?, tls, linger).await,
            Self::AxumServer => axum_server(listener, tls, linger).await,
        }
    }
}

async fn axum(
    listener: tokio::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
    linger: Option<LingerLayer>,
) -> io::Result<()> {
    match (tls.map(TlsAcceptor::from), linger) {
        (None, None) => axum::serve(listener, app()).await,
        (None, Some(linger)) => axum::serve(LingerListener::new(listener, linger), app()).await,
        (Some(acceptor), None) => {
            let bare = BareTls { listener, acceptor, handshakes: JoinSet::new() };
            axum::serve(bare, app()).await
        }
        (Some(acceptor), Some(linger)) => {
            let tls = TlsAcceptLayer::new(acceptor, linger);
            axum::serve(TlsLingerListener::new(listener, tls), app()).await
        }
    }
}

async fn hyper(
    listener: tokio::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
    linger: Option<LingerLayer>,
) -> io::Result<()> {
    let app = app();
    match (tls.map(TlsAcceptor::from), linger) {
        (None, None) => accept(listener, service_fn(move |io| engine(io, app.clone()))).await,
        (None, Some(linger)) => {
            let engine = service_fn(move |io| engine(io, app.clone()));
            accept(listener, linger.classify(HyperErrors).layer(engine)).await
        }
        (Some(acceptor), None) => {
            let handshake = service_fn(move |io: TcpStream| {
                let (handshake, app) = (acceptor.accept(io), app.clone());
                async move { engine(timeout(HANDSHAKE_TIMEOUT, handshake).await??, app).await }
            });
            accept(listener, handshake).await
        }
        (Some(acceptor), Some(linger)) => {
            let engine = service_fn(move |io| engine(io, app.clone()));
            let tls = TlsAcceptLayer::new(acceptor, linger.clone());
            accept(listener, tls.layer(linger.classify(HyperErrors).layer(engine))).await
        }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn engine<I>(io: I, app: Router) -> Result<(), BoxError>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let builder = auto::Builder::new(TokioExecutor::new());
    builder.serve_connection(TokioIo::new(io), TowerToHyperService::new(app)).await
}

/// Each connection in a task of its own. Its failure is its client's to see.
async fn accept<S>(listener: tokio::net::TcpListener, mut connections: S) -> io::Result<()>
where
    S: Service<TcpStream, Future: Send + 'static, Response: Send + 'static, Error: Send + 'static>,
{
    loop {
        let (stream, _) = listener.accept().await?;
        drop(tokio::spawn(connections.call(stream)));
    }
}

async fn axum_server(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    linger: Option<LingerLayer>,
) -> io::Result<()> {
    let server = axum_server::from_tcp(listener)?;
    let app = app().into_make_service();
    match (tls, linger) {
        (None, None) => server.serve(app).await,
        (None, Some(linger)) => server.acceptor(LingerAcceptor::new(linger)).serve(app).await,
        (Some(config), None) => {
            let acceptor = axum_server::tls_rustls::RustlsAcceptor::new(RustlsConfig::from_config(config));
            server.acceptor(acceptor).serve(app).await
        }
        (Some(config), Some(linger)) => {
            let tls = TlsAcceptLayer::new(TlsAcceptor::from(config), linger);
            server.acceptor(TlsLingerAcceptor::new(tls)).serve(app).await
        }
    }
}

/// TLS as most servers do it on tokio-rustls: a handshake in a task of its own, and a failed one is dropped.
struct BareTls {
    listener: tokio::net::TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<io::Result<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl axum::serve::Listener for BareTls {
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
                (stream, address) = axum::serve::Listener::accept(&mut self.listener) => {
                    let handshake = timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(stream));
                    self.handshakes.spawn(async move { Ok((handshake.await??, address)) });
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
