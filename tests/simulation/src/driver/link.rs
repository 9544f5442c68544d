//! A connection between two kernels that are not real: buffers, acknowledgements, FIN and RST.
//!
//! What matters here for a close is as in TCP: a socket that is closed while bytes are unread, or to which
//! more are sent later, answers with a reset, and that takes from the peer what its application has not
//! read yet.

mod far;
mod near;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use linger_proto::Failure;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use self::near::{Mark, Op};
use crate::driver::content::Content;
use crate::driver::world::World;

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) world: Arc<World>,
    pub(crate) id: usize,
    pub(crate) buffers: Buffers,
    /// What the server writes.
    pub(crate) response: Content,
    /// What the peer sends.
    pub(crate) request: Content,
    state: Mutex<State>,
    /// Something happened that the peer may have waited for.
    changed: Notify,
}

/// How many bytes each direction holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buffers {
    pub(crate) to_peer: u64,
    pub(crate) to_server: u64,
}

#[derive(Debug, Default)]
struct State {
    seen: Seen,
    /// Where marks stand in what the peer sends.
    marks: Vec<(u64, Mark)>,
    /// An error that the next call gets. It is told once.
    error: Option<io::Error>,
    /// An error was told: reads find the end, and writes fail.
    is_dead: bool,
    acknowledged_fin: bool,
    wakers: [Option<Waker>; 3],
    called_at: Option<Instant>,
    idle_calls: u32,
}

/// What has happened on the connection. Bytes are counted from its beginning.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    /// What the service's writes were told to be taken. A session may still hold some of it.
    pub(crate) written: u64,
    /// What the server's kernel has taken.
    pub(crate) taken: u64,
    pub(crate) acknowledged: u64,
    /// What the peer's application has read.
    pub(crate) read_by_peer: u64,
    /// After how many bytes the closure alert and the FIN left.
    pub(crate) alert_at: Option<u64>,
    pub(crate) fin_at: Option<u64>,
    /// What the peer's application has sent, and whether a FIN followed.
    pub(crate) sent: u64,
    pub(crate) peer_fin: bool,
    pub(crate) peer_notified: bool,
    /// It has sent what ends a session: a fatal alert, or garbage.
    pub(crate) spoiled: bool,
    /// An error said that there was a FIN, as sessions say it.
    pub(crate) told_fin: bool,
    /// What was read of that, by the service and by the close.
    pub(crate) received: u64,
    pub(crate) discarded: u64,
    /// The transport was dropped: how often, and how much was unread.
    pub(crate) drops: u32,
    pub(crate) is_closed: bool,
    /// The peer got a reset, and lost what it had not read.
    pub(crate) is_reset: bool,
    /// The peer has reset the connection.
    pub(crate) reset_by_peer: bool,
    pub(crate) failure: Option<Failure>,
    /// An error occurred of which it depends on the call whether it is a failure.
    pub(crate) ambiguous_error: bool,
    pub(crate) panicked: bool,
}

impl Seen {
    fn end_writes(&mut self) {
        self.fin_at.get_or_insert(self.taken);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
    Acknowledged,
}

impl Link {
    pub(crate) fn new(
        world: Arc<World>,
        id: usize,
        buffers: Buffers,
        [request, response]: [Content; 2],
    ) -> Arc<Self> {
        let (state, changed) = (Mutex::default(), Notify::new());
        Arc::new(Self { world, id, buffers, response, request, state, changed })
    }

    pub(crate) fn seen(&self) -> Seen {
        self.lock().seen.clone()
    }

    pub(crate) fn note(&self, what: impl FnOnce() -> String) {
        self.world.note(Some(self.id), what);
    }

    pub(crate) fn broken(&self, what: &str) {
        self.world.broken(Some(self.id), what);
    }

    /// Wakes whoever waits on this side, for a reason or without one.
    pub(crate) fn wake(&self, side: Side) {
        let waker = {
            let mut state = self.lock();
            state.idle_calls = 0;
            state.wakers[side as usize].take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Somebody is woken by another way than this link.
    pub(crate) fn had_a_reason(&self) {
        self.lock().idle_calls = 0;
    }

    pub(crate) fn has_failed(&self) -> bool {
        let state = self.lock();
        state.is_dead || state.seen.failure.is_some() || state.seen.ambiguous_error || state.seen.panicked
    }

    /// Registers the task for the next wake-up of this side.
    pub(crate) fn wait(&self, side: Side, cx: &Context<'_>) {
        self.lock().register(side, cx);
    }

    pub(crate) fn wake_all(&self) {
        for side in [Side::Read, Side::Write, Side::Acknowledged] {
            self.wake(side);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn register(&mut self, side: Side, cx: &Context<'_>) {
        self.wakers[side as usize] = Some(cx.waker().clone());
    }
}
