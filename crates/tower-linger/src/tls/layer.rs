//! The layer: which handshakes are done, and how the connections are closed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use linger_proto::{ClosePolicy, ConfigError};

use super::handshake::Handshakes;
use super::library::{AcceptTls, AwaitsCloseNotify};
use crate::classify::BySight;
use crate::clock::checked_time;
use crate::layer::{ClassifyLayer, LingerLayer};

/// Turns a service of [`LingerIo`](crate::LingerIo)s over TLS into a service of accepted connections `T`:
/// does the handshake by the acceptor `A` of a TLS library ([`AcceptTls`]), then serves and closes the
/// connection as [`LingerLayer`] does. Made by [`LingerLayer::tls`] and
/// [`ClassifyLayer::tls`](crate::ClassifyLayer::tls).
///
/// A handshake that fails ends with an alert, the last message to the client and the only one that says why.
/// Without a lingering close most clients lose it to a reset. So the connection of a failed handshake is
/// half-closed, drained and released like any other.
///
/// ```
/// use tokio::net::TcpStream;
/// use tokio_rustls::{TlsAcceptor, server::TlsStream};
/// use tower::{Service, ServiceBuilder};
/// use tower_linger::{LingerIo, LingerLayer};
///
/// async fn serve(io: LingerIo<TlsStream<TcpStream>>) -> std::io::Result<()> {
/// #   drop(io);
///     Ok(())
/// }
///
/// fn connections(acceptor: TlsAcceptor) -> impl Service<TcpStream> {
///     ServiceBuilder::new().layer(LingerLayer::default().tls(acceptor)).service_fn(serve)
/// }
/// ```
#[derive(Clone)]
pub struct TlsAcceptLayer<A, C = BySight> {
    pub(crate) handshakes: Handshakes<A>,
    pub(super) classifier: C,
}

impl<A, C> TlsAcceptLayer<A, C> {
    pub(crate) fn new(acceptor: A, linger: LingerLayer, classifier: C) -> Self {
        Self { handshakes: Handshakes::new(acceptor, linger), classifier }
    }

    /// Gives each handshake this long, instead of 10 s as axum-server and tls-listener do. A handshake that
    /// takes longer has no message to save: its connection is closed.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a timeout of zero, or of more than a day.
    pub fn with_handshake_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        self.handshakes.timeout = checked_time("handshake_timeout", timeout)?;
        Ok(self)
    }

    /// Closes the connections of failed handshakes by a policy of their own. By default the layer's policy
    /// applies to them, too; a shorter one is enough for an alert. [`LingerLayer::set_policy`] does not
    /// change this one.
    #[must_use]
    pub fn with_failure_policy(mut self, policy: ClosePolicy) -> Self {
        self.handshakes.failure_policy = Some(Arc::new(policy));
        self
    }

    /// How the connections are closed.
    #[must_use]
    pub fn linger(&self) -> &LingerLayer {
        &self.handshakes.linger
    }
}

impl<A, C: fmt::Debug> fmt::Debug for TlsAcceptLayer<A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptLayer")
            .field("handshakes", &self.handshakes)
            .field("classifier", &self.classifier)
            .finish()
    }
}

impl LingerLayer {
    /// Does a TLS handshake before each connection is served, for at most 10 s. Where the handshake fails,
    /// the connection lingers as well, so that the client reads the alert.
    #[must_use]
    pub fn tls<A: AwaitsCloseNotify>(self, acceptor: A) -> TlsAcceptLayer<A> {
        TlsAcceptLayer::new(acceptor, self, BySight)
    }

    /// Like [`tls`](Self::tls), for a library that cannot do everything that a policy may ask for.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if this layer's policy asks for what the library cannot do. A policy that is set later
    /// is not checked: what the library cannot do has no effect.
    pub fn try_tls<A: AcceptTls>(self, acceptor: A) -> Result<TlsAcceptLayer<A>, ConfigError> {
        A::check(&self.policy())?;
        Ok(TlsAcceptLayer::new(acceptor, self, BySight))
    }
}

impl<C> ClassifyLayer<C> {
    /// Does a TLS handshake before each connection is served, as [`LingerLayer::tls`] does.
    #[must_use]
    pub fn tls<A: AwaitsCloseNotify>(self, acceptor: A) -> TlsAcceptLayer<A, C> {
        TlsAcceptLayer::new(acceptor, self.linger, self.classifier)
    }

    /// Like [`tls`](Self::tls), for a library that cannot do everything that a policy may ask for.
    ///
    /// # Errors
    ///
    /// As for [`LingerLayer::try_tls`].
    pub fn try_tls<A: AcceptTls>(self, acceptor: A) -> Result<TlsAcceptLayer<A, C>, ConfigError> {
        A::check(&self.linger.policy())?;
        Ok(TlsAcceptLayer::new(acceptor, self.linger, self.classifier))
    }
}
