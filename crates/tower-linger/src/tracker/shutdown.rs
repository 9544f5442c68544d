//! The end of a server: requests first, then connections, within one deadline.

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::clock::{self, now};
use crate::tracker::summary::Summary;
use crate::tracker::tracker::Tracker;

/// The end of one server. `main` owns it and hands the server to [`finish`](Self::finish); tasks and handlers
/// get a [`ShutdownHandle`] from [`handle`](Self::handle).
///
/// [`requested`](Self::requested) tells the framework to stop accepting and to finish its requests
/// (`Connection: close`, GOAWAY). Then the [`Tracker`] waits for the connections. Both share one deadline,
/// which runs from the first [`request`](ShutdownHandle::request). A second request cuts what is left, as the
/// second Ctrl-C of an impatient operator should.
///
/// ```no_run
/// use std::time::Duration;
/// use tower_linger::{LingerLayer, Shutdown};
///
/// # async fn run(serve: impl Future<Output = std::io::Result<()>>) -> std::io::Result<()> {
/// let linger = LingerLayer::default();
/// let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
/// let signals = shutdown.handle();
/// tokio::spawn(async move {
///     while tokio::signal::ctrl_c().await.is_ok() {
///         signals.request();
///     }
/// });
/// // let serve = axum::serve(listener, app).with_graceful_shutdown(shutdown.requested());
/// let (served, summary) = shutdown.finish(serve).await;
/// println!("{summary}");
/// served.unwrap_or(Ok(()))
/// # }
/// ```
///
/// It cannot be cloned, so that a server is finished once:
///
/// ```compile_fail,E0599
/// let shutdown = tower_linger::Shutdown::new(Default::default(), std::time::Duration::from_secs(10));
/// let second = shutdown.clone();
/// ```
#[derive(Debug)]
pub struct Shutdown {
    handle: ShutdownHandle,
}

/// Requests a server's shutdown, and tells when it was requested. Made by [`Shutdown::handle`]; clones are
/// the same handle.
#[derive(Debug, Clone)]
pub struct ShutdownHandle {
    tracker: Tracker,
    limit: Duration,
    deadline: watch::Sender<Option<Instant>>,
}

impl Shutdown {
    /// Gives the server and the connections of this tracker `limit` to end, from the first request on.
    #[must_use]
    pub fn new(tracker: Tracker, limit: Duration) -> Self {
        Self { handle: ShutdownHandle { tracker, limit, deadline: watch::Sender::new(None) } }
    }

    /// What a signal task needs to request the shutdown, and a handler to hear of it.
    #[must_use]
    pub fn handle(&self) -> ShutdownHandle {
        self.handle.clone()
    }

    /// [`ShutdownHandle::requested`], for the server itself.
    pub fn requested(&self) -> impl Future<Output = ()> + Send + use<> {
        self.handle.requested()
    }

    /// Drives the server to its end, at most until the deadline, and then waits for its connections: for
    /// those that are still served, and for those that are closing. At the deadline it drops the server and
    /// cuts what is still served, as [`Tracker::shutdown`] does. Without a request there is no deadline.
    ///
    /// Returns what the server returned, or `None` if it was dropped at the deadline, and how all connections
    /// ended.
    ///
    /// It returns a second after the deadline at the latest. The tasks of connections that the framework no
    /// longer waits for (`axum::serve` spawns such tasks) end when their reads and writes fail; a handler
    /// that does neither is dropped by its HTTP engine.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the server, and nothing is cut at the deadline any more.
    pub async fn finish<F: IntoFuture>(self, serve: F) -> (Option<F::Output>, Summary) {
        let tracker = &self.handle.tracker;
        let mut serve = Box::pin(serve.into_future());
        let served = until_deadline(tracker, serve.as_mut()).await;
        if served.is_none() {
            // Before the server is dropped, so that its connections know why.
            tracker.cut_served();
        }
        drop(serve);
        tracker.wait_and_cut().await;
        (served, tracker.summary())
    }
}

impl ShutdownHandle {
    /// Asks the server to end; a second call cuts what is left of it. Calls may come from any thread, also at
    /// the same time: one of them is the first.
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
            // It fails only when the `Shutdown` and all its handles are gone, which is an end, too.
            let _ = deadline.wait_for(Option::is_some).await;
        }
    }
}

/// Drives `serve` until the tracker's deadline, if it gets one.
async fn until_deadline<F: Future>(tracker: &Tracker, mut serve: Pin<&mut F>) -> Option<F::Output> {
    let mut alarm = tracker.wakeup();
    poll_fn(|cx| {
        if let Poll::Ready(output) = serve.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        let deadline = tracker.deadline().unwrap_or_else(|| clock::after(Duration::MAX));
        alarm.poll_at(cx, deadline, now()).map(|()| None)
    })
    .await
}
