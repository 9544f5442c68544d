//! The reads and writes of a connection that is served. What every one of them pays is inlined; the rest is
//! in cold functions.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::ReadBuf;

use crate::serve::connection::{CUT, ENDED_WRITES, FRESH, Side};
use crate::serve::observed::{Observed, Writes};
use crate::serve::served::Served;
use crate::serve::stall::Stall;
use crate::transport::{self, Transport};

/// A connection that its service has.
pub(super) struct Loan<T: Transport> {
    pub(super) io: T,
    pub(super) served: Served,
    pub(super) observed: Observed,
    /// Whose wakers the connection has, by side.
    polled_by: [WakerId; 2],
    pub(super) stall: Stall,
    #[cfg(feature = "http")]
    registration: Option<crate::serve::by_task::Registration>,
}

/// Tells wakers apart without holding one. These addresses are only compared. They are unique, because the
/// connection holds a clone of the waker for as long. No waker has the addresses of the default.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct WakerId(usize, usize);

impl WakerId {
    #[inline]
    fn of(waker: &Waker) -> Self {
        Self(waker.data() as usize, std::ptr::from_ref(waker.vtable()) as usize)
    }
}

impl<T: Transport> Loan<T> {
    pub(super) fn new(io: T, served: Served) -> Self {
        Self {
            io,
            served,
            observed: Observed::default(),
            polled_by: [WakerId::default(); 2],
            stall: Stall::default(),
            #[cfg(feature = "http")]
            registration: None,
        }
    }

    /// Whether another task than before polls this side. It has to be registered, to be woken when the
    /// connection is cut.
    #[inline]
    pub(super) fn is_polled_anew(&self, side: Side, cx: &Context<'_>) -> bool {
        self.polled_by[side as usize] != WakerId::of(cx.waker())
    }

    /// Registers the task that polls, and fails if the connection is cut.
    #[cold]
    #[inline(never)]
    pub(super) fn look_for_the_cut(&mut self, side: Side, cx: &Context<'_>) -> io::Result<()> {
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

    /// Reads, and notes the end of the data or a failure. If bytes came, that costs one comparison.
    #[inline]
    pub(super) fn poll_read_noted(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.remaining();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        let left = buf.remaining();
        self.observed.has_read_all = left > 0;
        match polled {
            Poll::Ready(result) if left == room => self.observed.note_read(&self.io, result, buf),
            polled => polled,
        }
    }

    /// A read by another task than before, before the first bytes of the connection or, where somebody wants
    /// to know, of a request, after our own half-close, or after the cut.
    #[cold]
    #[inline(never)]
    pub(super) fn poll_read_unusual(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.look_for_the_cut(Side::Read, cx)?;
        let flags = self.served.connection().flags();
        if self.observed.owes_half_close && !self.must_not_notify() {
            // A service that goes on reading is a tunnel. A failure is only recorded, since this read is of
            // the other direction.
            let _ = self.half_close(cx);
        }
        let before = buf.filled().len();
        let polled = self.poll_read_noted(cx, buf);
        if flags & FRESH != 0 {
            self.note_first_read(&buf.filled()[before..]);
        }
        #[cfg(feature = "serve")]
        if buf.filled().len() > before {
            self.served.connection().clear(crate::serve::connection::AWAITS_REQUEST);
        }
        polled
    }

    fn note_first_read(&mut self, bytes: &[u8]) {
        #[cfg(feature = "http")]
        if self.registration.is_none() {
            self.registration = Some(crate::serve::by_task::register(self.served.connection()));
        }
        if !bytes.is_empty() {
            self.observed.note_first_bytes(bytes);
            self.served.connection().clear(FRESH);
        }
    }

    #[inline]
    pub(super) fn before_write(&mut self, cx: &Context<'_>) -> io::Result<()> {
        let unusual = self.served.connection().flags() & (CUT | ENDED_WRITES) != 0;
        if unusual || self.is_polled_anew(Side::Write, cx) { self.before_unusual_write(cx) } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn before_unusual_write(&mut self, cx: &Context<'_>) -> io::Result<()> {
        self.look_for_the_cut(Side::Write, cx).inspect_err(|_| self.observed.writes = Writes::Blocked)?;
        if self.served.connection().flags() & ENDED_WRITES != 0 {
            // This is the service's mistake, not the peer's: nothing is recorded.
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }

    #[inline]
    pub(super) fn after_write(
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
                self.observed.writes = match self.observed.writes {
                    // What was written is not whole, although this write succeeded.
                    failed @ (Writes::Failed | Writes::TimedOut) => failed,
                    Writes::None | Writes::Taken | Writes::Blocked => Writes::Taken,
                };
                self.end_stall();
                written
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.observed.record_write::<T>(error))),
            Poll::Pending => {
                self.observed.writes = Writes::Blocked;
                Poll::Ready(Err(ready!(self.poll_stalled(cx))))
            }
        }
    }

    /// A flush that failed, has to wait, or ends a wait.
    #[cold]
    #[inline(never)]
    pub(super) fn after_unusual_flush(
        &mut self,
        cx: &mut Context<'_>,
        flushed: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        match flushed {
            // Most transports have nothing to flush, so this says nothing about the write that waits.
            Poll::Ready(Ok(())) if self.observed.writes == Writes::Blocked => flushed,
            Poll::Ready(Ok(())) => {
                self.end_stall();
                flushed
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.observed.record::<T>(error))),
            Poll::Pending => Poll::Ready(Err(ready!(self.poll_stalled(cx)))),
        }
    }

    fn end_stall(&mut self) {
        if self.stall.end() {
            #[cfg(feature = "serve")]
            self.served.connection().clear(crate::serve::connection::WRITE_WAITS);
        }
    }

    /// Completes when the peer has taken nothing for as long as the policy allows.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let limit = self.served.write_idle_timeout();
        #[cfg(feature = "serve")]
        if limit.is_some() {
            self.served.connection().set(crate::serve::connection::WRITE_WAITS);
        }
        let tracker = &self.served.settings().tracker;
        ready!(self.stall.poll(limit, tracker, cx, || transport::unacked(&self.io)));
        self.observed.writes = Writes::TimedOut;
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
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
