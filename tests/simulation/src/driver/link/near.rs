//! The server's end of the connection: what its transport asks of the kernel.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use linger_proto::Failure;
use tokio::time::Instant;

use super::{Link, Side};

/// What the crate may ask of a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Read,
    Write,
    Flush,
    Notify,
    HalfClose,
    Discard,
    Acknowledged,
}

/// What a peer's session sends besides data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    CloseNotify,
    FatalAlert,
    Garbage,
}

/// So many calls in a row may find nothing to do, at one moment and with no reason for any of them. The crate
/// asks again after each event of its own, of which the link does not know.
const MOST_IDLE_CALLS: u32 = 64;

const EPIPE: i32 = 32;
const ENOTCONN: i32 = 107;

impl Link {
    /// Bytes go to the kernel, as many as it has room for.
    pub(crate) fn send(&self, cx: &Context<'_>, length: u64) -> Poll<io::Result<u64>> {
        let mut state = self.lock();
        if let Some(error) = state.error.take() {
            return Poll::Ready(Err(error));
        }
        if state.is_dead {
            return Poll::Ready(Err(io::Error::from_raw_os_error(EPIPE)));
        }
        if state.seen.fin_at.is_some() {
            drop(state);
            self.broken("something is written after the FIN");
            return Poll::Ready(Err(io::Error::from_raw_os_error(EPIPE)));
        }
        if state.seen.alert_at.is_some() {
            drop(state);
            self.broken("data follow on close_notify");
            return Poll::Ready(Ok(length));
        }
        let room = self.buffers.to_peer - (state.seen.taken - state.seen.acknowledged);
        let taken = room.min(length);
        if taken == 0 && length > 0 {
            state.register(Side::Write, cx);
            return Poll::Pending;
        }
        state.seen.taken += taken;
        drop(state);
        self.changed.notify_one();
        Poll::Ready(Ok(taken))
    }

    /// The closure alert follows what was taken. It needs room like a byte.
    pub(crate) fn send_alert(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if let Some(error) = state.error.take() {
            return Poll::Ready(Err(error));
        }
        if state.is_dead {
            return Poll::Ready(Err(io::Error::from_raw_os_error(EPIPE)));
        }
        if state.seen.fin_at.is_some() || state.seen.alert_at.is_some() {
            drop(state);
            self.broken("close_notify is sent twice, or after the FIN");
            return Poll::Ready(Ok(()));
        }
        if state.seen.taken - state.seen.acknowledged >= self.buffers.to_peer {
            state.register(Side::Write, cx);
            return Poll::Pending;
        }
        state.seen.alert_at = Some(state.seen.taken);
        Poll::Ready(Ok(()))
    }

    pub(crate) fn send_fin(&self) -> io::Result<()> {
        let mut state = self.lock();
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        if state.is_dead {
            return Err(io::Error::from_raw_os_error(ENOTCONN));
        }
        let is_second = state.seen.fin_at.is_some();
        state.seen.end_writes();
        drop(state);
        if is_second {
            self.broken("there is a second FIN");
        }
        self.changed.notify_one();
        Ok(())
    }

    /// How many bytes there are, at most `limit`; zero at the peer's FIN.
    pub(crate) fn receive(&self, cx: &Context<'_>, limit: u64) -> Poll<io::Result<u64>> {
        let mut state = self.lock();
        if let Some(error) = state.error.take() {
            return Poll::Ready(Err(error));
        }
        let received = (state.seen.sent - state.seen.received).min(limit);
        if received == 0 && !state.seen.peer_fin && !state.is_dead {
            state.register(Side::Read, cx);
            return Poll::Pending;
        }
        state.seen.received += received;
        drop(state);
        self.changed.notify_one();
        Poll::Ready(Ok(received))
    }

    /// How far a session can read until something else than data comes.
    pub(crate) fn next_mark(&self) -> Option<(u64, Mark)> {
        let state = self.lock();
        let received = state.seen.received;
        state.marks.iter().find(|(at, _)| *at >= received).map(|(at, mark)| (at - received, *mark))
    }

    pub(crate) fn is_acknowledged(&self, cx: &Context<'_>) -> Poll<Duration> {
        let mut state = self.lock();
        if state.acknowledged_fin && state.seen.acknowledged == state.seen.taken {
            return Poll::Ready(Duration::from_millis(1));
        }
        state.register(Side::Acknowledged, cx);
        Poll::Pending
    }

    pub(crate) fn count(&self, written: u64, discarded: u64) {
        let mut state = self.lock();
        state.seen.written += written;
        state.seen.discarded += discarded;
    }

    /// Whether these bytes are what the service has to send next.
    pub(crate) fn is_next(&self, bytes: &[u8]) -> bool {
        let written = self.lock().seen.written;
        self.response.is(written, bytes)
    }

    /// A call is over. Its error is kept if it is the first, and one of a system call ends the connection.
    pub(crate) fn called<T>(&self, op: Op, polled: &Poll<io::Result<T>>) {
        self.look_for_a_busy_loop(polled.is_pending());
        let Poll::Ready(Err(error)) = polled else { return };
        self.world.count_error();
        self.note(|| format!("{op:?} fails: {error}"));
        let mut state = self.lock();
        let is_truncated = error.kind() == io::ErrorKind::UnexpectedEof && error.raw_os_error().is_none();
        if op == Op::Acknowledged {
            // The system is only asked, and the connection goes on.
            return;
        }
        state.is_dead |= error.raw_os_error().is_some();
        match op {
            _ if is_truncated && matches!(op, Op::Read | Op::Discard) => state.seen.told_fin = true,
            _ if is_truncated => state.seen.ambiguous_error = true,
            _ => {
                state.seen.failure.get_or_insert(Failure::from(error));
            }
        }
    }

    fn look_for_a_busy_loop(&self, is_idle: bool) {
        if self.world.is_over() {
            return;
        }
        let now = Instant::now();
        let mut state = self.lock();
        if !is_idle || state.called_at != Some(now) {
            state.idle_calls = 0;
            state.called_at = Some(now);
        }
        state.idle_calls += u32::from(is_idle);
        let is_busy = state.idle_calls > MOST_IDLE_CALLS;
        if is_busy {
            // Ends the loop.
            state.error = Some(io::Error::from_raw_os_error(EPIPE));
        }
        drop(state);
        if is_busy {
            self.broken("it is polled again and again, without a reason and without a result");
        }
    }

    pub(crate) fn panics(&self) {
        self.lock().seen.panicked = true;
        self.note(|| "the session panics".to_owned());
    }

    /// The transport is dropped.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.seen.drops += 1;
        state.seen.is_closed = true;
        let unread = state.seen.sent - state.seen.received;
        if unread > 0 {
            state.seen.is_reset = true;
        } else {
            state.seen.end_writes();
        }
        let drops = state.seen.drops;
        drop(state);
        self.note(|| format!("the transport is dropped, {unread} bytes are unread"));
        if drops > 1 {
            self.broken("the transport is dropped twice");
        }
        self.changed.notify_one();
    }
}
