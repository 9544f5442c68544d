//! A stream that is lent to a TLS library, and comes back when the library drops it.

use std::fmt;
use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::session_end::SessionEnd;
use super::socket;
use super::transport::{SocketRef, Transport};

/// The stream that an acceptor of this crate has lent to a TLS library that does not give it back: such a
/// library drops its stream when a handshake fails, before anybody can read the alert. It reads and writes
/// like the stream itself.
pub struct Lent<T> {
    /// None once it was reclaimed.
    io: Option<T>,
    met_fin: bool,
    lender: Weak<Mutex<Option<T>>>,
}

/// Who gets the stream when it is dropped, if that is still there then.
struct Lender<T>(Arc<Mutex<Option<T>>>);

/// A handshake of a library whose own future has no name.
pub type BoxedHandshake<S, T> = Pin<Box<dyn Future<Output = Result<S, (io::Error, Option<T>)>> + Send>>;

/// Lends the connection to a library that drops its stream when the handshake fails, and gives it back then.
/// `accept` does the handshake, and `error` converts what it fails with.
///
/// # Cancel safety
///
/// Dropping the handshake closes the connection.
pub fn lend<T, S, E, F>(
    io: T,
    accept: impl FnOnce(Lent<T>) -> F,
    error: impl FnOnce(E) -> io::Error + Send + 'static,
) -> BoxedHandshake<S, T>
where
    T: Transport,
    S: 'static,
    F: Future<Output = Result<S, E>> + Send + 'static,
{
    let lender = Lender(Arc::default());
    let accepting = accept(Lent { io: Some(io), met_fin: false, lender: Arc::downgrade(&lender.0) });
    Box::pin(async move { accepting.await.map_err(|failed| (error(failed), lender.take())) })
}

impl<T> Lent<T> {
    /// The stream, unless it was reclaimed by the close of its connection.
    pub fn get_ref(&self) -> Option<&T> {
        self.io.as_ref()
    }
}

impl<T> Lender<T> {
    /// The stream, if the library has dropped it.
    fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        if let Some(lender) = self.lender.upgrade() {
            *lender.lock().unwrap_or_else(PoisonError::into_inner) = self.io.take();
        }
    }
}

impl<T> fmt::Debug for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").field("is_reclaimed", &self.io.is_none()).finish_non_exhaustive()
    }
}

impl<T: Unpin> Lent<T> {
    fn pinned(&mut self) -> io::Result<Pin<&mut T>> {
        self.io.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<T: Transport> Transport for Lent<T> {
    type Raw = T::Raw;

    fn poll_half_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned()?.get_mut().poll_half_close(cx)
    }

    fn session_end(error: &io::Error) -> Option<SessionEnd> {
        T::session_end(error)
    }

    fn met_fin(&self) -> bool {
        self.met_fin
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>, limit: NonZeroUsize) -> Poll<io::Result<usize>> {
        self.pinned()?.get_mut().poll_discard(cx, limit)
    }

    fn poll_acknowledged(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Duration>> {
        self.pinned()?.get_mut().poll_acknowledged(cx)
    }

    /// # Panics
    ///
    /// If it was reclaimed before.
    fn into_raw(mut self) -> T::Raw {
        self.reclaim().expect("it is reclaimed once")
    }

    fn reclaim(&mut self) -> Option<T::Raw> {
        self.io.take().map(Transport::into_raw)
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        self.io.as_ref().and_then(Transport::socket)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Lent<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.remaining();
        let polled = self.pinned()?.poll_read(cx, buf);
        if room > 0 && buf.remaining() == room && matches!(polled, Poll::Ready(Ok(()))) {
            self.met_fin = true;
        }
        polled
    }
}

impl<T: Transport> AsyncWrite for Lent<T> {
    /// Writes to the socket itself when the stream's runtime has ended, so that the library can still send
    /// its closure alert.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.pinned()?.poll_write(cx, buf) {
            Poll::Ready(Err(error)) if tokio::runtime::is_rt_shutdown_err(&error) => {
                Poll::Ready(socket::send_now(&*self, buf))
            }
            polled => polled,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned()?.poll_shutdown(cx)
    }
}
