//! Servers whose requests take as long as a test wants, and their clients.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::serve::Listener;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ClientConfig;
use tokio_stream::StreamExt as _;
use tower::{Layer, Service, service_fn};
use tower_linger::axum::{LingerListener, TlsLingerListener};
use tower_linger::{LingerIo, LingerLayer, Shutdown, Transport};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::Client;
use tower_linger_tests::server::{BoxError, Engine, listen};

/// The body of `/large` and `/until-close`: more than the sockets' buffers hold.
pub(crate) const LARGE_BYTES: usize = 1024 * CHUNK.len();
const CHUNK: &[u8] = &[b'.'; 64 << 10];

/// Counts its requests in progress: from the handler's first poll until the handler or the response's body is
/// dropped.
#[derive(Clone)]
pub(crate) struct App {
    running: Arc<AtomicUsize>,
    gate: watch::Sender<bool>,
}

impl Default for App {
    fn default() -> Self {
        Self { running: Arc::default(), gate: watch::Sender::new(false) }
    }
}

struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl App {
    /// How many requests are in progress.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// Lets `/gated` answer its requests.
    pub(crate) fn open(&self) {
        self.gate.send_replace(true);
    }

    fn guard(&self) -> Guard {
        self.running.fetch_add(1, Ordering::SeqCst);
        Guard(self.running.clone())
    }

    pub(crate) fn router(&self) -> Router {
        Router::new()
            .route("/", get(async || "hello"))
            .route("/pending", any(pending))
            .route("/gated", get(gated))
            .route("/upload", post(upload))
            .route("/events", get(events))
            .route("/large", get(large))
            .route("/until-close", get(until_close))
            .route("/upgrade", get(upgrade))
            .with_state(self.clone())
    }
}

async fn pending(State(app): State<App>) {
    let _guard = app.guard();
    std::future::pending::<()>().await;
}

async fn gated(State(app): State<App>) -> &'static str {
    let _guard = app.guard();
    let mut gate = app.gate.subscribe();
    gate.wait_for(|is_open| *is_open).await.expect("the app keeps the sender");
    "through"
}

async fn upload(State(app): State<App>, body: Body) {
    let _guard = app.guard();
    let mut parts = body.into_data_stream();
    while let Some(Ok(_)) = parts.next().await {}
}

async fn events(State(app): State<App>) -> Body {
    let guard = app.guard();
    let events = tokio_stream::once("an event").chain(tokio_stream::pending());
    Body::from_stream(events.map(move |event| {
        let _held = &guard;
        Ok::<_, BoxError>(event)
    }))
}

async fn large(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_LENGTH, LARGE_BYTES)], chunks(&app))
}

async fn until_close(State(app): State<App>) -> Body {
    chunks(&app)
}

fn chunks(app: &App) -> Body {
    let guard = app.guard();
    Body::from_stream(tokio_stream::iter(0..LARGE_BYTES / CHUNK.len()).map(move |_| {
        let _held = &guard;
        Ok::<_, BoxError>(Bytes::from_static(CHUNK))
    }))
}

async fn upgrade(State(app): State<App>, request: Request) -> Response {
    let guard = app.guard();
    tokio::spawn(async move {
        let _guard = guard;
        let mut io = TokioIo::new(hyper::upgrade::on(request).await?);
        io.write_all(b"welcome").await?;
        io.flush().await?;
        while io.read(&mut [0; 64]).await? > 0 {}
        Ok::<_, BoxError>(())
    });
    (StatusCode::SWITCHING_PROTOCOLS, [(header::CONNECTION, "upgrade"), (header::UPGRADE, "websocket")])
        .into_response()
}

/// A server that runs until its shutdown is requested.
pub(crate) struct Scene {
    pub address: SocketAddr,
    client: Option<Arc<ClientConfig>>,
    serve: JoinSet<()>,
}

impl Scene {
    pub(crate) async fn start(
        engine: Engine,
        tls: bool,
        linger: &LingerLayer,
        app: Router,
        shutdown: &Shutdown,
    ) -> Self {
        let certs = Certs::make();
        let listener = listen().await;
        let address = listener.local_addr().expect("bound");
        let acceptor = TlsAcceptor::from(Arc::new(certs.server(&Version::ALL, ClientAuth::None)));
        let tls_layer = linger.clone().tls(acceptor);
        let requested = shutdown.requested();
        let mut serve = JoinSet::new();
        match (engine, tls) {
            (Engine::Axum, false) => {
                serve.spawn(by_axum(LingerListener::new(listener, linger.clone()), app, requested))
            }
            (Engine::Axum, true) => {
                serve.spawn(by_axum(TlsLingerListener::new(listener, tls_layer), app, requested))
            }
            (Engine::Hyper, false) => serve.spawn(by_hyper(listener, linger.layer(http(app)), requested)),
            (Engine::Hyper, true) => serve.spawn(by_hyper(listener, tls_layer.layer(http(app)), requested)),
        };
        let client = tls.then(|| Arc::new(certs.client(&Version::ALL)));
        Self { address, client, serve }
    }

    /// The server's future, for `Shutdown::finish`. Dropping it ends the accept loop.
    pub(crate) fn serve(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let mut serve = std::mem::take(&mut self.serve);
        async move {
            serve.join_next().await.expect("there is one").expect("no panic");
        }
    }

    pub(crate) async fn connect(&self, receive_buffer: Option<u32>) -> Client {
        Client::connect(self.address, receive_buffer, self.client.clone()).await.expect("it listens")
    }
}

async fn by_axum<L: Listener<Addr: Debug>>(
    listener: L,
    app: Router,
    requested: impl Future<Output = ()> + Send + 'static,
) {
    axum::serve(listener, app).with_graceful_shutdown(requested).await.expect("it ends");
}

/// An accept loop of one's own, whose end does not end its connections.
async fn by_hyper<S>(listener: TcpListener, mut connections: S, requested: impl Future<Output = ()> + Send)
where
    S: Service<TcpStream, Response = (), Error: Send + 'static, Future: Send + 'static> + Send,
{
    let mut requested = std::pin::pin!(requested);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                drop(tokio::spawn(connections.call(accepted.expect("there are descriptors").0)));
            }
            () = &mut requested => return,
        }
    }
}

/// Serves by hyper-util with upgrades. A client's half-close does not end the connection.
fn http<T>(
    app: Router,
) -> impl Service<LingerIo<T>, Response = (), Error = BoxError, Future: Send> + Clone + Send + 'static
where
    T: Transport,
{
    service_fn(move |io: LingerIo<T>| {
        let app = TowerToHyperService::new(app.clone());
        async move {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().half_close(true);
            builder.serve_connection_with_upgrades(TokioIo::new(io), app).await
        }
    })
}

/// Sends a request, and reads until this text has arrived.
pub(crate) async fn ask(client: &mut Client, request: &str, until: &str) {
    send(client, request.as_bytes()).await;
    let mut seen = Vec::new();
    while !seen.windows(until.len()).any(|window| window == until.as_bytes()) {
        let read = client.read_buf(&mut seen).await.expect("it is answered");
        assert_ne!(read, 0, "{:?}", String::from_utf8_lossy(&seen));
    }
}

pub(crate) async fn send(client: &mut Client, bytes: &[u8]) {
    client.write_all(bytes).await.expect("it is taken");
    client.flush().await.expect("it is taken");
}

/// The HTTP/2 preface, empty settings and one GET (RFC 9113, RFC 7541).
pub(crate) fn http2_request(path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).expect("a short one");
    let mut block = vec![0x82, 0x86, 0x04, length];
    block.extend_from_slice(path.as_bytes());
    block.extend_from_slice(&[0x01, 1, b'x']);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    bytes.extend_from_slice(&[0, 0, u8::try_from(block.len()).expect("a short one"), 1, 5, 0, 0, 0, 1]);
    bytes.extend_from_slice(&block);
    bytes
}
