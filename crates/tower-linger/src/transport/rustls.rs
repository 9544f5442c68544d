//! TLS by tokio-rustls, over any transport.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use linger_proto::Notified;
use tokio::io::AsyncWrite;
use tokio_rustls::rustls::Error as TlsError;
use tokio_rustls::server::TlsStream;

use super::session::{SessionEnd, cork, last_words};
use super::transport::{SocketRef, Transport};

impl<T: Transport> Transport for TlsStream<T> {
    type Raw = T::Raw;

    /// The stream's own `poll_shutdown` sends both: `close_notify`, unless a fatal alert was sent before, and
    /// then the FIN, by shutting down the stream below.
    fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Notified>> {
        // Alert and FIN leave in one segment: the FIN uncorks the socket.
        cork(self);
        match ready!(Pin::new(&mut *self).poll_shutdown(cx)) {
            Ok(()) => Poll::Ready(Ok(Notified::CloseNotifyAndFin)),
            Err(error) if tokio::runtime::is_rt_shutdown_err(&error) => Poll::Ready(notify_now(self)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn session_end(error: &io::Error) -> Option<SessionEnd> {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(TlsError::AlertReceived(_)) => Some(SessionEnd::AlertReceived),
            _ => SessionEnd::by_kind(error),
        }
    }

    fn into_raw(self) -> Self::Raw {
        self.into_inner().0.into_raw()
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        self.get_ref().0.socket()
    }
}

/// Writes the alert that the session has ready to the socket itself, once, and then the FIN. This is for a
/// stream whose runtime has ended: tokio refuses its I/O.
fn notify_now<T: Transport>(stream: &mut TlsStream<T>) -> io::Result<Notified> {
    let mut alert = Vec::new();
    while stream.get_mut().1.wants_write() {
        stream.get_mut().1.write_tls(&mut alert)?;
    }
    last_words(stream, &alert)
}
