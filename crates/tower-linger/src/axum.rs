//! Adapters for `axum::serve` (feature `axum`; the TLS one also needs `rustls`).
//!
//! `axum::serve` owns the accept loop, so there is no service to put the layer around: its `Listener` hands out
//! connections that come back when axum drops them. Await the layer's [`Tracker`](crate::Tracker) before `main`
//! returns.
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
//! axum::serve(listener, Router::new().route("/", get(|| async { "hello" }))).await?;
//! linger.tracker().wait().await;
//! # Ok(()) }
//! ```
//!
//! # `ConnectInfo`
//!
//! axum implements `Connected` for its own listeners only. `.tap_io(|_| ())`, of axum's `ListenerExt`, brings
//! `ConnectInfo<SocketAddr>` back: see the `axum` example.
//!
//! # What an adapter cannot see
//!
//! That a handler panicked, or a body failed: axum drops the connection all the same, and it is closed cleanly.

use std::io;

use axum::serve::Listener;

use crate::io::LingerIo;
use crate::layer::LingerLayer;
use crate::transport::Transport;

#[cfg(feature = "rustls")]
mod tls;
#[cfg(feature = "rustls")]
pub use tls::TlsLingerListener;

/// A listener whose connections are closed properly after axum drops them.
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
