//! The connection while it is served.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use linger_proto::Notified;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::serve::close_handle::{CloseHandle, Wish};
use crate::serve::hand_back::Home;
use crate::serve::observed::Seen;
use crate::transport::{Transport, poll_half_close};

/// A connection on loan to its service. Dropping it hands the connection back, to be closed properly.
///
/// Reads and writes pass straight through, without a lock or an allocation. It is what the HTTP engine owns, so an
/// upgrade finds it by `downcast::<TokioIo<LingerIo<T>>>`; [`into_inner`](Self::into_inner) ends the loan.
///
/// `poll_shutdown` sends `close_notify` and FIN at that moment, so that a tunnel can half-close and go on reading.
/// What cannot be sent at once (the peer takes nothing) is left to later reads and to the close, which has bounds;
/// the engine, which has none, is not made to wait for it.
pub struct LingerIo<T: Transport> {
    /// Present until `into_inner` or drop takes it.
    loan: Option<Loan<T>>,
}

struct Loan<T: Transport> {
    io: T,
    home: Home<T>,
    seen: Seen,
    /// Made when somebody asks for it.
    handle: OnceLock<CloseHandle>,
}

impl<T: Transport> LingerIo<T> {
    pub(crate) fn new(io: T, home: Home<T>) -> Self {
        Self { loan: Some(Loan { io, home, seen: Seen::default(), handle: OnceLock::new() }) }
    }

    /// The connection.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "it cannot")]
    pub fn get_ref(&self) -> &T {
        &self.loan.as_ref().expect(ON_LOAN).io
    }

    /// The connection. What is done to it here goes unseen by the close.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.loan_mut().io
    }

    /// Takes the connection away for good: the layer's future completes without closing it, and there is no report.
    #[must_use = "dropping the connection closes its descriptor without a lingering close"]
    #[expect(clippy::missing_panics_doc, reason = "it cannot")]
    pub fn into_inner(mut self) -> T {
        self.loan.take().expect(ON_LOAN).io
    }

    /// Aborts the connection: a RST, instead of an end that looks clean.
    pub fn abort(mut self) {
        self.loan_mut().seen.start.abort = true;
    }

    /// A handle for those who handle this connection's requests, to have a word on its close.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "it cannot")]
    pub fn close_handle(&self) -> CloseHandle {
        self.loan.as_ref().expect(ON_LOAN).handle.get_or_init(CloseHandle::default).clone()
    }

    fn loan_mut(&mut self) -> &mut Loan<T> {
        self.loan.as_mut().expect(ON_LOAN)
    }

    /// A read while a half-close is owed. Its failure is in `seen`: the reader of the other direction has nothing to do with it.
    #[cold]
    #[inline(never)]
    fn poll_read_owing(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Loan { io, seen, .. } = self.loan_mut();
        let _ = half_close(io, seen, cx);
        read_noted(io, seen, cx, buf)
    }
}

/// Only `into_inner`, which consumes the wrapper, and drop take the connection out.
const ON_LOAN: &str = "the connection is there until `into_inner` or drop";

impl<T: Transport> Drop for LingerIo<T> {
    fn drop(&mut self) {
        if let Some(Loan { io, home, mut seen, handle }) = self.loan.take() {
            let wish = handle.get().map(CloseHandle::wish).unwrap_or_default();
            // A handler's panic, which drops its connection on the way: what was sent is not the whole.
            seen.start.abort |= std::thread::panicking() || matches!(wish, Wish::Abort);
            home.take_back(io, seen, wish);
        }
    }
}

impl<T: Transport> AsyncRead for LingerIo<T> {
    // Inlined into hyper-util's wrapper it would keep that from being inlined into hyper: see benches/README.md.
    #[inline(never)]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Loan { io, seen, .. } = self.loan_mut();
        if seen.owes_half_close {
            return self.poll_read_owing(cx, buf);
        }
        read_noted(io, seen, cx, buf)
    }
}

impl<T: Transport> AsyncWrite for LingerIo<T> {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Loan { io, seen, .. } = self.loan_mut();
        Pin::new(io).poll_write(cx, buf).map_err(|error| seen.pass(error))
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Loan { io, seen, .. } = self.loan_mut();
        Pin::new(io).poll_write_vectored(cx, bufs).map_err(|error| seen.pass(error))
    }

    fn is_write_vectored(&self) -> bool {
        self.get_ref().is_write_vectored()
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Loan { io, seen, .. } = self.loan_mut();
        Pin::new(io).poll_flush(cx).map_err(|error| seen.pass(error))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Loan { io, seen, .. } = self.loan_mut();
        Poll::Ready(half_close(io, seen, cx))
    }
}

/// What every read pays: a look at whether bytes came, and, where none did, at why.
#[inline]
fn read_noted<T: Transport>(
    io: &mut T,
    seen: &mut Seen,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let room = buf.remaining();
    match Pin::new(io).poll_read(cx, buf) {
        Poll::Ready(result) if buf.remaining() == room => seen.note_read(result, buf),
        polled => polled,
    }
}

/// Sends the closure alert and the FIN, or notes that they are owed. Does nothing once they are sent.
fn half_close<T: Transport>(io: &mut T, seen: &mut Seen, cx: &mut Context<'_>) -> io::Result<()> {
    if seen.start.half_closed.is_some() {
        return Ok(());
    }
    let polled = poll_end_of_writes(io, seen.start.fatal_alert, cx);
    seen.owes_half_close = polled.is_pending();
    match polled {
        Poll::Pending => Ok(()),
        Poll::Ready(Ok(notified)) => {
            seen.start.half_closed = Some(notified);
            Ok(())
        }
        Poll::Ready(Err(error)) => Err(seen.pass(error)),
    }
}

fn poll_end_of_writes<T: Transport>(
    io: &mut T,
    fatal_alert: bool,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Notified>> {
    let notified = if fatal_alert { Notified::Nothing } else { ready!(io.poll_notify(cx))? };
    if notified != Notified::CloseNotifyAndFin {
        ready!(poll_half_close(io, cx))?;
    }
    Poll::Ready(Ok(notified))
}

impl<T: Transport + fmt::Debug> fmt::Debug for LingerIo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LingerIo").field("io", self.get_ref()).finish_non_exhaustive()
    }
}
