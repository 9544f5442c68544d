//! A connection's place in the tracker, from its accept to the beginning of its close.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use linger_proto::ClosePolicy;

use crate::close::settings::Settings;
use crate::close::ticket::Ticket;
use crate::serve::connection::Connection;
use crate::tracker::state::ServedId;

/// Counts one connection as served, until it is dropped or its close begins.
pub(crate) struct Served {
    settings: Arc<Settings>,
    connection: Arc<Connection>,
    /// The policy's, as it was when the connection was accepted: a write that waits takes no lock. In
    /// milliseconds, of which a day fits into four bytes.
    write_idle_timeout_ms: Option<NonZeroU32>,
    id: Option<ServedId>,
}

impl Served {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        let connection = Arc::new(Connection::new());
        let id = settings.tracker.inner().serve(&connection);
        settings.meter.accepted();
        let write_idle_timeout_ms =
            settings.policy.with(ClosePolicy::write_idle_timeout).map(in_milliseconds);
        Self { settings, connection, write_idle_timeout_ms, id: Some(id) }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// For a connection whose policy has no bound of its own.
    #[cfg(feature = "serve")]
    pub(crate) fn bound_writes(&mut self, timeout: Duration) {
        self.write_idle_timeout_ms.get_or_insert(in_milliseconds(timeout));
    }

    pub(crate) fn write_idle_timeout(&self) -> Option<Duration> {
        self.write_idle_timeout_ms.map(|millis| Duration::from_millis(millis.get().into()))
    }

    /// The close begins: the connection is counted as closing from now on, without a gap.
    pub(crate) fn begin_close(mut self) -> Ticket {
        self.connection.end();
        let mut ticket = Ticket::new(self.settings.clone());
        if let Some(id) = self.id.take() {
            let tracker = self.settings.tracker.inner();
            ticket.is_of_shutdown = tracker.begin_close(id);
            self.settings.meter.handed_back(tracker.limit());
        }
        ticket
    }

    /// The connection ended without a close, because nothing was left to deliver.
    pub(crate) fn end_without_close(self, outcome: linger_proto::Outcome) {
        self.begin_close().end(&linger_proto::CloseReport::without_close(outcome));
    }
}

impl Drop for Served {
    /// The connection was taken by `into_inner`, or something else counts it now.
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.connection.way_back.forget();
            // Before the tracker: when that is empty, so are the gauges.
            self.settings.meter.taken_away();
            self.settings.tracker.inner().forget_served(id);
        }
    }
}

/// Rounded up: a part of a millisecond is no reason to end a connection at once.
fn in_milliseconds(time: Duration) -> NonZeroU32 {
    let millis = u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
    NonZeroU32::new(millis).unwrap_or(NonZeroU32::MIN)
}
