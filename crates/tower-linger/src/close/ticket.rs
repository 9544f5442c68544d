//! A close's place in the tracker.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use linger_proto::{Event, Outcome};
use tokio::runtime::Handle;

use crate::close::settings::Settings;
use crate::tracker::state::{Place, Waited};

/// One running close: counted until it is dropped.
pub(crate) struct Ticket {
    settings: Arc<Settings>,
    /// Once it has to wait.
    place: Place,
    outcome: Option<Outcome>,
}

impl Ticket {
    /// For a close that the tracker counts already.
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self { settings, place: Place::default(), outcome: None }
    }

    /// For a close of a connection that the tracker did not know.
    pub(crate) fn of_unknown(settings: Arc<Settings>) -> Self {
        settings.tracker.inner().begin_unknown_close();
        Self::new(settings)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A runtime that can go on with the close where the current thread has none.
    pub(crate) fn runtime(&self) -> Option<Handle> {
        Handle::try_current().ok().or_else(|| self.settings.tracker.inner().runtime())
    }

    /// Waits for the peer. Returns what was decided about the close meanwhile, if anything. The task is woken
    /// at `timeout`, or when something is decided. `peer` is called only if peers have a limit.
    pub(crate) fn wait(
        &mut self,
        cx: &Context<'_>,
        timeout: Instant,
        now: Instant,
        peer: impl FnOnce() -> Option<IpAddr>,
    ) -> Option<Event> {
        match self.settings.tracker.inner().wait_counted(&mut self.place, cx, timeout, now, peer) {
            Waited::Until(deadline) => deadline.map(Event::ShutdownBy),
            Waited::Evicted => Some(Event::Evicted),
            Waited::Unheard => Some(Event::Abandoned),
        }
    }

    /// Counts how the close ended.
    pub(crate) fn end(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.settings.tracker.inner().end_close(&mut self.place, self.outcome);
    }
}
