//! What the server serves: requests that stay in every phase until the test lets them go.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post, put};
use axum::{Extension, Router};
use futures_util::StreamExt as _;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tower_linger::{ClosePolicy, ClosePolicyBuilder, Peer};
use tower_linger_tests::server::BoxError;

use super::books::ON_PURPOSE;

/// The bounds of every close here: long enough to have connections in all phases at once, and no longer.
pub(crate) const IDLE: Duration = Duration::from_secs(3);
pub(crate) const TOTAL: Duration = Duration::from_secs(5);

pub(crate) fn policy() -> ClosePolicy {
    bounds().build().expect("makes sense")
}

fn bounds() -> ClosePolicyBuilder {
    ClosePolicy::builder()
        .flush_idle_timeout(IDLE)
        .flush_limit(TOTAL)
        .drain_idle_timeout(IDLE)
        .drain_limit(TOTAL)
}

/// The body of `/large`: more than the sockets' buffers hold.
const LARGE_BYTES: usize = 1024 * CHUNK.len();
const CHUNK: &[u8] = &[b'.'; 64 << 10];

/// Knows how many requests of each path are under way, and ends those that wait.
#[derive(Clone)]
pub(crate) struct App {
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    /// How often those that wait were let go.
    let_go: watch::Sender<u64>,
}

impl Default for App {
    fn default() -> Self {
        Self { running: Arc::default(), let_go: watch::Sender::new(0) }
    }
}

/// A request that is under way.
struct Guard(App, &'static str);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.change(self.1, |running| running - 1);
    }
}

impl App {
    pub(crate) fn running(&self) -> BTreeMap<&'static str, usize> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the requests that wait now.
    pub(crate) fn let_go(&self) {
        self.let_go.send_modify(|times| *times += 1);
    }

    fn change(&self, path: &'static str, change: impl Fn(usize) -> usize) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let count = running.entry(path).or_default();
        *count = change(*count);
    }

    fn guard(&self, path: &'static str) -> Guard {
        self.change(path, |running| running + 1);
        Guard(self.clone(), path)
    }

    /// Completes when those that wait now are let go.
    fn gate(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut let_go = self.let_go.subscribe();
        async move {
            let _ = let_go.changed().await;
        }
    }

    pub(crate) fn router(&self) -> Router {
        Router::new()
            .route("/", get(async || "hello"))
            .route("/pending", any(pending))
            .route("/upload", post(upload))
            .route("/refused", put(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large")))
            .route("/events", get(events))
            .route("/large", get(large))
            .route("/cut", get(cut))
            .route("/upgrade", get(upgrade))
            .route("/peer-first", get(peer_first))
            .route("/await", get(await_close_notify))
            .route("/panic", any(panics))
            .route("/panic-body", get(body_panics))
            .route("/open", get(open))
            .with_state(self.clone())
    }
}

async fn pending(State(app): State<App>) -> &'static str {
    let _guard = app.guard("pending");
    app.gate().await;
    "let go"
}

async fn upload(State(app): State<App>, body: Body) {
    let _guard = app.guard("upload");
    let mut parts = body.into_data_stream();
    while let Some(Ok(_)) = parts.next().await {}
}

async fn events(State(app): State<App>) -> Body {
    let (guard, gate) = (app.guard("events"), app.gate());
    let events = tokio_stream::once("an event").chain(tokio_stream::pending()).take_until(Box::pin(gate));
    Body::from_stream(events.map(move |event| {
        let _held = &guard;
        Ok::<_, BoxError>(event)
    }))
}

async fn large(State(app): State<App>) -> impl IntoResponse {
    let guard = app.guard("large");
    let chunks = tokio_stream::iter(0..LARGE_BYTES / CHUNK.len()).map(move |_| {
        let _held = &guard;
        Ok::<_, BoxError>(Bytes::from_static(CHUNK))
    });
    ([(header::CONTENT_LENGTH, LARGE_BYTES)], Body::from_stream(chunks))
}

/// To a client of HTTP/1.0, only the end of the connection is the end of this response. It fails when its
/// beginning has left.
async fn cut() -> Body {
    let failed = futures_util::stream::once(async {
        tokio::task::yield_now().await;
        Err::<&str, BoxError>("the source has failed".into())
    });
    Body::from_stream(tokio_stream::once(Ok("the beginning")).chain(failed))
}

async fn upgrade(State(app): State<App>, request: Request) -> Response {
    let guard = app.guard("upgrade");
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

async fn peer_first(Extension(peer): Extension<Peer>) -> &'static str {
    peer.close.set_policy(bounds().peer_closes_first(IDLE).build().expect("makes sense"));
    "hello"
}

async fn await_close_notify(Extension(peer): Extension<Peer>) -> &'static str {
    peer.close.set_policy(bounds().await_close_notify(IDLE, 64 << 10).build().expect("makes sense"));
    "hello"
}

async fn panics() {
    panic!("a handler, {ON_PURPOSE}");
}

async fn body_panics() -> Body {
    let chunks = tokio_stream::iter(0..2).map(|number| {
        assert!(number == 0, "a body, {ON_PURPOSE}");
        Ok::<_, BoxError>("the first part")
    });
    Body::from_stream(chunks)
}

/// Needs a descriptor.
async fn open() -> StatusCode {
    File::open("/dev/null").map_or(StatusCode::SERVICE_UNAVAILABLE, |_| StatusCode::OK)
}
