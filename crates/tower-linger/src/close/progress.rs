//! Whether our writes make progress. A close is polled for other reasons, too, so a poll alone does not say
//! so.

use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Tells the transport's wake-ups from all others. Costs nothing until something has to wait.
#[derive(Default)]
pub(crate) struct Progress(Option<Arc<Watched>>);

/// A task's waker that remembers that it was used, and how much the peer had not acknowledged before.
struct Watched {
    task: Mutex<Waker>,
    was_woken: AtomicBool,
    unacked: AtomicU64,
}

impl Progress {
    /// Polls the transport with a waker that remembers being used.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let watched = if let Some(watched) = &self.0 {
            watched.follow(cx.waker());
            watched.clone()
        } else {
            if let Poll::Ready(done) = poll(cx) {
                return Poll::Ready(done);
            }
            // Asked again, so that the transport forgets the task's own waker.
            let task = Mutex::new(cx.waker().clone());
            let (was_woken, unacked) = (AtomicBool::new(false), AtomicU64::new(u64::MAX));
            self.0.insert(Arc::new(Watched { task, was_woken, unacked })).clone()
        };
        poll(&mut Context::from_waker(&Waker::from(watched)))
    }

    /// Whether the transport has woken us, or the peer has taken something, since this was asked last. The
    /// system wakes a writer only when a third of its buffer is free; a slow peer may need longer for that
    /// than it may be idle.
    pub(crate) fn take(&self, unacked: impl FnOnce() -> Option<u64>) -> bool {
        let Some(watched) = &self.0 else { return false };
        let unacked = unacked().unwrap_or(u64::MAX);
        let before = watched.unacked.swap(unacked, Ordering::AcqRel);
        watched.was_woken.swap(false, Ordering::AcqRel) || unacked < before
    }
}

impl Watched {
    fn follow(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.will_wake(waker) {
            let replaced = std::mem::replace(&mut *task, waker.clone());
            drop(task);
            drop(replaced);
        }
    }
}

impl Wake for Watched {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.was_woken.store(true, Ordering::Release);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        task.wake();
    }
}
