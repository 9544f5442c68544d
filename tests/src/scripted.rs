//! A transport that a test controls, and that counts what is done to it.

use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tower_linger::{Notified, Phase, Transport};

/// Controls a [`Scripted`] transport. Clones control the same transport.
#[derive(Debug, Clone, Default)]
pub struct Script {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    seen: Counts,
    stuck_in: Option<Phase>,
    fails_in: Option<(Phase, io::ErrorKind)>,
    to_send: u64,
    peer_ended: bool,
    waker: Option<Waker>,
}

/// What was done to the transport.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Polls of a flush.
    pub flushes: usize,
    /// Closure alerts sent.
    pub alerts: usize,
    /// Times that the write side was shut down.
    pub fins: usize,
    /// Polls of a discard.
    pub discards: usize,
    /// The smallest limit that a discard was given.
    pub smallest_limit: Option<usize>,
    /// Bytes discarded.
    pub discarded: u64,
    /// Times that the transport was dropped.
    pub drops: usize,
}

impl Script {
    /// A transport whose steps all succeed at once and whose peer is silent.
    #[must_use]
    pub fn new() -> (Self, Scripted) {
        let script = Self::default();
        let io = Scripted { shared: script.shared.clone() };
        (script, io)
    }

    /// What was done to the transport so far.
    #[must_use]
    pub fn seen(&self) -> Counts {
        self.shared.lock().seen.clone()
    }

    /// Makes the steps of this phase wait from now on; with `None`, no step waits.
    pub fn stick(&self, phase: impl Into<Option<Phase>>) {
        self.change(|state| state.stuck_in = phase.into());
    }

    /// Makes the steps of this phase fail from now on.
    pub fn fail(&self, phase: Phase, kind: io::ErrorKind) {
        self.change(|state| state.fails_in = Some((phase, kind)));
    }

    /// Lets the peer send this many bytes.
    pub fn send(&self, bytes: u64) {
        self.change(|state| state.to_send += bytes);
    }

    /// Lets the peer send its FIN.
    pub fn end(&self) {
        self.change(|state| state.peer_ended = true);
    }

    /// Hides the peer's FIN, so that who does not know of it waits for it.
    pub fn hide_end(&self) {
        self.change(|state| state.peer_ended = false);
    }

    /// Wakes the transport's task, although nothing changed.
    pub fn wake(&self) {
        self.change(|_| {});
    }

    /// Waits until what was done to the transport satisfies a condition.
    pub async fn until(&self, mut condition: impl FnMut(&Counts) -> bool) {
        loop {
            let changed = self.shared.changed.notified();
            if condition(&self.seen()) {
                return;
            }
            changed.await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.shared.lock();
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transport that does what its [`Script`] says.
#[derive(Debug)]
pub struct Scripted {
    shared: Arc<Shared>,
}

impl Scripted {
    /// Counts a step, which then waits, fails or succeeds.
    fn step<R>(
        &self,
        phase: Phase,
        cx: &mut Context<'_>,
        count: impl FnOnce(&mut Counts),
        act: impl FnOnce(&mut State) -> Poll<R>,
    ) -> Poll<io::Result<R>> {
        let mut state = self.shared.lock();
        count(&mut state.seen);
        let polled = match (state.stuck_in, state.fails_in) {
            (Some(stuck), _) if stuck == phase => Poll::Pending,
            (_, Some((failing, kind))) if failing == phase => Poll::Ready(Err(kind.into())),
            _ => act(&mut state).map(Ok),
        };
        if polled.is_pending() {
            state.waker = Some(cx.waker().clone());
        }
        drop(state);
        self.shared.changed.notify_waiters();
        polled
    }
}

impl Transport for Scripted {
    type Raw = Self;

    fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Notified>> {
        self.step(
            Phase::Notify,
            cx,
            |_| {},
            |state| {
                state.seen.alerts += 1;
                Poll::Ready(Notified::CloseNotify)
            },
        )
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>, limit: NonZeroUsize) -> Poll<io::Result<usize>> {
        let limit = limit.get();
        let count = |seen: &mut Counts| {
            seen.discards += 1;
            seen.smallest_limit = Some(seen.smallest_limit.map_or(limit, |smallest| smallest.min(limit)));
        };
        self.step(Phase::Drain, cx, count, |state| {
            let taken = state.to_send.min(limit as u64);
            state.to_send -= taken;
            state.seen.discarded += taken;
            match taken {
                0 if !state.peer_ended => Poll::Pending,
                taken => Poll::Ready(usize::try_from(taken).expect("at most the limit")),
            }
        })
    }

    fn into_raw(self) -> Self {
        self
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.lock().seen.drops += 1;
        self.shared.changed.notify_waiters();
    }
}

impl AsyncRead for Scripted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buf.remaining() as u64;
        let polled = self.step(
            Phase::Drain,
            cx,
            |_| {},
            |state| {
                let taken = state.to_send.min(room);
                state.to_send -= taken;
                if taken == 0 && !state.peer_ended { Poll::Pending } else { Poll::Ready(taken) }
            },
        );
        polled.map_ok(|taken| buf.put_slice(&vec![0; usize::try_from(taken).expect("at most the room")]))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.step(Phase::Flush, cx, |_| {}, |_| Poll::Ready(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.step(Phase::Flush, cx, |seen| seen.flushes += 1, |_| Poll::Ready(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.step(
            Phase::HalfClose,
            cx,
            |_| {},
            |state| {
                state.seen.fins += 1;
                Poll::Ready(())
            },
        )
    }
}
