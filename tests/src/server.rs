//! Servers as users run them, for the tests and the benches: `axum::serve`, and an accept loop of one's own
//! with hyper-util. Both run bare or with the layer, over any transport.
//!
//! ```no_run
//! # use axum::Router;
//! # use tower::Layer;
//! # use tower_linger::axum::LingerListener;
//! # use tower_linger_tests::server::{Http, accept_loop, listen, reporting, serve};
//! # async fn example(app: Router) {
//! let (linger, mut reports) = reporting(Default::default());
//! let bare = serve(listen().await, app.clone());
//! let layered = serve(LingerListener::new(listen().await, linger.clone()), app.clone());
//! let bare_hyper = accept_loop(listen().await, Http::new(app.clone()));
//! let layered_hyper = accept_loop(listen().await, linger.layer(Http::new(app)));
//! // … clients come and go …
//! let report = reports.recv().await;
//! # }
//! ```

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{Request, Response};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_stream::StreamExt as _;
use tower::{Layer, Service};
use tower_linger::axum::{LingerListener, TlsLingerListener};
use tower_linger::{AcceptTls, ClosePolicy, CloseReport, LingerLayer};

/// Any error of a server. The tests look at what its client sees.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Accepts connections until it is dropped. Accepted connections live on.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Who owns the accept loop and the HTTP connections. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// `axum::serve`, with `LingerListener` as the adapter.
    Axum,
    /// A loop of one's own around hyper-util, with `LingerLayer`.
    Hyper,
}

impl Engine {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Axum, Self::Hyper];

    /// Serves `app` over plain TCP on a free port, with the layer if there is one and bare otherwise.
    ///
    /// # Panics
    ///
    /// If there is no free port on 127.0.0.1.
    pub async fn start(self, linger: Option<&LingerLayer>, app: Router) -> Running {
        let listener = listen().await;
        match (self, linger) {
            (_, Some(linger)) => self.layered(listener, linger, None::<TlsAcceptor>, app),
            (Self::Axum, None) => serve(listener, app),
            (Self::Hyper, None) => accept_loop(listener, Http::new(app)),
        }
    }

    /// Serves `app` with the layer on connections of this listener, over TLS if there is an acceptor.
    ///
    /// # Panics
    ///
    /// If the listener has no address, or the library cannot do what the policy asks for.
    #[must_use = "dropping it ends the accept loop"]
    pub fn layered<L, A>(self, listener: L, linger: &LingerLayer, tls: Option<A>, app: Router) -> Running
    where
        L: Listener<Io = TcpStream, Addr = SocketAddr>,
        A: AcceptTls,
    {
        let tls = tls.map(|acceptor| linger.clone().try_tls(acceptor).expect("the library can do it"));
        match (self, tls) {
            (Self::Axum, None) => serve(LingerListener::new(listener, linger.clone()), app),
            (Self::Axum, Some(tls)) => serve(TlsLingerListener::new(listener, tls), app),
            (Self::Hyper, None) => accept_loop(listener, linger.layer(Http::new(app))),
            (Self::Hyper, Some(tls)) => accept_loop(listener, tls.layer(Http::new(app))),
        }
    }
}

/// Listens on a free port of 127.0.0.1.
///
/// # Panics
///
/// If there is none.
pub async fn listen() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port")
}

/// A layer, and the reports of its closes.
#[must_use]
pub fn reporting(policy: ClosePolicy) -> (LingerLayer, mpsc::UnboundedReceiver<CloseReport>) {
    let (reports, seen) = mpsc::unbounded_channel();
    let linger = LingerLayer::new(policy).on_close(move |report| {
        // Fails when a test that has seen enough has dropped its end.
        let _ = reports.send(*report);
    });
    (linger, seen)
}

/// Serves `app` with `axum::serve`, over whatever connections the listener accepts.
///
/// # Panics
///
/// If the listener has no address.
#[must_use = "dropping it ends the accept loop"]
pub fn serve<L: Listener<Addr = SocketAddr>>(listener: L, app: Router) -> Running {
    let address = listener.local_addr().expect("the listener is bound");
    let accepting = tokio::spawn(async move {
        axum::serve(listener, app).await.expect("it never ends by itself");
    });
    Running { address, accepting }
}

/// Calls a service of connections with each accepted connection, in a task of its own. A failed connection is
/// not reported: its client sees the failure.
///
/// # Panics
///
/// If the listener has no address.
#[must_use = "dropping it ends the accept loop"]
pub fn accept_loop<L, S>(mut listener: L, mut connections: S) -> Running
where
    L: Listener<Addr = SocketAddr>,
    S: Service<L::Io, Future: Send + 'static, Response: Send, Error: Send> + Send + 'static,
{
    let address = listener.local_addr().expect("the listener is bound");
    let accepting = tokio::spawn(async move {
        loop {
            let (io, _) = listener.accept().await;
            drop(tokio::spawn(connections.call(io)));
        }
    });
    Running { address, accepting }
}

/// A service of connections: hyper-util's server of HTTP/1 and HTTP/2, with upgrades, over any stream.
#[derive(Debug, Clone)]
pub struct Http<S = Router> {
    app: S,
    builder: auto::Builder<TokioExecutor>,
    stop: watch::Sender<bool>,
}

impl<S> Http<S> {
    /// With hyper's defaults.
    #[must_use]
    pub fn new(app: S) -> Self {
        Self { app, builder: auto::Builder::new(TokioExecutor::new()), stop: watch::Sender::new(false) }
    }

    /// Changes hyper's settings.
    #[must_use]
    pub fn configured(mut self, configure: impl FnOnce(&mut auto::Builder<TokioExecutor>)) -> Self {
        configure(&mut self.builder);
        self
    }

    /// Asks the connections of all clones to end after their current request. HTTP/2 clients get a GOAWAY.
    pub fn shut_down(&self) {
        self.stop.send_replace(true);
    }
}

impl<I, S, B> Service<I> for Http<S>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>,
    S: Clone + Send + Sync + 'static,
    B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, io: I) -> Self::Future {
        let Self { app, builder, stop } = self.clone();
        Box::pin(async move {
            let mut stopped = stop.subscribe();
            let service = TowerToHyperService::new(app);
            let mut serving = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));
            tokio::select! {
                served = &mut serving => return served,
                _ = stopped.wait_for(|stopped| *stopped) => serving.as_mut().graceful_shutdown(),
            }
            serving.await
        })
    }
}

/// TLS around a service of connections, as most servers do it: a handshake that fails, or that takes more
/// than ten seconds, is dropped. [`LingerLayer::tls`] is its counterpart with the layer.
#[derive(Clone)]
pub struct BareTls<S, A = TlsAcceptor> {
    acceptor: A,
    inner: S,
}

impl<S, A> BareTls<S, A> {
    /// Calls `inner` with the connections whose handshake succeeded.
    #[must_use]
    pub fn new(acceptor: A, inner: S) -> Self {
        Self { acceptor, inner }
    }
}

impl<S, A> std::fmt::Debug for BareTls<S, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BareTls").finish_non_exhaustive()
    }
}

impl<S, A> Service<TcpStream> for BareTls<S, A>
where
    S: Service<A::Stream<TcpStream>, Response = (), Error = BoxError, Future: Send> + Clone + Send + 'static,
    A: AcceptTls,
{
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, io: TcpStream) -> Self::Future {
        let Self { acceptor, mut inner } = self.clone();
        Box::pin(async move {
            let accepted = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(io)).await?;
            inner.call(accepted.map_err(|(error, _closed)| error)?).await
        })
    }
}

/// The layer's default.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the first 8 MiB of an upload, so that a response that follows is sent in the middle of it.
pub async fn midway(body: Body) {
    const BEGINNING: usize = 8 << 20;
    let mut parts = body.into_data_stream();
    let mut read = 0;
    while read < BEGINNING {
        match parts.next().await {
            Some(Ok(part)) => read += part.len(),
            // The upload is shorter, or it was cut.
            None | Some(Err(_)) => return,
        }
    }
}
