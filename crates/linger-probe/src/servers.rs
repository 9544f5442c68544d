//! Servers in Rust, bare and with tower-linger: the same app, over TCP and TLS. What the layer changes is the
//! listener, or the service of a connection, and nothing else.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::routing::{get, put};
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
use tower_linger::{HyperErrors, LingerLayer, Shutdown, ShutdownHandle, Tracker};

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

/// For `/slow`.
const SLOW: Duration = Duration::from_millis(700);
/// For everything that is under way at a graceful end.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A small response, a large one, and a refusal of whatever is uploaded, unread; a slow response, a place for
/// uploads, and a WebSocket that is closed with a code when the server is `ended`.
fn app(ended: &ShutdownHandle) -> Router {
    let ended = ended.clone();
    let websocket = async move |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(move |socket| until_ended(socket, ended.requested()))
    };
    let slow = async || {
        tokio::time::sleep(SLOW).await;
        "slow\n"
    };
    let upload = async |body: Bytes| format!("{}\n", body.len());
    let large = Bytes::from(vec![b'.'; LARGE_BYTES]);
    let refused = async || (StatusCode::PAYLOAD_TOO_LARGE, "{\"error\":\"too large\"}\n");
    Router::new()
        .route("/", get(async || "hello\n").put(refused))
        .route("/large", get(async move || large.clone()))
        .route("/slow", get(slow))
        .route("/upload", put(upload))
        .route("/websocket", get(websocket))
}

/// Holds a WebSocket until the server ends, or the client.
async fn until_ended(mut socket: WebSocket, ended: impl Future<Output = ()>) {
    tokio::pin!(ended);
    loop {
        tokio::select! {
            () = &mut ended => break,
            message = socket.recv() => {
                if !matches!(message, Some(Ok(_))) {
                    return;
                }
            }
        }
    }
    let frame = CloseFrame { code: close_code::AWAY, reason: "the server ends".into() };
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        // Until the client's answer.
        while matches!(socket.recv().await, Some(Ok(_))) {}
    }
}

impl Stack {
    /// Serves until this is dropped, over TLS where there is a configuration.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        layered: bool,
    ) -> io::Result<()> {
        let (life, _shutdown) = Life::new(layered);
        self.serve_until(listener, tls, &life).await
    }

    /// Serves until this is dropped, or until its end is requested. Only `axum` hears of that.
    pub(crate) async fn serve_until(
        self,
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        life: &Life,
    ) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let (app, linger) = (app(&life.shutdown), life.linger.clone());
        match self {
            Self::Axum => {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                axum(listener, tls, linger, app, life.shutdown.requested()).await
            }
            Self::Hyper => hyper(tokio::net::TcpListener::from_std(listener)?, tls, linger, app).await,
            Self::AxumServer => axum_server(listener, tls, linger, app).await,
        }
    }
}

/// With or without the layer, and how its end is requested.
#[derive(Debug)]
pub(crate) struct Life {
    linger: Option<LingerLayer>,
    pub(crate) shutdown: ShutdownHandle,
}

impl Life {
    pub(crate) fn new(layered: bool) -> (Self, Shutdown) {
        let linger = layered.then(LingerLayer::default);
        let tracker = linger.as_ref().map_or_else(Tracker::new, |linger| linger.tracker().clone());
        let shutdown = Shutdown::new(tracker, END_LIMIT);
        (Self { linger, shutdown: shutdown.handle() }, shutdown)
    }
}

async fn axum(
    listener: tokio::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
    linger: Option<LingerLayer>,
    app: Router,
    ended: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    match (tls.map(TlsAcceptor::from), linger) {
        (None, None) => axum::serve(listener, app).with_graceful_shutdown(ended).await,
        (None, Some(linger)) => {
            axum::serve(LingerListener::new(listener, linger), app).with_graceful_shutdown(ended).await
        }
        (Some(acceptor), None) => {
            let bare = BareTls { listener, acceptor, handshakes: JoinSet::new() };
            axum::serve(bare, app).with_graceful_shutdown(ended).await
        }
        (Some(acceptor), Some(linger)) => {
            let tls = TlsLingerListener::new(listener, linger.tls(acceptor));
            axum::serve(tls, app).with_graceful_shutdown(ended).await
        }
    }
}

async fn hyper(
    listener: tokio::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
    linger: Option<LingerLayer>,
    app: Router,
) -> io::Result<()> {
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
            accept(listener, linger.classify(HyperErrors).tls(acceptor).layer(engine)).await
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
    app: Router,
) -> io::Result<()> {
    let server = axum_server::from_tcp(listener)?;
    let app = app.into_make_service();
    match (tls, linger) {
        (None, None) => server.serve(app).await,
        (None, Some(linger)) => server.acceptor(LingerAcceptor::new(linger)).serve(app).await,
        (Some(config), None) => {
            let acceptor = axum_server::tls_rustls::RustlsAcceptor::new(RustlsConfig::from_config(config));
            server.acceptor(acceptor).serve(app).await
        }
        (Some(config), Some(linger)) => {
            let acceptor = TlsLingerAcceptor::new(linger.tls(TlsAcceptor::from(config)));
            server.acceptor(acceptor).serve(app).await
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
