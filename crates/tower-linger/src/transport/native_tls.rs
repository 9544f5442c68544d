//! TLS by the system's library (tokio-native-tls), over any transport.

use std::io;
use std::task::{Context, Poll};

use linger_proto::Notified;
use tokio_native_tls::TlsStream;

use super::session::{self, Below, Session, SessionEnd};
use super::transport::{SocketRef, Transport};

impl<T: Transport> Session for TlsStream<T> {
    type Below = T;

    fn below(&self) -> &T {
        self.get_ref().get_ref().get_ref()
    }

    fn below_mut(&mut self) -> &mut T {
        self.get_mut().get_mut().get_mut()
    }
}

impl<T: Transport> Transport for TlsStream<T> {
    type Raw = Below<Self>;

    /// The stream's own `poll_shutdown` sends no FIN: the stream below is shut down after it.
    fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Notified>> {
        session::poll_notify(self, cx)
    }

    fn poll_half_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.below_mut().poll_half_close(cx)
    }

    fn session_end(error: &io::Error) -> Option<SessionEnd> {
        by_text(error).or_else(|| SessionEnd::by_kind(error))
    }

    fn met_fin(&self) -> bool {
        self.below().met_fin()
    }

    fn into_raw(self) -> Below<Self> {
        Below::new(self)
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        self.below().socket()
    }
}

/// native-tls hides the errors of its library. Where that is OpenSSL, only their text tells them apart.
fn by_text(error: &io::Error) -> Option<SessionEnd> {
    let text = error.get_ref()?.to_string();
    if text.contains("unexpected eof") {
        Some(SessionEnd::Truncated)
    } else if text.contains("SSL alert number") {
        Some(SessionEnd::AlertReceived)
    } else {
        text.contains("SSL routines").then_some(SessionEnd::AlertSent)
    }
}
