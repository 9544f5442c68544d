//! The connection as the services of a simulation hold it: it checks what they read, and remembers what they
//! know of its end.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_linger::{ClosePolicy, CloseReport, LingerIo};

use crate::driver::link::{Link, Seen};
use crate::driver::service::Served;
use crate::driver::transport::Scripted;

/// What is known of one connection from outside the crate.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) link: Arc<Link>,
    facts: Mutex<Facts>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) is_accepted: bool,
    pub(crate) reports: Vec<(CloseReport, Duration)>,
    /// When the service let go of it, and what was known then.
    pub(crate) handed_back: Option<HandedBack>,
    /// When the service's future was over.
    pub(crate) served_until: Option<Duration>,
    /// What the service's future returned.
    pub(crate) returned: Option<Served>,
    /// Its owner waited for that.
    pub(crate) has_returned: bool,
    /// The service took the connection for good.
    pub(crate) taken_away: bool,
    /// Bytes that the service was told to be taken.
    pub(crate) written: u64,
    pub(crate) received: u64,
    pub(crate) last_write: LastWrite,
    /// When the service was last done with reads or writes that had to wait.
    pub(crate) waited_until: Option<Duration>,
    /// The service asked for the end of its writes, and was told that it is done.
    pub(crate) asked_to_end: bool,
    pub(crate) ended_writes: bool,
    pub(crate) wanted: Wanted,
    /// The longest that a close may take by any policy that it may go by.
    pub(crate) longest: Duration,
    /// All policies that it may go by.
    pub(crate) policies: Vec<ClosePolicy>,
    /// The classifier asked for a reset.
    pub(crate) may_reset: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct HandedBack {
    pub(crate) at: Duration,
    pub(crate) seen: Seen,
    pub(crate) by_panic: bool,
    /// The runtime and its clock were gone.
    pub(crate) is_after_the_end: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum LastWrite {
    #[default]
    None,
    Taken,
    Waits,
    /// Any of them failed.
    Failed,
}

/// What was asked for by the handle, last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Wanted {
    #[default]
    Nothing,
    Policy,
    Abort,
    Reset,
}

impl Record {
    pub(crate) fn new(link: Arc<Link>, policy: ClosePolicy) -> Arc<Self> {
        let record = Self { link, facts: Mutex::default() };
        record.may_go_by(policy);
        Arc::new(record)
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn may_go_by(&self, policy: ClosePolicy) {
        let mut facts = self.facts();
        facts.longest = facts.longest.max(policy.longest());
        facts.policies.push(policy);
    }

    pub(crate) fn hand_back(&self) {
        let (at, seen) = (self.link.world.elapsed(), self.link.seen());
        let by_panic = std::thread::panicking();
        self.link.note(|| format!("the service lets go of it (by a panic: {by_panic})"));
        let is_after_the_end = self.link.world.is_over();
        self.facts().handed_back = Some(HandedBack { at, seen, by_panic, is_after_the_end });
    }
}

/// A connection that a service has.
#[derive(Debug)]
pub(crate) struct Held {
    io: Option<LingerIo<Scripted>>,
    pub(crate) record: Arc<Record>,
}

impl Held {
    pub(crate) fn new(io: LingerIo<Scripted>, record: Arc<Record>) -> Self {
        Self { io: Some(io), record }
    }

    pub(crate) fn io(&self) -> &LingerIo<Scripted> {
        self.io.as_ref().expect(HELD)
    }

    pub(crate) fn take_away(mut self) -> Scripted {
        self.record.facts().taken_away = true;
        self.io.take().expect(HELD).into_inner()
    }

    fn pinned(&mut self) -> Pin<&mut LingerIo<Scripted>> {
        Pin::new(self.io.as_mut().expect(HELD))
    }

    fn note_write(&self, written: &Poll<io::Result<usize>>) {
        let mut facts = self.record.facts();
        facts.last_write = match written {
            Poll::Ready(Ok(count)) => {
                facts.written += *count as u64;
                if facts.last_write == LastWrite::Failed { LastWrite::Failed } else { LastWrite::Taken }
            }
            // A write after the end of writes is the service's mistake, and tells nothing.
            Poll::Ready(Err(_)) if facts.asked_to_end => facts.last_write,
            Poll::Ready(Err(_)) => LastWrite::Failed,
            Poll::Pending => LastWrite::Waits,
        };
    }
}

const HELD: &str = "it is there until it is taken away";

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(io) = self.io.take() {
            self.record.hand_back();
            drop(io);
        }
    }
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.pinned().poll_read(cx, buf))?;
        let bytes = &buf.filled()[before..];
        let from = self.record.facts().received;
        if !self.record.link.request.is(from, bytes) {
            self.record.link.broken("the service reads something else than the peer sent");
        }
        self.record.facts().received += bytes.len() as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Held {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.pinned().poll_write(cx, buf);
        self.note_write(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.pinned().poll_write_vectored(cx, bufs);
        self.note_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.record.facts().asked_to_end = true;
        let ended = ready!(self.pinned().poll_shutdown(cx));
        self.record.facts().ended_writes |= ended.is_ok();
        Poll::Ready(ended)
    }
}
