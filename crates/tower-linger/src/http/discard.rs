//! Discards the rest of a request's body after its answer, on a stream of HTTP/2.

use std::collections::HashSet;
use std::future::Future;
use std::panic;
use std::pin::Pin;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Buf;
use http_body::Body;
use linger_proto::ClosePolicy;
use pin_project_lite::pin_project;
use tokio::runtime::{Handle, Id};

use crate::clock::{after, now, sleep_until};
use crate::sync::Sleep;

/// How many frames are discarded before other tasks run.
const FRAMES_PER_POLL: usize = 32;

/// Discards the body in a task of its own, within the bounds that the default [`ClosePolicy`] has for a
/// drain. hyper resets the stream when the body is dropped, and a client that still sends may then lose its
/// answer. Outside of a runtime, or in one without timers, the body is dropped at once, as without the layer.
#[expect(clippy::disallowed_methods, reason = "it ends with its body, and when the drain limit is reached")]
pub(super) fn spawn<B: Body + Send + Unpin + 'static>(body: B) {
    let policy = ClosePolicy::default();
    let silence = policy.drain_idle_timeout();
    let Ok(runtime) = Handle::try_current() else { return };
    let Some(idle) = sleep_in(runtime.id(), silence) else { return };
    let (left, until) = (policy.drain_limit_bytes(), after(policy.drain_limit()));
    drop(runtime.spawn(Discard { body, left, until, silence, idle }));
}

/// A timer of the current runtime, if it has timers. If it has none, tokio panics; such a runtime is
/// remembered and not tried again.
fn sleep_in(runtime: Id, time: Duration) -> Option<Sleep> {
    static TIMELESS: LazyLock<Mutex<HashSet<Id>>> = LazyLock::new(Mutex::default);
    let timeless = || TIMELESS.lock().unwrap_or_else(PoisonError::into_inner);
    if timeless().contains(&runtime) {
        return None;
    }
    let sleep = panic::catch_unwind(|| sleep_until(after(time))).ok();
    if sleep.is_none() {
        timeless().insert(runtime);
    }
    sleep
}

pin_project! {
    /// Completes when the body has ended or failed, or when a bound is reached.
    struct Discard<B> {
        body: B,
        left: u64,
        until: Instant,
        silence: Duration,
        #[pin]
        idle: Sleep,
    }
}

impl<B: Body + Unpin> Future for Discard<B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        for _ in 0..FRAMES_PER_POLL {
            let Poll::Ready(frame) = Pin::new(&mut *this.body).poll_frame(cx) else {
                return this.idle.poll(cx);
            };
            let Some(Ok(frame)) = frame else { return Poll::Ready(()) };
            let bytes = frame.data_ref().map_or(0, |data| data.remaining() as u64);
            let now = now();
            if bytes > *this.left || now >= *this.until {
                return Poll::Ready(());
            }
            *this.left -= bytes;
            this.idle.as_mut().reset((now + *this.silence).min(*this.until).into());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
