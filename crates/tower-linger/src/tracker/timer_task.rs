//! One timer for all closes that wait in a runtime: it sleeps until the first of them has waited long enough, and wakes it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;
use tokio::runtime::{Handle, Id};
use tokio::time::Sleep;

use crate::clock::{now, sleep_until};
use crate::tracker::state::Inner;

/// Starts the alarm of a runtime, for as long as somebody waits for it. Returns whether the runtime takes it: one that is shutting
/// down does not.
#[expect(
    clippy::disallowed_methods,
    reason = "it ends with the last close that waits, and when its runtime does"
)]
pub(crate) fn start(runtime: &Handle, tracker: Arc<Inner>) -> bool {
    let refused = Arc::new(AtomicBool::new(false));
    let stands = Stands::NotStarted { refused: refused.clone() };
    let mut alarm = Alarm { tracker, runtime: runtime.id(), sleep: None, stands };
    // Should the runtime have no timers, this panics, and drops the alarm, which tells those who count on it.
    alarm.sleep = Some(sleep_until(now()));
    drop(runtime.spawn(alarm));
    !refused.load(Ordering::Acquire)
}

pin_project! {
    struct Alarm {
        tracker: Arc<Inner>,
        runtime: Id,
        #[pin]
        sleep: Option<Sleep>,
        stands: Stands,
    }

    impl PinnedDrop for Alarm {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            match this.stands {
                Stands::NotStarted { refused } => refused.store(true, Ordering::Release),
                Stands::Running => {}
                Stands::Over => return,
            }
            // Its runtime ends. Whoever waits in it does so for the last time, but a close may be polled from elsewhere.
            let waiting = this.tracker.lock().waiting.silence(*this.runtime);
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

enum Stands {
    NotStarted { refused: Arc<AtomicBool> },
    Running,
    Over,
}

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        *this.stands = Stands::Running;
        loop {
            let (due, next) = this.tracker.lock().waiting.ring(*this.runtime, now(), cx.waker());
            due.into_iter().for_each(Waker::wake);
            let (Some(next), Some(mut sleep)) = (next, this.sleep.as_mut().as_pin_mut()) else {
                *this.stands = Stands::Over;
                return Poll::Ready(());
            };
            sleep.as_mut().reset(next.into());
            ready!(sleep.poll(cx));
        }
    }
}
