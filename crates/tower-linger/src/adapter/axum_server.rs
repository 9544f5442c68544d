//! Adapters for axum-server (feature `axum-server`; the TLS one also needs the feature of a TLS library).
//!
//! axum-server owns the accept loop, so there is no service to put the layer around. Instead its `Accept`
//! wraps the connections, and they are closed when axum-server drops them, also at the deadline of its
//! graceful shutdown. The acceptors watch each connection's requests, too, so that a connection that is
//! dropped busy does not end cleanly. axum-server's `serve` returns before its tasks have dropped their
//! connections, so shut down the layer's [`Tracker`](crate::Tracker) after it.
//!
//! ```no_run
//! use axum_server::Server;
//! use tower_linger::{LingerLayer, axum_server::LingerAcceptor};
//!
//! # async fn run(app: axum_server_app::App) -> std::io::Result<()> {
//! let linger = LingerLayer::default();
//! let address: std::net::SocketAddr = "127.0.0.1:3000".parse().expect("an address");
//! Server::bind(address).acceptor(LingerAcceptor::new(linger.clone())).serve(app).await?;
//! linger.tracker().shutdown(std::time::Duration::from_secs(10)).await;
//! # Ok(()) }
//! # mod axum_server_app {
//! #     use axum_server::service::MakeService;
//! #     pub type App = axum::routing::IntoMakeService<axum::Router>;
//! # }
//! ```

use std::future::{Ready, ready};
use std::io;

use axum_server::accept::Accept;

use crate::http::Watched;
use crate::layer::LingerLayer;
use crate::serve::io::LingerIo;
use crate::transport::Transport;

/// Properly closes the connections that axum-server drops.
#[derive(Debug, Clone)]
pub struct LingerAcceptor {
    linger: LingerLayer,
}

impl LingerAcceptor {
    /// Closes connections as `linger` says.
    #[must_use]
    pub fn new(linger: LingerLayer) -> Self {
        Self { linger }
    }
}

impl<I: Transport, S> Accept<I, S> for LingerAcceptor {
    type Stream = LingerIo<I>;
    type Service = Watched<S>;
    type Future = Ready<io::Result<(LingerIo<I>, Watched<S>)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        ready(Ok(wrap(&self.linger, stream, service)))
    }
}

/// Wraps a connection and its service, which tells the connection about its requests.
fn wrap<I: Transport, S>(linger: &LingerLayer, stream: I, service: S) -> (LingerIo<I>, Watched<S>) {
    let io = linger.wrap(stream);
    let service = io.watch(service);
    (io, service)
}

pub use tls::{TlsAcceptorFuture, TlsLingerAcceptor};

mod tls {
    use std::fmt;
    use std::future::Future;
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    use axum_server::accept::Accept;
    use pin_project_lite::pin_project;

    use super::wrap;
    use crate::http::Watched;
    use crate::serve::io::LingerIo;
    use crate::tls::handshake::Handshake;
    use crate::tls::{AcceptTls, TlsAcceptLayer};
    use crate::transport::Transport;

    /// Does the TLS handshake, and properly closes the connections that axum-server drops, and those whose
    /// handshake failed.
    #[derive(Clone)]
    pub struct TlsLingerAcceptor<A> {
        tls: TlsAcceptLayer<A>,
    }

    impl<A> fmt::Debug for TlsLingerAcceptor<A> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("TlsLingerAcceptor").field("tls", &self.tls).finish()
        }
    }

    impl<A: AcceptTls> TlsLingerAcceptor<A> {
        /// Does the handshake and closes the connections as `tls` says.
        #[must_use]
        pub fn new(tls: TlsAcceptLayer<A>) -> Self {
            Self { tls }
        }
    }

    impl<A: AcceptTls, I: Transport, S> Accept<I, S> for TlsLingerAcceptor<A> {
        type Stream = LingerIo<A::Stream<I>>;
        type Service = Watched<S>;
        type Future = TlsAcceptorFuture<A, I, S>;

        fn accept(&self, stream: I, service: S) -> Self::Future {
            let handshake = self.tls.handshakes.start(stream);
            TlsAcceptorFuture { handshake, service: Some(service), tls: self.tls.clone() }
        }
    }

    pin_project! {
        /// A handshake for axum-server; made by [`TlsLingerAcceptor`]. Dropping it gives the handshake up.
        #[must_use = "futures do nothing unless polled"]
        pub struct TlsAcceptorFuture<A: AcceptTls, I: Transport, S> {
            #[pin]
            handshake: Handshake<A, I>,
            service: Option<S>,
            tls: TlsAcceptLayer<A>,
        }
    }

    impl<A: AcceptTls, I: Transport, S> Future for TlsAcceptorFuture<A, I, S> {
        type Output = io::Result<(LingerIo<A::Stream<I>>, Watched<S>)>;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            let this = self.project();
            // The connection of a failed handshake is closed by a task of its own.
            let stream = ready!(this.handshake.poll(cx)).map_err(|failed| failed.error.into_io());
            match this.service.take() {
                Some(service) => {
                    // The old place in the tracker is dropped after the connection has a new one.
                    Poll::Ready(stream.map(|(stream, _place)| wrap(this.tls.linger(), stream, service)))
                }
                // Polled again after completion.
                None => Poll::Pending,
            }
        }
    }

    impl<A: AcceptTls, I: Transport, S> fmt::Debug for TlsAcceptorFuture<A, I, S> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("TlsAcceptorFuture").field("tls", &self.tls).finish_non_exhaustive()
        }
    }
}
