//! The connection as its service sees it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::serve::close_handle::CloseHandle;
use crate::serve::connection::{CUT, Connection, Side};
use crate::serve::hand_back::take_back;
use crate::serve::loan::Loan;
use crate::serve::served::Served;
use crate::transport::Transport;

/// A connection that is lent to its service. Dropping it hands the connection back, to be closed properly.
///
/// Reads and writes pass straight through, without a lock or an allocation.
///
/// # Upgrades
///
/// An upgraded connection is a `TokioIo<LingerIo<T>>`. Behind `axum::serve`, axum-server and hyper-util's
/// `auto` connection, get it with `hyper_util::server::conn::auto::upgrade::downcast`: `auto` wraps the
/// connection in a private type, so that `Upgraded::downcast` fails. With hyper's own `http1::Builder`, use
/// `Upgraded::downcast`. In both cases handle `read_buf` first: the client may have sent it before the
/// upgrade was complete.
///
/// # What a drop means
///
/// The connection ends cleanly if its service ended its writes (`poll_shutdown`), or if it is idle when it is
/// dropped: nothing was written yet, every response is complete, or it was upgraded.
///
/// A connection that is dropped *busy* has failed: a request is unanswered, a response is incomplete, or a
/// write failed or was not taken. So has one that is dropped by a panic, or cut by the tracker. Such a
/// connection ends uncleanly: without `close_notify`, and, where only the end of the connection ends the
/// response, by a RST after the peer has acknowledged everything. So does a connection that may be busy:
/// without [`RequestLayer`](crate::RequestLayer) and without a service result, nobody knows.
///
/// # Half-close
///
/// `poll_shutdown` sends `close_notify` and FIN at once, so that a tunnel can half-close and go on reading.
/// It never waits: if the peer takes nothing, later reads and the close send what is left. The close has
/// bounds for that; the engine has none.
///
/// If the policy holds the FIN back (`peer_closes_first`, `without_half_close`), or a handler has aborted the
/// connection, `poll_shutdown` sends nothing and the drop decides. If the service goes on reading, it is a
/// tunnel, and its next read sends the half-close.
pub struct LingerIo<T: Transport> {
    /// Present until `into_inner` or drop takes it.
    loan: Option<Loan<T>>,
}

impl<T: Transport> LingerIo<T> {
    pub(crate) fn new(io: T, served: Served) -> Self {
        Self { loan: Some(Loan::new(io, served)) }
    }

    /// The connection.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.loan_ref().io
    }

    /// The connection. The close does not see what is read or written here.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.loan_mut().io
    }

    /// Takes the connection for good: the layer's future completes without closing it, the tracker forgets
    /// it, and there is no report.
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

    /// A handle with which a request handler can override how this connection closes.
    #[must_use]
    pub fn close_handle(&self) -> CloseHandle {
        CloseHandle::new(self.connection().clone())
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        self.loan_ref().served.connection()
    }

    /// For a connection whose policy does not bound its writes.
    #[cfg(feature = "serve")]
    pub(crate) fn bound_writes(&mut self, timeout: std::time::Duration) {
        self.loan_mut().served.bound_writes(timeout);
    }

    fn loan_ref(&self) -> &Loan<T> {
        self.loan.as_ref().expect(ON_LOAN)
    }

    fn loan_mut(&mut self) -> &mut Loan<T> {
        self.loan.as_mut().expect(ON_LOAN)
    }
}

/// Only drop and `into_inner`, which consumes the wrapper, take the connection out.
const ON_LOAN: &str = "the connection is there until `into_inner` or drop";

impl<T: Transport> Drop for LingerIo<T> {
    fn drop(&mut self) {
        if let Some(Loan { io, served, observed, .. }) = self.loan.take() {
            take_back(io, observed, served);
        }
    }
}

impl<T: Transport> AsyncRead for LingerIo<T> {
    // If this were inlined into hyper-util's wrapper, that would be too large to be inlined into hyper: see
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

    /// What a served connection costs in addition to its stream, as `benches/README.md` says. The shared
    /// part has two reference counters, 16 bytes.
    #[test]
    fn a_served_connection_costs_few_bytes() {
        let wrapper = size_of::<LingerIo<TcpStream>>() - size_of::<TcpStream>();
        let shared = 16 + size_of::<Connection>();
        assert!(wrapper <= 120 && shared <= 120, "{wrapper}, {shared} bytes");
    }
}
