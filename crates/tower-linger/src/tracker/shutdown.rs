//! The end of a server: requests first, then connections, within one deadline.

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::clock::{self, now};
use crate::tracker::summary::Summary;
use crate::tracker::tracker::Tracker;

/// One handle for a server's shutdown. Clones are the same handle.
///
/// The framework is told to stop by [`requested`](Self::requested): it stops accepting and lets its requests
/// finish (`Connection: close`, GOAWAY). The [`Tracker`] lets the connections after them end. Both share one
/// deadline, which runs from the first [`request`](Self::request); a second one cuts what is left, as the
/// second Ctrl-C of an impatient operator should.
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

    /// Asks the server to end; when it was asked before, cuts what is left of it. May be called from
    /// anywhere, also at the same time: one of two calls is the first.
    pub fn request(&self) {
        self.deadline.send_modify(|requested| {
            let limit = if requested.is_some() { Duration::ZERO } else { self.limit };
            let deadline = clock::after(limit);
            self.tracker.set_deadline(deadline);
            *requested = Some(deadline);
        });
    }

    /// Completes when the server is asked to end: for `with_graceful_shutdown`, an accept loop, or the
    /// handler of an upgraded connection, which no HTTP engine tells.
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

    /// Drives the server to its end, at most until the deadline, then waits for its connections: for those
    /// that are still served, and for their closes. At the deadline what is served is cut, as
    /// [`Tracker::shutdown`] says. Returns what the server returned, nothing if it was dropped at the
    /// deadline, and how all connections ended.
    ///
    /// It returns a second after the deadline at the latest. A framework that has let go of its connections'
    /// tasks (`axum::serve` does) ends them when their reads and writes fail; a handler that does neither is
    /// told by the engine.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the server, and stops the cutting.
    pub async fn finish<F: IntoFuture>(&self, serve: F) -> (Option<F::Output>, Summary) {
        let mut serve = Box::pin(serve.into_future());
        let served = self.until_deadline(serve.as_mut()).await;
        if served.is_none() {
            // Before the server is dropped, so that its connections know why.
            self.tracker.cut_served();
        }
        drop(serve);
        self.tracker.wait_and_cut().await;
        (served, self.tracker.summary())
    }

    async fn until_deadline<F: Future>(&self, mut serve: Pin<&mut F>) -> Option<F::Output> {
        let mut alarm = self.tracker.alarmed();
        poll_fn(|cx| {
            if let Poll::Ready(output) = serve.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            let deadline = self.tracker.deadline().unwrap_or_else(|| clock::after(Duration::MAX));
            alarm.poll_at(cx, deadline, now()).map(|()| None)
        })
        .await
    }
}
