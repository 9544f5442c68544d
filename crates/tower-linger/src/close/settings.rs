//! How the connections of a layer are closed, and who gets the reports. The layer's clones share it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use linger_proto::{ClosePolicy, CloseReport};

use crate::tracker::tracker::Tracker;

#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) policy: Arc<ClosePolicy>,
    pub(crate) tracker: Tracker,
    pub(crate) on_close: Option<Arc<Observer>>,
    pub(crate) detaches_upgrades: bool,
    /// Whether anyone reads reports; if not, what costs a system call is left out of them.
    pub(crate) wants_report: bool,
}

pub(crate) type Observer = dyn Fn(&CloseReport) + Send + Sync;

impl Settings {
    pub(crate) fn new(policy: ClosePolicy) -> Self {
        Self { policy: Arc::new(policy), ..Self::default() }
    }

    /// Tells the observer. If it panics, the service's result and the count are kept, and a process that is
    /// unwinding already does not abort. The panic hook has printed the panic.
    pub(crate) fn report(&self, report: &CloseReport) {
        if let Some(observer) = &self.on_close {
            let _ = catch_unwind(AssertUnwindSafe(|| observer(report)));
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("policy", &self.policy)
            .field("tracker", &self.tracker)
            .field("detaches_upgrades", &self.detaches_upgrades)
            .finish_non_exhaustive()
    }
}
