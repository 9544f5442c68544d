//! What is counted for metrics, at each turn of a connection's life (feature `metrics`). Without that feature
//! it is nothing.
#![cfg_attr(
    not(feature = "metrics"),
    allow(unused_variables, clippy::unused_self, reason = "without it nothing is counted")
)]

use std::num::NonZeroUsize;

use linger_proto::CloseReport;

/// The metrics of a layer's listener. It is told of each connection in this order: `accepted`; then either
/// `taken_away`, or `handed_back`, `closed`, `released`.
#[derive(Clone)]
pub(crate) struct Meter {
    #[cfg(feature = "metrics")]
    listener: std::sync::Arc<super::listener_metrics::ListenerMetrics>,
}

impl Meter {
    /// Layers with the same name are counted together.
    pub(crate) fn named(listener: &str) -> Self {
        Self {
            #[cfg(feature = "metrics")]
            listener: super::listener_metrics::ListenerMetrics::named(listener),
        }
    }

    /// A connection is served from now on.
    pub(crate) fn accepted(&self) {
        #[cfg(feature = "metrics")]
        self.listener.accepted();
    }

    /// A served connection is nothing of ours any more.
    pub(crate) fn taken_away(&self) {
        #[cfg(feature = "metrics")]
        self.listener.taken_away();
    }

    /// The close of a served connection begins. At most so many may wait at once.
    pub(crate) fn handed_back(&self, limit: Option<NonZeroUsize>) {
        #[cfg(feature = "metrics")]
        self.listener.handed_back(limit);
    }

    /// The close of a connection begins that was not served by us.
    pub(crate) fn close_begins(&self, limit: Option<NonZeroUsize>) {
        #[cfg(feature = "metrics")]
        self.listener.close_begins(limit);
    }

    /// How a close ended.
    pub(crate) fn closed(&self, report: &CloseReport) {
        #[cfg(feature = "metrics")]
        self.listener.closed(report);
    }

    /// A close is over, reported or not.
    pub(crate) fn released(&self) {
        #[cfg(feature = "metrics")]
        self.listener.released();
    }

    pub(crate) fn handshake_failed(&self, reason: &'static str) {
        #[cfg(feature = "metrics")]
        self.listener.handshake_failed(reason);
    }

    /// Whether somebody wants to know what was not acknowledged, which costs a system call.
    pub(crate) fn wants_unacked(report: &CloseReport) -> bool {
        #[cfg(feature = "metrics")]
        return !super::listener_metrics::is_on_its_way(report.outcome);
        #[cfg(not(feature = "metrics"))]
        return false;
    }
}
