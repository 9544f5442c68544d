//! A transport whose other end, and whose faults, are drawn.

use std::error::Error;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_linger::session::SessionEnd;
use tower_linger::{Notified, Transport};

use crate::driver::Sabotage;
use crate::driver::faults::{Fate, Faults};
use crate::driver::link::{Link, Op};
use crate::driver::session::{AlertReceived, Session};

/// The server's end of a [`Link`], with a session of its own or without.
pub(crate) struct Scripted {
    link: Arc<Link>,
    faults: Faults,
    session: Option<Session>,
    is_vectored: bool,
}

impl Scripted {
    pub(crate) fn new(link: Arc<Link>, faults: Faults, session: Option<Session>, is_vectored: bool) -> Self {
        Self { link, faults, session, is_vectored }
    }

    /// One call: drawn faults first. `act` does it, with so many bytes at most.
    fn call<R>(
        &mut self,
        op: Op,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut Self, &mut Context<'_>, u64) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let polled = match self.faults.fate(op, &self.link, cx) {
            Fate::Goes => act(self, cx, u64::MAX),
            Fate::Short(most) => act(self, cx, most),
            Fate::Waits => Poll::Pending,
            Fate::Fails(error) => Poll::Ready(Err(error)),
        };
        self.link.called(op, &polled);
        if polled.is_pending() && self.sabotage() == Sabotage::BusyLoop {
            cx.waker().wake_by_ref();
        }
        polled
    }

    fn sabotage(&self) -> Sabotage {
        self.link.world.sabotage
    }

    fn receive(&mut self, cx: &Context<'_>, limit: u64) -> Poll<io::Result<u64>> {
        match &mut self.session {
            Some(session) => session.receive(&self.link, cx, limit),
            None => self.link.receive(cx, limit),
        }
    }

    fn write(&mut self, cx: &Context<'_>, bytes: &[u8], most: u64) -> Poll<io::Result<usize>> {
        let length = most.min(bytes.len() as u64);
        let taken = match &mut self.session {
            Some(session) => ready!(session.write(&self.link, cx, length))?,
            None => ready!(self.link.send(cx, length))?,
        };
        let taken = usize::try_from(taken).unwrap_or(usize::MAX);
        if !self.link.is_next(&bytes[..taken]) {
            self.link.broken("what is written is not what the service wrote");
        }
        self.link.count(taken as u64, 0);
        Poll::Ready(Ok(taken))
    }
}

impl Transport for Scripted {
    type Raw = Self;

    fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Notified>> {
        self.call(Op::Notify, cx, |this, cx, _| match &mut this.session {
            Some(session) => session.notify(&this.link, cx),
            None => Poll::Ready(Ok(Notified::Nothing)),
        })
    }

    fn poll_half_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.call(Op::HalfClose, cx, |this, cx, _| {
            if let Some(session) = &mut this.session {
                ready!(session.write_rest(&this.link, cx))?;
            }
            let sent = this.link.send_fin();
            if this.sabotage() == Sabotage::SecondFin {
                let _ = this.link.send_fin();
            }
            this.link.note(|| "FIN".to_owned());
            Poll::Ready(sent)
        })
    }

    fn session_end(error: &io::Error) -> Option<SessionEnd> {
        if error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<AlertReceived>) {
            return Some(SessionEnd::AlertReceived);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof if error.raw_os_error().is_none() => Some(SessionEnd::Truncated),
            io::ErrorKind::InvalidData => Some(SessionEnd::AlertSent),
            _ => None,
        }
    }

    fn ends_with_notify(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.style.ends_with_notify)
    }

    fn met_fin(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.met_fin)
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>, limit: NonZeroUsize) -> Poll<io::Result<usize>> {
        let limit = limit.get() as u64;
        self.call(Op::Discard, cx, |this, cx, most| {
            let limit = match this.sabotage() {
                Sabotage::NoDrain => return Poll::Ready(Ok(0)),
                Sabotage::OverLimit => 2 * limit,
                _ => limit.min(most),
            };
            let discarded = ready!(this.receive(cx, limit))?;
            this.link.count(0, discarded);
            this.link.note(|| format!("{discarded} bytes are discarded"));
            Poll::Ready(Ok(usize::try_from(discarded).unwrap_or(usize::MAX)))
        })
    }

    fn poll_acknowledged(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Duration>> {
        self.call(Op::Acknowledged, cx, |this, cx, _| this.link.is_acknowledged(cx).map(Ok))
    }

    fn into_raw(mut self) -> Self {
        if let Some(session) = self.session.take() {
            session.end(&self.link);
        }
        self
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.link.close();
        if self.sabotage() == Sabotage::SecondDrop {
            self.link.close();
        }
    }
}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.remaining() as u64;
        self.call(Op::Read, cx, |this, cx, most| {
            let from = this.link.seen().received;
            let received = match this.receive(cx, room.min(most)) {
                Poll::Ready(Err(_)) if this.sabotage() == Sabotage::SwallowedError => 0,
                received => ready!(received)?,
            };
            let received = usize::try_from(received).unwrap_or(usize::MAX);
            let mut filled = 0;
            while filled < received {
                let rest = buf.initialize_unfilled_to(received - filled);
                let count = this.link.request.fill(from + filled as u64, rest);
                buf.advance(count);
                filled += count;
            }
            Poll::Ready(Ok(()))
        })
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.call(Op::Write, cx, |this, cx, most| this.write(cx, buf, most))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: Vec<_> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        self.call(Op::Write, cx, |this, cx, most| this.write(cx, &bytes, most))
    }

    fn is_write_vectored(&self) -> bool {
        self.is_vectored
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.call(Op::Flush, cx, |this, cx, most| match &mut this.session {
            Some(session) => session.flush(&this.link, cx, most),
            None => Poll::Ready(Ok(())),
        })
    }

    /// As a session of TLS does it: alert and FIN.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.poll_notify(cx))? {
            Notified::CloseNotifyAndFin => Poll::Ready(Ok(())),
            Notified::Nothing | Notified::CloseNotify => self.poll_half_close(cx),
        }
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted").field("session", &self.session).finish_non_exhaustive()
    }
}
