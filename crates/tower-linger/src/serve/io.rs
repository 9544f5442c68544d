//! The connection while it is served.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::serve::close_handle::CloseHandle;
use crate::serve::connection::{CUT, Connection, Side};
use crate::serve::hand_back::HandBack;
use crate::serve::loan::Loan;
use crate::serve::served::Served;
use crate::transport::Transport;

/// A connection on loan to its service. Dropping it hands the connection back, to be closed properly.
///
/// Reads and writes pass straight through, without a lock or an allocation.
///
/// It is what the HTTP engine owns, so an upgrade can get it back, as a `TokioIo<LingerIo<T>>`. Behind
/// `axum::serve`, axum-server and hyper-util's `auto` connection, use
/// `hyper_util::server::conn::auto::upgrade::downcast`: `auto` wraps the connection once more in a private
/// type, so that `Upgraded::downcast` fails. With hyper's own `http1::Builder`,
/// `Upgraded::downcast` is right. Either way, handle `read_buf` first: the client may have sent it before
/// the upgrade was done. [`into_inner`](Self::into_inner) ends the loan.
///
/// # What a drop means
///
/// A connection whose service ended its writes (`poll_shutdown`) ends cleanly. So does one that is dropped
/// idle: nothing was written yet, every request is answered to its end, or it was upgraded. One that is
/// dropped *busy* has failed: a request is unanswered, a response is not at its end, a write failed or was
/// not taken. The same goes for a panic, and for what the tracker cuts. It then ends unclean: without
/// `close_notify`, and by a RST after everything was acknowledged where the response has no end of its own.
/// Where nobody can tell idle from busy (no [`RequestLayer`](crate::RequestLayer), no service result) it
/// ends unclean too.
///
/// # Half-close
///
/// `poll_shutdown` sends `close_notify` and FIN at that moment, so that a tunnel can half-close and go on
/// reading. What cannot be sent at once (the peer takes nothing) is left to later reads and to the close,
/// which has bounds; the engine, which has none, is not made to wait for it. Where the policy holds the FIN
/// back (`peer_closes_first`, `without_half_close`), or a handler has aborted the connection, nothing is
/// sent until the drop; a service that goes on reading is a tunnel, and its half-close goes out with that
/// read.
pub struct LingerIo<T: Transport> {
    /// Present until `into_inner` or drop takes it.
    loan: Option<Loan<T>>,
}

impl<T: Transport> LingerIo<T> {
    pub(crate) fn new(io: T, back: HandBack<T>, served: Served) -> Self {
        Self { loan: Some(Loan::new(io, back, served)) }
    }

    /// The connection.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.loan_ref().io
    }

    /// The connection. What is done to it here goes unseen by the close.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.loan_mut().io
    }

    /// Takes the connection away for good: the layer's future completes without closing it, the tracker
    /// forgets it, and there is no report.
    #[must_use = "dropping the connection closes its descriptor without a lingering close"]
    #[expect(clippy::missing_panics_doc, reason = "it cannot")]
    pub fn into_inner(mut self) -> T {
        self.loan.take().expect(ON_LOAN).io
    }

    /// Ends the connection as one that failed: see [`CloseHandle::abort`].
    pub fn abort(self) {
        self.close_handle().abort();
    }

    /// Resets the connection at once. The peer may lose what it has not read yet.
    pub fn reset(self) {
        self.close_handle().reset();
    }

    /// A handle for those who handle this connection's requests, to override its close.
    #[must_use]
    pub fn close_handle(&self) -> CloseHandle {
        CloseHandle::new(self.connection().clone())
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        self.loan_ref().served.connection()
    }

    fn loan_ref(&self) -> &Loan<T> {
        self.loan.as_ref().expect(ON_LOAN)
    }

    fn loan_mut(&mut self) -> &mut Loan<T> {
        self.loan.as_mut().expect(ON_LOAN)
    }
}

/// Only `into_inner`, which consumes the wrapper, and drop take the connection out.
const ON_LOAN: &str = "the connection is there until `into_inner` or drop";

impl<T: Transport> Drop for LingerIo<T> {
    fn drop(&mut self) {
        if let Some(Loan { io, back, served, observed, .. }) = self.loan.take() {
            back.take_back(io, observed, served);
        }
    }
}

impl<T: Transport> AsyncRead for LingerIo<T> {
    // Inlined into hyper-util's wrapper it would keep that from being inlined into hyper: see
    // benches/README.md.
    #[inline(never)]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let loan = self.loan_mut();
        if loan.is_polled_anew(Side::Read, cx) || loan.served.connection().flags() != 0 {
            return loan.poll_read_unusual(cx, buf);
        }
        loan.poll_read_noted(cx, buf)
    }
}

impl<T: Transport> AsyncWrite for LingerIo<T> {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let loan = self.loan_mut();
        loan.before_write(cx)?;
        loan.observed.note_write(buf);
        let written = Pin::new(&mut loan.io).poll_write(cx, buf);
        loan.after_write(cx, written)
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let loan = self.loan_mut();
        loan.before_write(cx)?;
        loan.observed.note_write(bufs.first().map_or(&[], |buf| buf));
        let written = Pin::new(&mut loan.io).poll_write_vectored(cx, bufs);
        loan.after_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.get_ref().is_write_vectored()
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let loan = self.loan_mut();
        if loan.is_polled_anew(Side::Write, cx) || loan.served.connection().flags() & CUT != 0 {
            loan.look_for_the_cut(Side::Write, cx)?;
        }
        match Pin::new(&mut loan.io).poll_flush(cx) {
            Poll::Ready(Ok(())) if !loan.stall.is_running() => Poll::Ready(Ok(())),
            flushed => loan.after_unusual_flush(cx, flushed),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let loan = self.loan_mut();
        loan.look_for_the_cut(Side::Write, cx)?;
        Poll::Ready(loan.end_writes(cx))
    }
}

impl<T: Transport + fmt::Debug> fmt::Debug for LingerIo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LingerIo").field("io", self.get_ref()).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use std::mem::size_of;

    use tokio::net::TcpStream;

    use super::LingerIo;
    use crate::serve::connection::Connection;
    use crate::serve::exchanges::Exchanges;

    /// What a connection costs while it is served, beside its own stream: `benches/README.md` tells it. Two
    /// counters come with each of what is shared, 16 bytes.
    #[test]
    fn a_served_connection_costs_few_bytes() {
        let wrapper = size_of::<LingerIo<TcpStream>>() - size_of::<TcpStream>();
        let shared = 16 + size_of::<Connection>();
        let exchanges = 16 + size_of::<Exchanges>();
        assert!(wrapper <= 128 && shared <= 96 && exchanges <= 20, "{wrapper}, {shared}, {exchanges} bytes");
    }
}
