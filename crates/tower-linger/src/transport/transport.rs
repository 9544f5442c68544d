//! What a connection must offer to be closed properly.

use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use linger_proto::Notified;
use tokio::io::{AsyncRead, AsyncWrite};

use super::session_end::SessionEnd;
use super::{discard, sys};

/// The socket below a transport: `BorrowedFd` on Unix, `BorrowedSocket` on Windows.
pub type SocketRef<'a> = sys::BorrowedSocket<'a>;

/// A byte stream that this crate can close.
///
/// Implemented for [`TcpStream`](tokio::net::TcpStream), `UnixStream`,
/// [`DuplexStream`](tokio::io::DuplexStream), and over any of them for `tokio_rustls::server::TlsStream`
/// (feature `rustls`), `tokio_openssl::SslStream` (`openssl`), `tokio_native_tls::TlsStream` (`native-tls`)
/// and `s2n_tls_tokio::TlsStream` (`s2n`). Wrap any other stream in [`PlainSocket`](crate::PlainSocket) if it
/// has a socket, else in [`Plain`](crate::Plain). Everything but [`into_raw`](Self::into_raw) has a default,
/// so a transport of your own is a few lines. [`session`](crate::session) helps where it has a security
/// session, and the [guide](crate::guide::own_transport) shows one of each kind.
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

    /// Shuts down the write side: the FIN follows the bytes that are queued. No closure alert is sent any
    /// more. The default is the stream's `poll_shutdown`, which is right where that sends nothing but the FIN
    /// here, and does no harm when it is called again.
    ///
    /// # Errors
    ///
    /// Those of shutting down the socket.
    fn poll_half_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_shutdown(cx)
    }

    /// What an error of this stream's reads and writes says about the end of its session. The default knows
    /// it by the kind, as tokio-rustls has them: `UnexpectedEof` is a FIN without a closure alert, and
    /// `InvalidData` is what the session answers with a fatal alert.
    #[must_use]
    fn session_end(error: &io::Error) -> Option<SessionEnd> {
        SessionEnd::by_kind(error)
    }

    /// Whether the session cannot be read any more once its `close_notify` is sent. Then the peer's is not
    /// awaited, whatever the policy says. The default is false.
    fn ends_with_notify(&self) -> bool {
        false
    }

    /// Whether a read of the stream itself, below any session, has met the peer's FIN, where this stream
    /// notes that. By this a library's end of data that was no closure alert is known. The default is
    /// false, which is right where [`session_end`](Self::session_end) tells such an end.
    fn met_fin(&self) -> bool {
        false
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
    /// default never completes: then [`early_release`](crate::ClosePolicyBuilder::early_release) has no effect,
    /// and [silent clients](crate::RequestLayer#silent-clients) are waited for.
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

    /// Moves the stream out of a session that cannot give it back, and leaves a closed one. The default is
    /// none: only what an acceptor has lent to a library can be had back in this way.
    fn reclaim(&mut self) -> Option<Self::Raw> {
        None
    }

    /// The socket, for what only a socket can do: be reset, be searched for unread bytes without waiting. The
    /// default is none.
    fn socket(&self) -> Option<SocketRef<'_>> {
        None
    }
}
