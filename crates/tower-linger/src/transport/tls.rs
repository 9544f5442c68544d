//! TLS by tokio-rustls, on top of any transport.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use linger_proto::Notified;
use tokio::io::AsyncWrite;
use tokio_rustls::server::TlsStream;

use super::{SocketRef, Transport};

impl<T: Transport> Transport for TlsStream<T> {
    type Raw = T::Raw;

    /// The stream's own `poll_shutdown` sends the alert, unless a fatal one came before it, and then shuts down the
    /// stream below: alert and FIN.
    fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Notified>> {
        hold_back(self.socket());
        match ready!(Pin::new(&mut *self).poll_shutdown(cx)) {
            Ok(()) => Poll::Ready(Ok(Notified::CloseNotifyAndFin)),
            Err(error) if tokio::runtime::is_rt_shutdown_err(&error) => Poll::Ready(notify_now(self)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn into_raw(self) -> Self::Raw {
        self.into_inner().0.into_raw()
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        self.get_ref().0.socket()
    }
}

/// Corks the socket, so that the alert waits for the FIN and both leave in one segment. The FIN takes the cork out.
fn hold_back(socket: Option<SocketRef<'_>>) {
    #[cfg(target_os = "linux")]
    if let Some(socket) = socket {
        // Where it fails (a stream that is not TCP) alert and FIN leave apart, which is right too.
        let _ = rustix::net::sockopt::set_tcp_cork(socket, true);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

/// The runtime is gone, and with it the stream's I/O: the alert that the session has ready is written to the socket
/// directly, once, and the FIN after it.
fn notify_now<T: Transport>(stream: &mut TlsStream<T>) -> io::Result<Notified> {
    #[cfg(unix)]
    {
        use rustix::net::{SendFlags, Shutdown, send, shutdown};

        let mut alert = Vec::new();
        while stream.get_mut().1.wants_write() {
            stream.get_mut().1.write_tls(&mut alert)?;
        }
        if let Some(socket) = stream.socket() {
            let sent = send(socket, &alert, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
            shutdown(socket, Shutdown::Write)?;
            let whole = sent == alert.len();
            return if whole {
                Ok(Notified::CloseNotifyAndFin)
            } else {
                Err(io::ErrorKind::WriteZero.into())
            };
        }
    }
    let _ = stream;
    Err(io::ErrorKind::NotConnected.into())
}
