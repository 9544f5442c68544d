//! What others than its owner do to a connection while it is served: cut it, wake it, and override its close.

use std::sync::{Arc, PoisonError};
use std::task::Waker;

use linger_proto::{ClosePolicy, Requests};

use crate::serve::way_back::WayBack;
use crate::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::tracker::state::Tracked;

/// One for each served connection, shared by its `LingerIo`, the tracker, and its handlers.
///
/// A read or a write pays one load of the flags; the lock is for what happens once in a connection's life.
#[derive(Default)]
pub(crate) struct Connection {
    flags: AtomicU8,
    /// Whether a handler has wanted something. Most do not, and then nobody has to look under the lock.
    is_overridden: AtomicBool,
    state: Mutex<State>,
    /// Where its close goes.
    pub(super) way_back: WayBack,
    /// What the request-level layer knows of it.
    #[cfg(feature = "http")]
    exchanges: super::exchanges::Exchanges,
}

#[derive(Default)]
struct State {
    /// The tasks that poll the connection, by direction.
    wakers: [Option<Waker>; 2],
    wanted: Override,
}

/// Which half of the connection somebody polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

/// What a handler wants for its connection's end.
#[derive(Debug, Clone, Default)]
pub(crate) enum Override {
    #[default]
    None,
    Policy(Arc<ClosePolicy>),
    Abort,
    Reset,
}

/// No bytes of the peer were read yet.
pub(crate) const FRESH: u8 = 1;
/// The server's shutdown deadline is over: no more reads and writes.
pub(crate) const CUT: u8 = 2;
/// The write side is closed, or owed to be.
pub(crate) const ENDED_WRITES: u8 = 4;
/// Nothing was read since the last response ended: the connection waits for its next request.
#[cfg(feature = "serve")]
pub(crate) const AWAITS_REQUEST: u8 = 16;
/// A write or a flush waits for the peer, and there is a limit on how long.
#[cfg(feature = "serve")]
pub(crate) const WRITE_WAITS: u8 = 32;
/// The connection was upgraded and its service is done, so the layer no longer waits for it.
const PASSED_ON: u8 = 8;

impl Connection {
    pub(crate) fn new() -> Self {
        Self { flags: AtomicU8::new(FRESH), ..Self::default() }
    }

    /// What makes a read or a write more than a plain one. Zero most of the time.
    #[inline]
    pub(crate) fn flags(&self) -> u8 {
        self.flags.load(Ordering::Acquire)
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.flags() & CUT != 0
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.flags() & FRESH != 0
    }

    pub(crate) fn is_passed_on(&self) -> bool {
        self.flags() & PASSED_ON != 0
    }

    pub(crate) fn set(&self, flag: u8) {
        self.flags.fetch_or(flag, Ordering::AcqRel);
    }

    pub(crate) fn clear(&self, flag: u8) {
        self.flags.fetch_and(!flag, Ordering::AcqRel);
    }

    pub(crate) fn pass_on(&self) {
        self.set(PASSED_ON);
    }

    /// Drops the wakers, since nobody polls it any more. Handlers may hold it for longer, and must not keep a
    /// task alive with it.
    pub(crate) fn end(&self) {
        let wakers = std::mem::take(&mut self.lock().wakers);
        drop(wakers);
    }

    /// Registers the task to wake when the connection is cut. To be called before the flags are looked at.
    pub(crate) fn register(&self, side: Side, waker: &Waker) {
        let replaced = self.lock().wakers[side as usize].replace(waker.clone());
        // Dropped outside the lock: it may be the last reference to a task.
        drop(replaced);
    }

    /// Polls the reader again, unless it is the task of this waker.
    pub(crate) fn wake_other_reader(&self, than: &Waker) {
        let reader = self.lock().wakers[Side::Read as usize].clone();
        if let Some(reader) = reader.filter(|reader| !reader.will_wake(than)) {
            reader.wake();
        }
    }

    pub(crate) fn set_override(&self, wanted: Override) {
        self.lock().wanted = wanted;
        self.is_overridden.store(true, Ordering::Release);
    }

    pub(crate) fn wanted(&self) -> Override {
        if self.is_overridden.load(Ordering::Acquire) { self.lock().wanted.clone() } else { Override::None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned state is still a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tracked for Connection {
    fn cut(&self) -> [Option<Waker>; 2] {
        self.set(CUT);
        std::mem::take(&mut self.lock().wakers)
    }
}

impl Connection {
    /// Whether a response on this connection has failed half-way, as far as a request-level layer told.
    #[cfg_attr(not(feature = "http"), allow(clippy::unused_self, reason = "nothing tells it then"))]
    pub(crate) fn has_failed_response(&self) -> bool {
        #[cfg(feature = "http")]
        return self.known_exchanges().is_some_and(super::exchanges::Exchanges::has_failed);
        #[cfg(not(feature = "http"))]
        return false;
    }

    /// What may still come from the client, as far as a request-level layer told.
    #[cfg_attr(not(feature = "http"), allow(clippy::unused_self, reason = "nothing tells it then"))]
    pub(crate) fn requests(&self) -> Requests {
        #[cfg(feature = "http")]
        return self.exchanges.requests();
        #[cfg(not(feature = "http"))]
        return Requests::Unknown;
    }
}

#[cfg(feature = "http")]
impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("exchanges", &self.exchanges).finish_non_exhaustive()
    }
}

#[cfg(feature = "http")]
impl Connection {
    /// What the request-level layer tells about this connection.
    pub(crate) fn exchanges(&self) -> &super::exchanges::Exchanges {
        &self.exchanges
    }

    /// The same, where there was a request.
    pub(crate) fn known_exchanges(&self) -> Option<&super::exchanges::Exchanges> {
        Some(&self.exchanges).filter(|exchanges| exchanges.is_known())
    }
}
