//! A close's place in the tracker.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use linger_proto::{CloseReport, Event, Outcome};

use crate::close::log::CloseSpan;
use crate::close::settings::Settings;
use crate::sync::runtime::Handle;
use crate::tracker::state::{Place, Waited};
use crate::transport::Ends;

/// One running close: counted until it is dropped.
pub(crate) struct Ticket {
    settings: Arc<Settings>,
    /// Once it has to wait.
    place: Place,
    outcome: Option<Outcome>,
    span: CloseSpan,
    /// Whether the close runs in a task of its own already. This and the next two stand here, and not in
    /// `Closing`, because they need no memory here.
    pub(super) is_detached: bool,
    /// Whether the server was shutting down when the close began.
    pub(crate) is_of_shutdown: bool,
    /// Set while the transport is called. If it is set at any other time, the transport has panicked.
    pub(super) is_performing: bool,
}

impl Ticket {
    /// For a close that is counted already.
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            place: Place::default(),
            outcome: None,
            span: CloseSpan::default(),
            is_detached: false,
            is_of_shutdown: false,
            is_performing: false,
        }
    }

    /// For a close of a connection that the tracker did not know.
    pub(crate) fn of_unknown(settings: Arc<Settings>) -> Self {
        settings.tracker.inner().begin_unknown_close();
        settings.meter.close_begins(settings.tracker.inner().limit());
        Self::new(settings)
    }

    /// Begins the span of the close, if it gets one.
    pub(crate) fn begin_span(&mut self, ends: impl FnOnce() -> Ends) {
        self.span = CloseSpan::begin(&self.settings, ends);
    }

    pub(crate) fn span(&self) -> &CloseSpan {
        &self.span
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

    /// Tells everyone how the close ended, and counts it: the one place that does.
    pub(crate) fn end(mut self, report: &CloseReport) {
        self.span.outcome(report);
        self.settings.meter.closed(report);
        self.settings.report(report);
        self.outcome = Some(report.outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Before the tracker: when that is empty, so are the gauges.
        self.settings.meter.released();
        self.settings.tracker.inner().end_close(&mut self.place, self.outcome);
    }
}
