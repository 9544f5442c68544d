//! TLS by s2n-tls (s2n-tls-tokio), over any transport.

use std::io;
use std::task::{Context, Poll};

use linger_proto::Notified;
use s2n_tls::connection::Connection;
use s2n_tls::enums::Version;
use s2n_tls::error::{Error, ErrorType};
use s2n_tls_tokio::TlsStream;

use super::session::{self, Below, Session, SessionEnd};
use super::transport::{SocketRef, Transport};

impl<T, C> Session for TlsStream<T, C>
where
    T: Transport,
    C: AsRef<Connection> + AsMut<Connection> + Unpin + Send + 'static,
{
    type Below = T;

    fn below(&self) -> &T {
        self.get_ref()
    }

    fn below_mut(&mut self) -> &mut T {
        self.get_mut()
    }
}

impl<T, C> Transport for TlsStream<T, C>
where
    T: Transport,
    C: AsRef<Connection> + AsMut<Connection> + Unpin + Send + 'static,
{
    type Raw = Below<Self>;

    fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Notified>> {
        session::poll_notify(self, cx)
    }

    fn poll_half_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_half_close(cx)
    }

    fn session_end(error: &io::Error) -> Option<SessionEnd> {
        let kind = error.get_ref().and_then(|inner| inner.downcast_ref()).map(Error::kind);
        match kind {
            Some(ErrorType::Alert) => Some(SessionEnd::AlertReceived),
            Some(ErrorType::ProtocolError) => Some(SessionEnd::AlertSent),
            _ => SessionEnd::by_kind(error),
        }
    }

    /// In TLS 1.2, s2n-tls ends both directions with its own `close_notify`.
    fn ends_with_notify(&self) -> bool {
        !self.as_ref().actual_protocol_version().is_ok_and(|version| version == Version::TLS13)
    }

    fn met_fin(&self) -> bool {
        self.below().met_fin()
    }

    fn into_raw(self) -> Below<Self> {
        Below::new(self)
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        self.get_ref().socket()
    }
}
