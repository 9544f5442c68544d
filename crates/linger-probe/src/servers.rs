//! Servers in Rust, bare and with tower-linger: the same app, over TCP and TLS. The layer changes only the
//! listener or the service of a connection.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::serve::Listener;
use axum_server::tls_rustls::RustlsConfig;
use clap::ValueEnum;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
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
    /// `tower_linger::serve`, which always has the layer.
    Serve,
}

/// Size of the large response.
const LARGE_BYTES: usize = 8 << 20;
/// How long `/slow` takes to answer.
const SLOW: Duration = Duration::from_millis(700);
/// How long a graceful shutdown waits for what is under way.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Answers with a small, a large or a slow response, refuses uploads unread or takes them, and holds each
/// WebSocket until a shutdown is requested, when it closes it with a code.
fn app(shutdown: &ShutdownHandle) -> Router {
    let shutdown = shutdown.clone();
    let websocket = async move |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(move |socket| hold(socket, shutdown.requested()))
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

/// Holds a WebSocket until the client ends it or a shutdown is requested.
async fn hold(mut socket: WebSocket, shutdown: impl Future<Output = ()>) {
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            message = socket.recv() => {
                if !matches!(message, Some(Ok(_))) {
                    return;
                }
            }
        }
    }
    let frame = CloseFrame { code: close_code::AWAY, reason: "the server ends".into() };
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        // Wait for the client's close frame.
        while matches!(socket.recv().await, Some(Ok(_))) {}
    }
}

impl Stack {
    /// Serves until the future is dropped, over TLS if there is a configuration.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        layered: bool,
    ) -> io::Result<()> {
        let (life, _shutdown) = Life::new(layered);
        self.serve_until(listener, tls, &life).await
    }

    /// Serves until the future is dropped or a shutdown is requested. Only `axum` looks at the request.
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
            Self::Serve => serve(tokio::net::TcpListener::from_std(listener)?, tls, linger, app).await,
        }
    }
}

/// Whether the server has the layer, and how to shut it down.
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
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    match (tls.map(TlsAcceptor::from), linger) {
        (None, None) => axum::serve(listener, app).with_graceful_shutdown(shutdown).await,
        (None, Some(linger)) => {
            axum::serve(LingerListener::new(listener, linger), app).with_graceful_shutdown(shutdown).await
        }
        (Some(acceptor), None) => {
            let tls = tls_listener::builder(acceptor).listen(listener);
            axum::serve(tls, app).with_graceful_shutdown(shutdown).await
        }
        (Some(acceptor), Some(linger)) => {
            let tls = TlsLingerListener::new(listener, linger.tls(acceptor));
            axum::serve(tls, app).with_graceful_shutdown(shutdown).await
        }
    }
}

async fn serve(
    listener: tokio::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
    linger: Option<LingerLayer>,
    app: Router,
) -> io::Result<()> {
    let server = tower_linger::serve(listener, app).linger(linger.unwrap_or_default());
    match tls {
        None => server.await,
        Some(config) => server.tls(config).await,
    };
    Ok(())
}

async fn hyper(
    listener: tokio::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
    linger: Option<LingerLayer>,
    app: Router,
) -> io::Result<()> {
    match (tls.map(TlsAcceptor::from), linger) {
        (None, None) => accept(listener, engine(app)).await,
        (None, Some(linger)) => accept(listener, linger.classify(HyperErrors).layer(engine(app))).await,
        (Some(acceptor), None) => accept(tls_listener::builder(acceptor).listen(listener), engine(app)).await,
        (Some(acceptor), Some(linger)) => {
            let tls = linger.classify(HyperErrors).tls(acceptor);
            accept(listener, tls.layer(engine(app))).await
        }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// hyper-util's server of HTTP/1 and HTTP/2 on one connection.
fn engine<I>(
    app: Router,
) -> impl Service<I, Response = (), Error = BoxError, Future: Send + 'static> + Clone + Send
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let app = TowerToHyperService::new(app);
    service_fn(move |io| {
        let app = app.clone();
        async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            builder.serve_connection(TokioIo::new(io), app).await
        }
    })
}

/// Each connection in a task of its own. A failed connection is not reported: its client sees the failure.
async fn accept<L, S>(mut listener: L, mut connections: S) -> !
where
    L: Listener,
    S: Service<L::Io, Future: Send + 'static, Response: Send + 'static, Error: Send + 'static>,
{
    loop {
        let (io, _) = listener.accept().await;
        drop(tokio::spawn(connections.call(io)));
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
