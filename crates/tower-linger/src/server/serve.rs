//! The server as its user configures and awaits it.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use tokio::sync::watch;
#[cfg(feature = "rustls")]
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tower_layer::Layer;
use tower_service::Service;

use super::accept::Accepting;
use super::activity::Stage;
use super::connection::{BoxError, Http};
use super::exchange::Announcements;
use super::limits::Limits;
use super::listener::Listener;
use crate::classify::HyperErrors;
use crate::http::RequestBody;
use crate::layer::{ClassifyLayer, LingerLayer};
#[cfg(feature = "rustls")]
use crate::tls::TlsAcceptLayer;
use crate::tracker::shutdown::{Shutdown, ShutdownHandle};
use crate::tracker::summary::Summary;
use crate::tracker::tracker::Tracker;

/// Serves `app`, an axum `Router` or any other tower service of HTTP requests, over HTTP/1 and HTTP/2, and
/// closes each connection properly. Needs feature `serve`.
///
/// ```no_run
/// use std::time::Duration;
/// use axum::{Router, routing::get};
/// use tokio::net::TcpListener;
/// use tower_linger::{Shutdown, Tracker, serve};
///
/// # #[tokio::main]
/// # async fn main() -> std::io::Result<()> {
/// let app = Router::new().route("/", get(async || "hello"));
/// let shutdown = Shutdown::new(Tracker::new(), Duration::from_secs(10)).on_signals()?;
/// let summary = serve(TcpListener::bind("127.0.0.1:3000").await?, app).graceful(shutdown).await;
/// println!("{summary}");
/// # Ok(()) }
/// ```
///
/// It is an ordinary use of [`LingerLayer`] around hyper-util's connection, and does what a loop of your own
/// would have to do as well:
///
/// - It survives errors of accepting. If no descriptor is left, it waits a moment. It serves a bounded number
///   of connections, and bounds what a client may hold before and between its requests: see [`Limits`].
/// - It knows which connections are busy ([`RequestLayer`](crate::RequestLayer)) and what hyper's errors mean
///   ([`HyperErrors`]). A client may half-close after its request.
/// - Upgrades work: get the connection with `hyper_util::server::conn::auto::upgrade::downcast`.
/// - Each request has the [`Peer`](crate::Peer) in its extensions; with feature `axum`, also
///   `ConnectInfo<Peer>` and `ConnectInfo` of its address.
/// - It ends without losing a request: see [`graceful`](Serve::graceful).
///
/// # Cancel safety
///
/// Dropping the future stops accepting. Its connections go on in tasks of their own until they end.
///
/// # Panics
///
/// The future panics outside of a tokio runtime, or in one without timers.
pub fn serve<L: Listener, S>(listener: L, app: S) -> Serve<L, S> {
    Serve::new(listener, app)
}

/// A server that is configured, and runs when it is awaited; made by [`serve`](crate::serve()). Its result is
/// the [`Summary`] of how its connections ended.
#[must_use = "it serves nothing unless it is awaited"]
pub struct Serve<L, S> {
    listener: L,
    app: S,
    linger: LingerLayer,
    #[cfg(feature = "rustls")]
    tls: Option<TlsAcceptor>,
    limits: Limits,
    engine: auto::Builder<TokioExecutor>,
    shutdown: Option<Shutdown>,
}

impl<L, S> Serve<L, S> {
    pub(super) fn new(listener: L, app: S) -> Self {
        Self {
            listener,
            app,
            linger: LingerLayer::default(),
            #[cfg(feature = "rustls")]
            tls: None,
            limits: Limits::default(),
            engine: auto::Builder::new(TokioExecutor::new()),
            shutdown: None,
        }
    }

    /// Closes the connections by this layer instead of a default one.
    pub fn linger(mut self, linger: LingerLayer) -> Self {
        self.linger = linger;
        self
    }

    /// Serves TLS. If the configuration names no protocols for ALPN, `h2` and `http/1.1` are offered.
    ///
    /// To exchange the certificate while the server runs, give the configuration a `ResolvesServerCert` of
    /// your own: see the `reference_server` example.
    #[cfg(feature = "rustls")]
    pub fn tls(mut self, config: impl Into<Arc<ServerConfig>>) -> Self {
        let mut config = config.into();
        if config.alpn_protocols.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        }
        self.tls = Some(config.into());
        self
    }

    /// Bounds what a client may hold before and between its requests by these limits instead of the default
    /// ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves by hyper's settings in this builder. The server allows half-closed clients, and has timers of
    /// its own for the header and for idle connections, whatever the builder says of that.
    pub fn http(mut self, engine: auto::Builder<TokioExecutor>) -> Self {
        self.engine = engine;
        self
    }

    /// Ends by this shutdown, and counts the connections in its tracker, instead of the layer's own one.
    /// Without it the server runs until it is dropped.
    ///
    /// During the notice the server accepts and answers as before, but each response of HTTP/1 carries
    /// `Connection: close`, and connections of HTTP/2 get GOAWAY after their first request. So idle
    /// connections are not closed when a client may be writing: each has one more request. Then the
    /// server accepts what is left in the queue, and no more. Idle connections are closed, others after what
    /// they are doing, and all that are left are cut at the deadline.
    ///
    /// A listener that is closed resets the clients whose handshake is under way. On Linux the server
    /// therefore drops new SYNs for the last 100 ms in which it accepts, so that nobody is connected and then
    /// reset. A client that connects in that time sends its SYN again after a second, and is refused, or
    /// accepted by another server on the same port.
    pub fn graceful(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = Some(shutdown);
        self
    }
}

impl<L, S, R> IntoFuture for Serve<L, S>
where
    L: Listener,
    S: Service<Request<RequestBody<Incoming>>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Output = Summary;
    type IntoFuture = Pin<Box<dyn Future<Output = Summary> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (listener, ready, shutdown) = self.prepare();
            // The stage outlives the accept loop, for the connections that outlive it.
            let summary = shutdown.finish(ready.clone().accept(listener)).await.1;
            drop(ready);
            summary
        })
    }
}

impl<L, S> Serve<L, S> {
    /// What an accept loop needs, and how the server ends.
    pub(super) fn prepare(mut self) -> (L, Ready<S>, Shutdown) {
        let default = || Shutdown::new(self.linger.tracker().clone(), Duration::ZERO);
        let shutdown = self.shutdown.take().unwrap_or_else(default);
        let handle = shutdown.handle();
        let linger = self.linger.with_tracker(shutdown.tracker().clone()).classify(HyperErrors);
        self.engine.http1().half_close(true).header_read_timeout(None);
        let keep_alive = self.limits.keep_alive_hint().map(|time| format!("timeout={}", time.as_secs()));
        let keep_alive = keep_alive.and_then(|value| HeaderValue::try_from(value).ok());
        #[cfg(feature = "rustls")]
        let tls = self.tls.map(|acceptor| {
            let tls = linger.clone().tls(acceptor);
            tls.with_handshake_timeout(self.limits.handshake_timeout())
                .expect("limits are checked when built")
        });
        let stage = watch::Sender::new(Stage::Serving);
        let http = Http {
            app: self.app,
            engine: Arc::new(self.engine),
            limits: self.limits,
            announcements: Arc::new(Announcements { shutdown: handle.clone(), keep_alive }),
            stage: stage.subscribe(),
        };
        let tracker = shutdown.tracker().clone();
        let ready = Ready {
            http,
            linger,
            #[cfg(feature = "rustls")]
            tls,
            stage,
            handle,
            tracker,
        };
        (self.listener, ready, shutdown)
    }
}

/// A server that only lacks what it accepts from. Clones are the same server.
#[derive(Clone)]
pub(super) struct Ready<S> {
    http: Http<S>,
    linger: ClassifyLayer<HyperErrors>,
    #[cfg(feature = "rustls")]
    tls: Option<TlsAcceptLayer<TlsAcceptor, HyperErrors>>,
    stage: watch::Sender<Stage>,
    handle: ShutdownHandle,
    tracker: Tracker,
}

impl<S, R> Ready<S>
where
    S: Service<Request<RequestBody<Incoming>>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    /// Accepts and serves connections until the shutdown is requested, and none is left in the queue.
    pub(super) async fn accept(self, listener: impl Listener) {
        let Self { http, linger, stage, handle, tracker, .. } = self;
        #[cfg(feature = "rustls")]
        let tls = self.tls;
        let accepting = Accepting::new(listener, tracker, http.limits.max_connections(), stage);
        let serve_one = move |io, address| {
            let one = http.one(address);
            #[cfg(feature = "rustls")]
            if let Some(tls) = &tls {
                return spawn(tls.layer(one).call(io));
            }
            spawn(linger.layer(one).call(io));
        };
        accepting.run(&handle, serve_one).await;
    }
}

impl<S> Ready<S> {
    pub(super) fn tracker(&self) -> &Tracker {
        &self.tracker
    }
}

impl<L: fmt::Debug, S> fmt::Debug for Serve<L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("linger", &self.linger)
            .field("limits", &self.limits)
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}

/// A connection's result was classified already, and its end is reported.
#[expect(clippy::disallowed_methods, reason = "connections, which the tracker counts")]
fn spawn<F: Future<Output: Send> + Send + 'static>(connection: F) {
    drop(tokio::spawn(connection));
}
