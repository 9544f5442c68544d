//! Adapters for `axum::serve` (feature `axum`; the TLS one also needs `rustls`).
//!
//! `axum::serve` owns the accept loop, so there is no service to put the layer around: its `Listener` hands
//! out connections that come back when axum drops them. Await the layer's [`Tracker`](crate::Tracker) before
//! `main` returns, or let [`Shutdown`](crate::Shutdown) do it.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tokio::net::TcpListener;
//! use tower_linger::{LingerLayer, axum::LingerListener};
//!
//! # #[tokio::main]
//! # async fn main() -> std::io::Result<()> {
//! let linger = LingerLayer::default();
//! let listener = LingerListener::new(TcpListener::bind("127.0.0.1:3000").await?, linger.clone());
//! // With feature `http`, put `.layer(RequestLayer)` last onto the router.
//! axum::serve(listener, Router::new().route("/", get(|| async { "hello" }))).await?;
//! linger.tracker().wait().await;
//! # Ok(()) }
//! ```
//!
//! # `ConnectInfo`
//!
//! `ConnectInfo<Peer>` has the peer's address and a [`CloseHandle`] for its connection. axum implements
//! `Connected` for
//! `SocketAddr` with its own listeners only; `.tap_io(|_| ())`, of axum's `ListenerExt`, brings
//! `ConnectInfo<SocketAddr>` back: see the `axum` example.
//!
//! # What this hook can see
//!
//! A handler's panic, and that axum drops a connection without having shut it down. Whether it was busy
//! then, and how its response was framed, [`RequestLayer`](crate::RequestLayer) sees (feature `http`): add
//! it to the router, outermost. It finds its connection by itself. Without it a connection that axum drops
//! without shutting it down does not end cleanly, since nobody knows that nothing was cut. Dropping the
//! future of `axum::serve` does not end its connections; [`Shutdown`](crate::Shutdown) cuts them at its
//! deadline.
//!
//! axum does not allow a client to half-close (hyper's `half_close`): such a client gets no answer, or a cut
//! one, which does not look whole. The adapter cannot change that.

use std::io;
use std::net::SocketAddr;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};

use crate::layer::LingerLayer;
use crate::serve::close_handle::CloseHandle;
use crate::serve::io::LingerIo;
use crate::transport::Transport;

#[cfg(feature = "rustls")]
mod tls;
#[cfg(feature = "rustls")]
pub use tls::TlsLingerListener;

/// A listener whose connections are closed properly after axum drops them.
///
/// # Cancel safety
///
/// `accept` awaits the inner listener's `accept` and nothing else, so dropping it half-way (axum does that
/// when it is told to stop) does what it does without this wrapper: nothing is lost with tokio's listeners,
/// and a listener that is not cancel safe loses the connection it was accepting.
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

impl<L> Listener for LingerListener<L>
where
    L: Listener,
    L::Io: Transport,
{
    type Io = LingerIo<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (io, address) = self.listener.accept().await;
        (self.linger.wrap(io), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// The peer of a connection, and a word on how that is to be closed: `ConnectInfo<Peer>`.
#[derive(Debug, Clone)]
pub struct Peer<A = SocketAddr> {
    /// The peer's address.
    pub address: A,
    /// For handlers and middleware.
    pub close: CloseHandle,
}

impl<L> Connected<IncomingStream<'_, LingerListener<L>>> for Peer<L::Addr>
where
    L: Listener<Io: Transport, Addr: Clone + Send + Sync + 'static>,
{
    fn connect_info(stream: IncomingStream<'_, LingerListener<L>>) -> Self {
        Self { address: stream.remote_addr().clone(), close: stream.io().close_handle() }
    }
}

#[cfg(feature = "rustls")]
impl<L> Connected<IncomingStream<'_, TlsLingerListener<L>>> for Peer<L::Addr>
where
    L: Listener<Io: Transport, Addr: Clone + Send + Sync + 'static>,
{
    fn connect_info(stream: IncomingStream<'_, TlsLingerListener<L>>) -> Self {
        Self { address: stream.remote_addr().clone(), close: stream.io().close_handle() }
    }
}
