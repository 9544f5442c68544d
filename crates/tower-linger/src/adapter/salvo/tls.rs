//! The adapters for salvo over TLS.

use std::fmt;
use std::io;

use http::Version;
use http::uri::Scheme;
use salvo_core::conn::tcp::TcpCoupler;
use salvo_core::conn::{Accepted, Acceptor, Holding, Listener, StraightStream};
use salvo_core::fuse::ArcFusePolicy;

use super::source::{Admission, Source};
use crate::tls::{AcceptTls, TlsAcceptLayer, TlsLingerIo};

/// A listener of salvo that does TLS, around its `TcpListener`. Its connections are closed properly after
/// salvo drops them, and so are those whose handshake failed.
#[derive(Clone)]
pub struct TlsLingerListener<L, A> {
    listener: L,
    tls: TlsAcceptLayer<A>,
}

impl<L, A> TlsLingerListener<L, A> {
    /// Accepts from `listener`, does the handshake and closes the connections as `tls` says.
    #[must_use]
    pub fn new(listener: L, tls: TlsAcceptLayer<A>) -> Self {
        Self { listener, tls }
    }
}

impl<L: Listener<Acceptor: Source>, A: AcceptTls> Listener for TlsLingerListener<L, A> {
    type Acceptor = TlsLingerAcceptor<L::Acceptor, A>;

    async fn try_bind(self) -> salvo_core::Result<Self::Acceptor> {
        Ok(TlsLingerAcceptor::new(self.listener.try_bind().await?, self.tls)?)
    }
}

/// An acceptor for salvo's `Server` that does TLS. It does not wait for handshakes: each is done by the task
/// that serves the connection.
///
/// # Cancel safety
///
/// `accept` is cancel safe: a connection that waits for the decision of salvo's fuse is kept for the next
/// call.
pub struct TlsLingerAcceptor<S: Source, A: AcceptTls> {
    admission: Admission<S>,
    tls: TlsAcceptLayer<A>,
}

impl<S: Source, A: AcceptTls> TlsLingerAcceptor<S, A> {
    /// Accepts from `source`, does the handshake and closes the connections as `tls` says.
    ///
    /// # Errors
    ///
    /// That of [`Source::local_addr`].
    pub fn new(source: S, tls: TlsAcceptLayer<A>) -> io::Result<Self> {
        let versions = [Version::HTTP_11, Version::HTTP_2];
        Ok(Self { admission: Admission::new(source, Scheme::HTTPS, &versions)?, tls })
    }
}

impl<S: Source, A: AcceptTls> Acceptor for TlsLingerAcceptor<S, A> {
    type Coupler = TcpCoupler<Self::Stream>;
    type Stream = StraightStream<TlsLingerIo<A, S::Io>>;

    fn holdings(&self) -> &[Holding] {
        self.admission.holdings()
    }

    async fn accept(
        &mut self,
        policy: Option<ArcFusePolicy>,
    ) -> io::Result<Accepted<Self::Coupler, Self::Stream>> {
        let admitted = self.admission.next(policy).await?;
        Ok(admitted.accepted(|io, fuse| {
            let limit = fuse.and_then(|fuse| fuse.tls_handshake_timeout);
            TlsLingerIo::new(io, &self.tls, limit)
        }))
    }
}

impl<L: fmt::Debug, A> fmt::Debug for TlsLingerListener<L, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsLingerListener").field("listener", &self.listener).field("tls", &self.tls).finish()
    }
}

impl<S: Source, A: AcceptTls> fmt::Debug for TlsLingerAcceptor<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsLingerAcceptor")
            .field("admission", &self.admission)
            .field("tls", &self.tls)
            .finish()
    }
}
