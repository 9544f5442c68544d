//! Tells all clients how far the run is: before the signal, after it, or over.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

#[derive(Debug, Clone, Copy, Default)]
struct Stage {
    ready: bool,
    begun: Option<Instant>,
    done: Option<Instant>,
    over: bool,
}

/// Moves the run from one stage to the next.
#[derive(Debug, Default)]
pub(super) struct Clock(watch::Sender<Stage>);

impl Clock {
    /// All clients are set up.
    pub(super) fn ready(&self) {
        self.0.send_modify(|stage| stage.ready = true);
    }

    /// The signal is about to be sent, or the command to be started.
    pub(super) fn begin(&self) -> Instant {
        let now = Instant::now();
        self.0.send_modify(|stage| stage.begun = Some(now));
        now
    }

    /// The signal was sent, or the command has ended.
    pub(super) fn done(&self) {
        self.0.send_modify(|stage| stage.done = Some(Instant::now()));
    }

    /// The run is over: all clients stop.
    pub(super) fn over(&self) {
        self.0.send_modify(|stage| stage.over = true);
    }

    pub(super) fn watch(&self) -> Watch {
        Watch(self.0.subscribe())
    }
}

/// A client's view of the [`Clock`].
#[derive(Debug, Clone)]
pub(super) struct Watch(watch::Receiver<Stage>);

impl Watch {
    /// When the signal was sent, or the command was started. `None` before that.
    pub(super) fn begun(&self) -> Option<Instant> {
        self.0.borrow().begun
    }

    /// Whether at least this time has passed since the signal was sent, or since the command ended.
    pub(super) fn is_done_since(&self, time: Duration) -> bool {
        self.0.borrow().done.is_some_and(|done| done.elapsed() >= time)
    }

    /// Completes when all clients are set up, shortly before the signal.
    pub(super) fn until_ready(&self) -> impl Future<Output = ()> + use<> {
        self.until(|stage| stage.ready)
    }

    /// Completes when the signal is about to be sent, or the command to be started.
    pub(super) fn until_begun(&self) -> impl Future<Output = ()> + use<> {
        self.until(|stage| stage.begun.is_some())
    }

    /// Completes when the signal was sent, or the command has ended.
    pub(super) fn until_done(&self) -> impl Future<Output = ()> + use<> {
        self.until(|stage| stage.done.is_some())
    }

    /// Completes when the run is over.
    pub(super) fn until_over(&self) -> impl Future<Output = ()> + use<> {
        self.until(|stage| stage.over)
    }

    fn until<F: Fn(&Stage) -> bool>(&self, reached: F) -> impl Future<Output = ()> + use<F> {
        let mut stage = self.0.clone();
        async move {
            // An error means that the clock was dropped, and then the run is over, too.
            let _ = stage.wait_for(|stage| reached(stage)).await;
        }
    }
}
