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
/// [`DuplexStream`](tokio::io::DuplexStream) and `tokio_rustls::server::TlsStream<T>` (feature `rustls`).
/// Wrap any other stream in [`PlainSocket`](crate::PlainSocket) if it has a socket, else in
/// [`Plain`](crate::Plain). Everything but [`into_raw`](Self::into_raw) has a default, so a transport of your
/// own is a few lines.
///
/// The stream's `poll_shutdown` must send the FIN, and must do no harm when it is called again.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The stream below the security session; the stream itself where there is no session.
    type Raw: Transport;

    /// Sends the session's closure alert. The default is for streams without a session, which have none.
    ///
    /// # Errors
    ///
    /// Those of writing to the socket.
    fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Notified>> {
        let _ = cx;
        Poll::Ready(Ok(Notified::Nothing))
    }

    /// Reads and discards at most `limit` bytes; 0 means the end of the peer's data. The default reads into a
    /// buffer that all connections of the thread share. A TCP socket on Linux does not copy the bytes at all.
    ///
    /// # Errors
    ///
    /// Those of reading.
    fn poll_discard(&mut self, cx: &mut Context<'_>, limit: NonZeroUsize) -> Poll<io::Result<usize>> {
        discard::poll_discard(self, cx, limit)
    }

    /// Completes, with the round-trip time, when the peer has acknowledged everything, the FIN included. The
    /// default never completes, and [`early_release`](crate::ClosePolicyBuilder::early_release) has no effect
    /// then.
    ///
    /// # Errors
    ///
    /// Those of asking the system.
    fn poll_acknowledged(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Duration>> {
        let _ = cx;
        Poll::Pending
    }

    /// Drops the session and returns the stream below it, which is all that the drain needs.
    fn into_raw(self) -> Self::Raw;

    /// The socket, for what only a socket can do: be reset, be searched for unread bytes without waiting. The
    /// default is none.
    fn socket(&self) -> Option<SocketRef<'_>> {
        None
    }
}

/// Shuts down the write side of a stream: the FIN follows the bytes that are queued.
pub(crate) fn poll_half_close<T: Transport>(stream: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    Pin::new(stream).poll_shutdown(cx)
}
