//! Adapters for salvo (feature `salvo`; the TLS ones also need the feature of a TLS library).
//!
//! salvo owns the accept loop, so there is no service to put the layer around. Instead its `Acceptor` wraps
//! the connections, and they are closed when salvo drops them, also when it is stopped. Before `main`
//! returns, await the layer's [`Tracker`](crate::Tracker), or let [`Shutdown`](crate::Shutdown) do it.
//!
//! ```no_run
//! use salvo_core::conn::TcpListener;
//! use salvo_core::{Listener, Router, Server, Service, handler::Handler};
//! use tower_linger::{LingerLayer, RequestLayer, salvo::LingerListener};
//!
//! # async fn run(hello: impl Handler) {
//! let linger = LingerLayer::default();
//! let listener = LingerListener::new(TcpListener::new("127.0.0.1:3000"), linger.clone());
//! let service = Service::new(Router::new().get(hello)).hoop(RequestLayer);
//! Server::new(listener.bind().await).serve(service).await;
//! linger.tracker().wait().await;
//! # }
//! ```
//!
//! # What this hook can see
//!
//! The acceptor sees that a handler panics, and that salvo drops a connection without shutting it down. It
//! does not see whether that connection is busy. So such a connection does not end cleanly, since something
//! may have been cut. [`RequestLayer`](crate::RequestLayer) is a hoop that sees it: make it the first one of
//! the `Service`, so that it is outermost. It finds its connection by itself.
//!
//! An error page that salvo's catcher writes is made after all hoops, so its end is not seen: the connection
//! counts as busy until its next request. If it is dropped before, it ends without `close_notify`.
//!
//! # TLS
//!
//! salvo's own TLS listeners hide the stream and its session, so nothing around them could send a
//! `close_notify` or let an alert arrive. Use [`TlsLingerListener`] instead. The task that serves a
//! connection does its handshake, as with salvo's own, within the time of the layer and of salvo's fuse. A
//! `rustls::ServerConfig` with a certificate resolver of your own changes certificates while the server
//! runs. `Request::tls_info` has nothing, because only salvo's own listeners can set it.
//!
//! # salvo's fuse
//!
//! It works as with salvo's own listeners: the policy is asked for each connection. One that it rejects is
//! closed at once, and the tracker does not count it. A connection that its idle or write timeout ends is
//! dropped, and lingers.

use std::fmt;
use std::io;

use http::Version;
use http::uri::Scheme;
use salvo_core::conn::tcp::TcpCoupler;
use salvo_core::conn::{Accepted, Acceptor, Holding, Listener, StraightStream};
use salvo_core::fuse::ArcFusePolicy;

use crate::layer::LingerLayer;
use crate::serve::io::LingerIo;

mod hoop;
mod source;
mod tls;

use source::Admission;
pub use source::Source;
pub use tls::{TlsLingerAcceptor, TlsLingerListener};

/// A listener of salvo whose connections are closed properly after salvo drops them: its `TcpListener`. For
/// a Unix socket, use [`LingerAcceptor`] with a listener of tokio.
#[derive(Debug, Clone)]
pub struct LingerListener<L> {
    listener: L,
    linger: LingerLayer,
}

impl<L> LingerListener<L> {
    /// Closes the connections of `listener` as `linger` says.
    #[must_use]
    pub fn new(listener: L, linger: LingerLayer) -> Self {
        Self { listener, linger }
    }
}

impl<L: Listener<Acceptor: Source>> Listener for LingerListener<L> {
    type Acceptor = LingerAcceptor<L::Acceptor>;

    async fn try_bind(self) -> salvo_core::Result<Self::Acceptor> {
        Ok(LingerAcceptor::new(self.listener.try_bind().await?, self.linger)?)
    }
}

/// An acceptor for salvo's `Server` whose connections are closed properly after salvo drops them.
///
/// # Cancel safety
///
/// `accept` is cancel safe: a connection that waits for the decision of salvo's fuse is kept for the next
/// call.
pub struct LingerAcceptor<S: Source> {
    admission: Admission<S>,
    linger: LingerLayer,
}

impl<S: Source> LingerAcceptor<S> {
    /// Accepts from `source`, and closes the connections as `linger` says.
    ///
    /// # Errors
    ///
    /// That of [`Source::local_addr`].
    pub fn new(source: S, linger: LingerLayer) -> io::Result<Self> {
        Ok(Self { admission: Admission::new(source, Scheme::HTTP, &[Version::HTTP_11])?, linger })
    }
}

impl<S: Source> Acceptor for LingerAcceptor<S> {
    type Coupler = TcpCoupler<Self::Stream>;
    type Stream = StraightStream<LingerIo<S::Io>>;

    fn holdings(&self) -> &[Holding] {
        self.admission.holdings()
    }

    async fn accept(
        &mut self,
        policy: Option<ArcFusePolicy>,
    ) -> io::Result<Accepted<Self::Coupler, Self::Stream>> {
        let admitted = self.admission.next(policy).await?;
        Ok(admitted.accepted(|io, _| self.linger.wrap(io)))
    }
}

impl<S: Source> fmt::Debug for LingerAcceptor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LingerAcceptor")
            .field("admission", &self.admission)
            .field("linger", &self.linger)
            .finish()
    }
}
