//! The end of a server: requests first, then connections, within one deadline.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::clock::{now, sleep_until};
use crate::tracker::summary::Summary;
use crate::tracker::tracker::Tracker;

/// One handle for a server's shutdown. Clones are the same handle.
///
/// The framework is told to stop by [`requested`](Self::requested): it stops accepting and lets its requests finish
/// (`Connection: close`, GOAWAY). The [`Tracker`] lets the connections after them end. Both share one deadline, which runs
/// from the first [`request`](Self::request); a second one cuts what is left, as the second Ctrl-C of an impatient
/// operator should.
///
/// ```no_run
/// use std::time::Duration;
/// use tower_linger::{LingerLayer, Shutdown};
///
/// # async fn run(serve: impl Future<Output = std::io::Result<()>>) -> std::io::Result<()> {
/// let linger = LingerLayer::default();
/// let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
/// let signals = shutdown.clone();
/// tokio::spawn(async move {
///     loop {
///         // tokio::signal::ctrl_c().await.ok();
///         signals.request();
/// #       break;
///     }
/// });
/// // let serve = axum::serve(listener, app).with_graceful_shutdown(shutdown.requested());
/// let (served, summary) = shutdown.finish(serve).await;
/// println!("{summary}");
/// served.unwrap_or(Ok(()))
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Shutdown {
    tracker: Tracker,
    limit: Duration,
    deadline: watch::Sender<Option<Instant>>,
}

impl Shutdown {
    /// Ends the closes of this tracker, and the server in front of it, within `limit` of the request.
    #[must_use]
    pub fn new(tracker: Tracker, limit: Duration) -> Self {
        Self { tracker, limit, deadline: watch::Sender::new(None) }
    }

    /// Asks the server to end; when it was asked before, cuts what is left of it. May be called from anywhere.
    pub fn request(&self) {
        let again = self.deadline.borrow().is_some();
        let limit = if again { Duration::ZERO } else { self.limit };
        let deadline = now() + limit;
        self.tracker.set_deadline(deadline);
        self.deadline.send_replace(Some(deadline));
    }

    /// Completes when the server is asked to end: for `with_graceful_shutdown`, or an accept loop.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub fn requested(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut deadline = self.deadline.subscribe();
        async move {
            // The handle that the server holds on to is a sender, so there is no error but at the very end.
            let _ = deadline.wait_for(Option::is_some).await;
        }
    }

    /// Drives the server to its end, at most until the deadline, then waits for the closes of its connections. Returns what
    /// the server returned, nothing if it was cut, and how all closes ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the server.
    pub async fn finish<F: Future>(&self, serve: F) -> (Option<F::Output>, Summary) {
        let served = self.until_deadline(pin!(serve)).await;
        self.tracker.wait().await;
        (served, self.tracker.summary())
    }

    async fn until_deadline<F: Future>(&self, mut serve: Pin<&mut F>) -> Option<F::Output> {
        let mut requests = self.deadline.subscribe();
        loop {
            let deadline = *requests.borrow_and_update();
            let mut request = pin!(requests.changed());
            let mut timer = pin!(deadline.map(sleep_until));
            let served = poll_fn(|cx| {
                if let Poll::Ready(output) = serve.as_mut().poll(cx) {
                    return Poll::Ready(Some(Some(output)));
                }
                let over = timer.as_mut().as_pin_mut().is_some_and(|timer| timer.poll(cx).is_ready());
                if over {
                    return Poll::Ready(Some(None));
                }
                request.as_mut().poll(cx).map(|_| None)
            })
            .await;
            if let Some(served) = served {
                return served;
            }
        }
    }
}
