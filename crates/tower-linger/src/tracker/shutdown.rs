//! The end of a server: a notice, then its requests, then its connections.

use std::future::{Future, IntoFuture, poll_fn};
#[cfg(feature = "serve")]
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::clock::{self, now};
use crate::sync::watch;
#[cfg(feature = "serve")]
use crate::tracker::signals;
use crate::tracker::summary::Summary;
use crate::tracker::tracker::Tracker;

/// The end of one server. `main` owns it and hands the server to [`finish`](Self::finish); tasks and handlers
/// get a [`ShutdownHandle`] from [`handle`](Self::handle).
///
/// It has up to four parts, one after the other:
///
/// 1. The **notice**, if [`with_notice`](Self::with_notice) gives one: the server still accepts and answers,
///    but says that it is about to end. Its readiness probe fails
///    ([`is_noticed`](ShutdownHandle::is_noticed)), and answers carry `Connection: close` or GOAWAY, so that
///    clients and balancers move to another server.
/// 2. The server stops accepting, when [`requested`](Self::requested) completes.
/// 3. Its requests end.
/// 4. The [`Tracker`] waits for the connections.
///
/// The last three share one limit. A second request cuts what is left, as the second Ctrl-C of an impatient
/// operator should.
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
    notice: Duration,
    limit: Duration,
    /// When the notice is over and the server stops accepting; none before the first request.
    stop_at: watch::Sender<Option<Instant>>,
}

impl Shutdown {
    /// Gives the server and the connections of this tracker `limit` to end, from the first request on, or
    /// from the end of the notice.
    #[must_use]
    pub fn new(tracker: Tracker, limit: Duration) -> Self {
        let stop_at = watch::Sender::new(None);
        Self { handle: ShutdownHandle { tracker, notice: Duration::ZERO, limit, stop_at } }
    }

    /// Lets the server accept and answer for `notice` after the first request, and say meanwhile that it is
    /// about to end. The limit begins after it. None by default: it only makes sense where something else
    /// takes over, a balancer with other servers behind it. Then it should be longer than the balancer takes
    /// to notice: its interval of readiness probes times the failures that it waits for.
    ///
    /// Handles that were made before have no notice, so this comes before [`handle`](Self::handle).
    #[must_use]
    pub fn with_notice(mut self, notice: Duration) -> Self {
        self.handle.notice = notice;
        self
    }

    /// Requests the shutdown at each SIGTERM and SIGINT (Ctrl-C): the first begins it, the second cuts what
    /// is left. It installs the handlers of these signals for the whole process.
    ///
    /// On Windows the signals are the console's events: Ctrl-C, Ctrl-Break, the end of the console, and the
    /// end of the system, which is also what `docker stop` sends to a container. After the last two Windows
    /// ends the process 5 s later by default, so notice and limit should be shorter together: see
    /// [Windows](crate::guide::windows#how-a-server-is-stopped).
    ///
    /// # Errors
    ///
    /// The system refuses a handler.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without I/O.
    #[cfg(feature = "serve")]
    pub fn on_signals(self) -> io::Result<Self> {
        let handle = self.handle();
        signals::at_each(move || handle.request())?;
        Ok(self)
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

    #[cfg(feature = "serve")]
    pub(crate) fn tracker(&self) -> &Tracker {
        &self.handle.tracker
    }
}

impl ShutdownHandle {
    /// Asks the server to end; a second call cuts what is left of it. Calls may come from any thread, also at
    /// the same time: one of them is the first.
    pub fn request(&self) {
        self.stop_at.send_modify(|stop_at| {
            let is_first = stop_at.is_none();
            let (notice, limit) = if is_first { (self.notice, self.limit) } else { Default::default() };
            self.tracker.set_deadline(clock::after(notice.saturating_add(limit)));
            *stop_at = Some(clock::after(notice));
        });
    }

    /// Whether the server was asked to end: its notice has begun, if it has one. A readiness probe fails from
    /// then on.
    #[must_use]
    pub fn is_noticed(&self) -> bool {
        self.stop_at.borrow().is_some()
    }

    /// Completes when the server is asked to end: its notice has begun, if it has one.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub fn noticed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop_at = self.stop_at.subscribe();
        async move {
            // It fails only when the `Shutdown` and all its handles are gone, which is an end, too.
            let _ = stop_at.wait_for(Option::is_some).await;
        }
    }

    /// Completes when the server has to stop accepting: when it is asked to end, and the notice is over. For
    /// `with_graceful_shutdown`, an accept loop, or the handler of an upgraded connection, which no HTTP
    /// engine tells.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub fn requested(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop_at = self.stop_at.subscribe();
        let mut alarm = self.tracker.wakeup();
        async move {
            // As above, an error is an end.
            let Ok(Some(first)) = stop_at.wait_for(Option::is_some).await.map(|first| *first) else {
                return;
            };
            let mut second = pin!(stop_at.changed());
            poll_fn(|cx| match alarm.poll_at(cx, first, now()) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => second.as_mut().poll(cx).map(|_| ()),
            })
            .await;
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
