//! TLS by a library that does not give its stream back. OpenSSL stands for any such library: tower-linger's
//! feature `openssl` is off here, and has the same for users.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use openssl::ssl::{self, Ssl, SslAcceptor};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_openssl::SslStream;
use tower_linger::session::{self, Below, BoxedHandshake, Lent, Session, SessionEnd, lend};
use tower_linger::{AcceptTls, AwaitsCloseNotify, Notified, SocketRef, Transport};

/// A connection over TLS.
#[derive(Debug)]
pub struct Tls<S>(SslStream<S>);

impl<S> Tls<S> {
    /// The connection, whose handshake is done.
    pub fn new(stream: SslStream<S>) -> Self {
        Self(stream)
    }
}

impl<S: Transport> Session for Tls<S> {
    type Below = S;

    fn below(&self) -> &S {
        self.0.get_ref()
    }

    fn below_mut(&mut self) -> &mut S {
        self.0.get_mut()
    }
}

impl<S: Transport> Transport for Tls<S> {
    type Raw = Below<Self>;

    fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Notified>> {
        session::poll_notify(self, cx)
    }

    fn poll_half_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.get_mut().poll_half_close(cx)
    }

    fn session_end(error: &io::Error) -> Option<SessionEnd> {
        let error = error.get_ref()?.downcast_ref::<ssl::Error>()?;
        let text = error.to_string();
        if text.contains("unexpected eof") {
            Some(SessionEnd::Truncated)
        } else if text.contains("SSL alert number") {
            Some(SessionEnd::AlertReceived)
        } else {
            error.ssl_error().map(|_| SessionEnd::AlertSent)
        }
    }

    fn met_fin(&self) -> bool {
        self.0.get_ref().met_fin()
    }

    fn into_raw(self) -> Below<Self> {
        Below::new(self)
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        self.0.get_ref().socket()
    }
}

/// Does the handshakes of [`LingerLayer::tls`](tower_linger::LingerLayer::tls).
#[derive(Clone)]
pub struct Acceptor(pub SslAcceptor);

impl AcceptTls for Acceptor {
    type Stream<T: Transport> = Tls<Lent<T>>;
    type Handshake<T: Transport> = BoxedHandshake<Tls<Lent<T>>, T>;

    fn accept<T: Transport>(&self, io: T) -> Self::Handshake<T> {
        let ssl = Ssl::new(self.0.context());
        let handshake = |lent| async {
            let mut stream = SslStream::new(ssl?, lent)?;
            Pin::new(&mut stream).accept().await?;
            Ok(Tls(stream))
        };
        lend(io, handshake, |error: ssl::Error| error.into_io_error().unwrap_or_else(io::Error::other))
    }
}

// OpenSSL reads a session after its own close_notify.
impl AwaitsCloseNotify for Acceptor {}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tls<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tls<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
