//! What a connection must offer to be closed properly.

use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use linger_proto::Notified;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{discard, sys};

/// The socket below a transport: `BorrowedFd` on Unix, `BorrowedSocket` on Windows.
pub type SocketRef<'a> = sys::BorrowedSocket<'a>;

/// A byte stream that this crate can close.
///
/// Implemented for [`TcpStream`](tokio::net::TcpStream), `UnixStream`,
/// [`DuplexStream`](tokio::io::DuplexStream), `tokio_rustls::server::TlsStream<T>` (feature `rustls`) and,
/// for any other stream, by wrapping it in [`Plain`], or in [`PlainSocket`] where it has a socket. Everything
/// but [`into_raw`](Self::into_raw) has a default, so a transport of your own is a few lines.
///
/// `poll_shutdown` of the stream must send the FIN, and must stay harmless when it is called again.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The stream below the security session; the stream itself where there is no session.
    type Raw: Transport;

    /// Sends the session's closure alert. By default there is none.
    ///
    /// # Errors
    ///
    /// Those of writing to the socket.
    fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Notified>> {
        let _ = cx;
        Poll::Ready(Ok(Notified::Nothing))
    }

    /// Reads and throws away at most `limit` bytes; 0 means the end of the peer's data. By default they are
    /// read into a scratch buffer of the thread; a TCP socket on Linux does not copy them at all.
    ///
    /// # Errors
    ///
    /// Those of reading.
    fn poll_discard(&mut self, cx: &mut Context<'_>, limit: NonZeroUsize) -> Poll<io::Result<usize>> {
        discard::poll_discard(self, cx, limit)
    }

    /// Completes, with the round-trip time, when the peer has acknowledged everything, the FIN included. By
    /// default it never does, which leaves [`early_release`](crate::ClosePolicyBuilder::early_release)
    /// without effect.
    ///
    /// # Errors
    ///
    /// Those of asking the system.
    fn poll_acknowledged(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Duration>> {
        let _ = cx;
        Poll::Pending
    }

    /// Drops the session and keeps the stream below it, which is all that the drain needs.
    fn into_raw(self) -> Self::Raw;

    /// The socket, for what only a socket can do: an abort, a last look for unread bytes. By default there is
    /// none.
    fn socket(&self) -> Option<SocketRef<'_>> {
        None
    }
}

/// Closes the write side of a stream: the FIN follows the bytes queued before it.
pub(crate) fn poll_half_close<T: Transport>(stream: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    Pin::new(stream).poll_shutdown(cx)
}
