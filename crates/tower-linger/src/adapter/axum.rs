//! Adapters for `axum::serve` (feature `axum`; the TLS one also needs the feature of a TLS library).
//!
//! `axum::serve` owns the accept loop, so there is no service to put the layer around. Instead its `Listener`
//! wraps the connections, and they are closed when axum drops them. Before `main` returns, await the layer's
//! [`Tracker`](crate::Tracker), or let [`Shutdown`](crate::Shutdown) do it.
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
//! `ConnectInfo<Peer>` has the peer's address and a [`CloseHandle`](crate::CloseHandle) for its connection.
//! axum provides `ConnectInfo<SocketAddr>` for its own listeners only. To get it with this one, call
//! `.tap_io(|_| ())` of axum's `ListenerExt`: see the `axum` example.
//!
//! # What this hook can see
//!
//! The listener sees that a handler panics, and that axum drops a connection without shutting it down. It
//! does not see whether that connection is busy, or how its response is framed. So such a connection does not
//! end cleanly, since something may have been cut. [`RequestLayer`](crate::RequestLayer) (feature `http`)
//! sees both: add it to the router, outermost. It finds its connection by itself.
//!
//! Dropping the future of `axum::serve` does not end its connections; [`Shutdown`](crate::Shutdown) cuts them
//! at its deadline.
//!
//! axum does not let a client half-close (hyper's `half_close`): such a client gets no answer, or a part of
//! one that does not look complete. The adapter cannot change that.

use std::io;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};

use crate::layer::LingerLayer;
use crate::serve::io::LingerIo;
pub use crate::serve::peer::Peer;
use crate::tls::AcceptTls;
use crate::transport::Transport;

mod tls;
pub use tls::TlsLingerListener;

/// A listener whose connections are closed properly after axum drops them.
///
/// # Cancel safety
///
/// `accept` is as cancel safe as the inner listener's, because it awaits only that. axum drops it when it is
/// told to stop. tokio's listeners lose nothing then; a listener that is not cancel safe loses the connection
/// that it was accepting.
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

impl<L> Connected<IncomingStream<'_, LingerListener<L>>> for Peer<L::Addr>
where
    L: Listener<Io: Transport, Addr: Clone + Send + Sync + 'static>,
{
    fn connect_info(stream: IncomingStream<'_, LingerListener<L>>) -> Self {
        Self { address: stream.remote_addr().clone(), close: stream.io().close_handle() }
    }
}

impl<L, A> Connected<IncomingStream<'_, TlsLingerListener<L, A>>> for Peer<L::Addr>
where
    L: Listener<Io: Transport, Addr: Clone + Send + Sync + 'static>,
    A: AcceptTls,
{
    fn connect_info(stream: IncomingStream<'_, TlsLingerListener<L, A>>) -> Self {
        Self { address: stream.remote_addr().clone(), close: stream.io().close_handle() }
    }
}
