//! The connection while it is served.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use linger_proto::{Alert, ClosePolicy, Notified};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::serve::close_handle::CloseHandle;
use crate::serve::connection::{CUT, ENDED_WRITES, FRESH, Override, Side};
use crate::serve::hand_back::HandBack;
use crate::serve::observed::{Observed, Writes};
use crate::serve::served::Served;
use crate::serve::stall::Stall;
use crate::transport::{self, Transport, poll_half_close};

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

struct Loan<T: Transport> {
    io: T,
    back: HandBack<T>,
    served: Served,
    observed: Observed,
    /// Whose wakers the connection has, by direction.
    polled_by: [WakerId; 2],
    stall: Stall,
    #[cfg(feature = "http")]
    registration: Option<crate::serve::exchanges::Registration>,
}

/// What tells one waker from another without holding it. Nothing is reached through these addresses, and
/// while the connection holds a clone of a waker, no other can have its address. None has the default's.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct WakerId(usize, usize);

impl WakerId {
    #[inline]
    fn of(waker: &Waker) -> Self {
        Self(waker.data() as usize, std::ptr::from_ref(waker.vtable()) as usize)
    }
}

impl<T: Transport> LingerIo<T> {
    pub(crate) fn new(io: T, back: HandBack<T>, served: Served) -> Self {
        Self {
            loan: Some(Loan {
                io,
                back,
                served,
                observed: Observed::default(),
                polled_by: [WakerId::default(); 2],
                stall: Stall::default(),
                #[cfg(feature = "http")]
                registration: None,
            }),
        }
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
        CloseHandle::new(self.loan_ref().served.connection().clone())
    }

    /// Watches the requests that this connection's `service` answers, so that a drop can tell idle from
    /// busy. For engines that are given a service for each connection; [`RequestLayer`](crate::RequestLayer)
    /// finds its connection by itself where the engine serves one connection in one task, as hyper does in
    /// most loops.
    #[cfg(feature = "http")]
    pub fn watch<S>(&self, service: S) -> crate::Watched<S> {
        crate::Watched::new(service, self.loan_ref().served.connection().exchanges().clone())
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

impl<T: Transport> Loan<T> {
    /// Whether this task is not yet known to poll this half: it has to be woken when the connection is cut.
    #[inline]
    fn is_polled_anew(&self, side: Side, cx: &Context<'_>) -> bool {
        self.polled_by[side as usize] != WakerId::of(cx.waker())
    }

    /// Registers whoever polls, and fails where the connection is cut.
    #[cold]
    #[inline(never)]
    fn look_for_the_cut(&mut self, side: Side, cx: &Context<'_>) -> io::Result<()> {
        let connection = self.served.connection();
        if self.is_polled_anew(side, cx) {
            connection.register(side, cx.waker());
            self.polled_by[side as usize] = WakerId::of(cx.waker());
        }
        if connection.is_cut() {
            Err(io::Error::new(io::ErrorKind::ConnectionAborted, CutByShutdown))
        } else {
            Ok(())
        }
    }

    /// What every read pays: a look at whether bytes came, and, where none did, at why.
    #[inline]
    fn poll_read_noted(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buf.remaining();
        match Pin::new(&mut self.io).poll_read(cx, buf) {
            Poll::Ready(result) if buf.remaining() == room => self.observed.note_read(result, buf),
            polled => polled,
        }
    }

    /// A read by another task than before, before the first bytes, after our own half-close, or after the
    /// cut.
    #[cold]
    #[inline(never)]
    fn poll_read_unusual(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.look_for_the_cut(Side::Read, cx)?;
        let flags = self.served.connection().flags();
        if flags & ENDED_WRITES != 0 && self.observed.owes_half_close && !self.must_not_notify() {
            // Who goes on reading is a tunnel. Its failure is recorded: the other direction has nothing to
            // do with it.
            let _ = self.half_close(cx);
        }
        let before = buf.filled().len();
        let polled = self.poll_read_noted(cx, buf);
        if flags & FRESH != 0 {
            self.note_first_read(&buf.filled()[before..]);
        }
        polled
    }

    fn note_first_read(&mut self, bytes: &[u8]) {
        #[cfg(feature = "http")]
        if self.registration.is_none() {
            self.registration = Some(crate::serve::exchanges::register(self.served.connection().exchanges()));
        }
        if !bytes.is_empty() {
            self.observed.note_first_bytes(bytes);
            self.served.connection().clear(FRESH);
        }
    }

    #[inline]
    fn before_write(&mut self, cx: &Context<'_>) -> io::Result<()> {
        let unusual = self.served.connection().flags() & (CUT | ENDED_WRITES) != 0;
        if unusual || self.is_polled_anew(Side::Write, cx) { self.before_unusual_write(cx) } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn before_unusual_write(&mut self, cx: &Context<'_>) -> io::Result<()> {
        self.look_for_the_cut(Side::Write, cx).inspect_err(|_| self.observed.writes = Writes::Blocked)?;
        if self.served.connection().flags() & ENDED_WRITES != 0 {
            // The service's own mistake, and none of the peer's: nothing is recorded.
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }

    #[inline]
    fn after_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(_)) if self.observed.writes == Writes::Taken && !self.stall.is_running() => {
                written
            }
            written => self.after_unusual_write(cx, written),
        }
    }

    #[cold]
    #[inline(never)]
    fn after_unusual_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(_)) => {
                if !matches!(self.observed.writes, Writes::Failed | Writes::TimedOut) {
                    self.observed.writes = Writes::Taken;
                }
                self.stall.end();
                written
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.observed.record_write(error))),
            Poll::Pending => {
                self.observed.writes = Writes::Blocked;
                Poll::Ready(Err(ready!(self.poll_stalled(cx))))
            }
        }
    }

    /// A flush that has to wait, or failed.
    #[cold]
    #[inline(never)]
    fn after_unusual_flush(
        &mut self,
        cx: &mut Context<'_>,
        flushed: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        match flushed {
            // A write that waits goes on waiting: most transports have nothing to flush.
            Poll::Ready(Ok(())) if self.observed.writes == Writes::Blocked => flushed,
            Poll::Ready(Ok(())) => {
                self.stall.end();
                flushed
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.observed.record(error))),
            Poll::Pending => Poll::Ready(Err(ready!(self.poll_stalled(cx)))),
        }
    }

    /// Waits until the peer has taken nothing for as long as the policy allows.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let settings = self.served.settings();
        let limit = settings.policy.write_idle_timeout();
        ready!(self.stall.poll(limit, &settings.tracker, cx, || transport::unacked(&self.io)));
        self.observed.writes = Writes::TimedOut;
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// The service ends its writes.
    fn end_writes(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.observed.start.half_closed.is_some() || self.observed.owes_half_close {
            return Ok(());
        }
        let result = if self.holds_fin_back() {
            self.observed.owes_half_close = true;
            Ok(())
        } else {
            self.half_close(cx)
        };
        self.served.connection().set(ENDED_WRITES);
        if self.observed.owes_half_close {
            // Who reads in another task is asked to read again, which sends it, or waits until it can be
            // sent.
            self.served.connection().wake_other_reader(cx.waker());
        }
        result
    }

    /// A handler wants no clean end, or the peer's alert ended the session: what follows is for the close.
    fn must_not_notify(&self) -> bool {
        self.observed.start.fatal_alert == Some(Alert::Received)
            || matches!(self.served.connection().wanted(), Override::Abort | Override::Reset)
    }

    fn holds_fin_back(&self) -> bool {
        let holds_back = |policy: &ClosePolicy| policy.holds_fin_back() && !self.observed.is_upgraded();
        let by_policy = match self.served.connection().wanted() {
            Override::Policy(policy) => holds_back(&policy),
            _ => holds_back(&self.served.settings().policy),
        };
        by_policy || self.must_not_notify()
    }

    /// Sends the closure alert and the FIN, or notes that they are owed. Does nothing once they are sent.
    fn half_close(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.observed.start.half_closed.is_some() {
            return Ok(());
        }
        let polled = poll_end_of_writes(&mut self.io, self.observed.start.fatal_alert.is_some(), cx);
        self.observed.owes_half_close = polled.is_pending();
        match polled {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(notified)) => {
                self.observed.start.half_closed = Some(notified);
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(self.observed.record(error)),
        }
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

/// Why reads and writes fail after the server's shutdown deadline.
#[derive(Debug)]
struct CutByShutdown;

impl fmt::Display for CutByShutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server's shutdown deadline cut the connection")
    }
}

impl std::error::Error for CutByShutdown {}

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
