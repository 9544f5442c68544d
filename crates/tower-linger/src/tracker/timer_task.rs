//! One timer for all closes that wait in a runtime: it sleeps until the first of them has waited long enough,
//! and wakes it.

use std::future::Future;
use std::panic;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Instant;

use pin_project_lite::pin_project;

use crate::clock::{now, park_until, sleep_until};
use crate::sync::Sleep;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::runtime::{Handle, Id};
use crate::sync::thread::{self, Thread};
use crate::tracker::timers::Timers;

/// Timers and the lock that they are under.
pub(crate) trait LockTimers: Send + Sync + 'static {
    fn with_timers<R>(&self, act: impl FnOnce(&mut Timers) -> R) -> R;
}

/// Starts the timer of the current runtime: a task, or a thread where the runtime has no timers. It ends when
/// nobody waits for it any more. Returns whether it was started: a runtime that is shutting down takes no
/// tasks.
pub(crate) fn start(runtime: &Handle, tracker: Arc<impl LockTimers>) -> bool {
    let refused = Arc::new(AtomicBool::new(false));
    let sleep = sleep_in(runtime.id(), &*tracker);
    let state = State::NotStarted { refused: refused.clone() };
    let served = Served { tracker, runtime: runtime.id(), state };
    match sleep {
        Some(sleep) => spawn_task(runtime, served, sleep),
        None => spawn_thread(served),
    }
    !refused.load(Ordering::Acquire)
}

/// A timer of the current runtime, if it has timers. Tokio tells that only by a panic, so each runtime is
/// asked once; the panic hook, which prints a message, sees that. Where panics abort the process, this one
/// does too.
fn sleep_in(runtime: Id, tracker: &impl LockTimers) -> Option<Sleep> {
    if tracker.with_timers(|timers| timers.is_timeless(runtime)) {
        return None;
    }
    let sleep = panic::catch_unwind(|| sleep_until(now())).ok();
    if sleep.is_none() {
        tracker.with_timers(|timers| timers.set_timeless(runtime));
    }
    sleep
}

#[expect(
    clippy::disallowed_methods,
    reason = "it ends with the last close that waits, and when its runtime does"
)]
fn spawn_task(runtime: &Handle, served: Served<impl LockTimers>, sleep: Sleep) {
    drop(runtime.spawn(TimerTask { served, sleep }));
}

#[expect(clippy::disallowed_methods, reason = "it ends with the last close that waits")]
fn spawn_thread(mut served: Served<impl LockTimers>) {
    let name = "tower-linger".to_owned();
    // If there can be no thread, dropping `served` says so.
    let _ = thread::Builder::new().name(name).spawn(move || {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        while let Some(next) = served.expire(&waker) {
            park_until(next);
        }
    });
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pin_project! {
    struct TimerTask<L: LockTimers> {
        served: Served<L>,
        #[pin]
        sleep: Sleep,
    }
}

impl<L: LockTimers> Future for TimerTask<L> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        while let Some(next) = this.served.expire(cx.waker()) {
            this.sleep.as_mut().reset(next.into());
            ready!(this.sleep.as_mut().poll(cx));
        }
        Poll::Ready(())
    }
}

/// The closes of one runtime, as served by its timer.
struct Served<L: LockTimers> {
    tracker: Arc<L>,
    runtime: Id,
    state: State,
}

enum State {
    NotStarted { refused: Arc<AtomicBool> },
    Running,
    Done,
}

impl<L: LockTimers> Served<L> {
    /// Wakes those whose time is up. Returns when to do it again; none if nobody waits any more.
    fn expire(&mut self, timer: &Waker) -> Option<Instant> {
        self.state = State::Running;
        let (due, next) = self.tracker.with_timers(|timers| timers.expire(self.runtime, now(), timer));
        if next.is_none() {
            // Before anyone is woken: a close that waits again has to find no timer, and starts another.
            self.state = State::Done;
        }
        due.into_iter().for_each(Waker::wake);
        next
    }
}

impl<L: LockTimers> Drop for Served<L> {
    fn drop(&mut self) {
        match &self.state {
            State::NotStarted { refused } => refused.store(true, Ordering::Release),
            State::Running => {}
            State::Done => return,
        }
        // The runtime ends. The closes that wait in it are about to be dropped, but may be polled elsewhere.
        let waiting = self.tracker.with_timers(|timers| timers.remove_runtime(self.runtime));
        waiting.into_iter().for_each(Waker::wake);
    }
}
