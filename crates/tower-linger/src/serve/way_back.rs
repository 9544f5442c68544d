//! Where a close waits for the future that is to go on with it.

use std::any::Any;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use crate::sync::{Mutex, MutexGuard};

/// A connection's way back to the future that waits for it. There is no room for the close in it until there
/// is one: most connections are idle for most of their lives.
#[derive(Default)]
pub(crate) struct WayBack(Mutex<State>);

#[derive(Default)]
enum State {
    /// Nobody waits, or not any more.
    #[default]
    Unawaited,
    /// A future waits. This wakes it, if it was polled for that.
    Awaited(Option<Waker>),
    /// What has come back.
    Back(Erased),
    /// It does not come back, or the future has it.
    Over,
}

/// A close, whose type only the future knows.
pub(crate) type Erased = Box<dyn Any + Send>;

impl WayBack {
    /// From now on somebody waits.
    pub(super) fn begin(&self) {
        *self.lock() = State::Awaited(None);
    }

    /// Sends this back, if somebody waits. Otherwise it is not called.
    pub(super) fn send(&self, back: impl FnOnce() -> Option<Erased>) {
        self.change(|| back().map_or(State::Over, State::Back));
    }

    /// Nothing comes back.
    pub(super) fn forget(&self) {
        self.change(|| State::Over);
    }

    fn change(&self, to: impl FnOnce() -> State) {
        let mut state = self.lock();
        let State::Awaited(waker) = &mut *state else { return };
        let waker = waker.take();
        *state = to();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// What has come back; `None` if nothing does.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Option<Erased>> {
        let mut state = self.lock();
        if let State::Awaited(waker) = &mut *state {
            let replaced = waker.replace(cx.waker().clone());
            // Dropped outside the lock: it may be the last reference to a task.
            drop(state);
            drop(replaced);
            return Poll::Pending;
        }
        Poll::Ready(std::mem::replace(&mut *state, State::Over).back())
    }

    /// Nobody waits any more. Returns what has come back meanwhile.
    pub(super) fn end(&self) -> Option<Erased> {
        let state = std::mem::take(&mut *self.lock());
        state.back()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned state is still a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn back(self) -> Option<Erased> {
        match self {
            Self::Back(back) => Some(back),
            Self::Unawaited | Self::Awaited(_) | Self::Over => None,
        }
    }
}
