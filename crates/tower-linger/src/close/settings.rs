//! How connections are to be closed, and what is told about it: what every clone of a layer shares.

use std::fmt;
use std::sync::Arc;

use linger_proto::{ClosePolicy, CloseReport};

use crate::tracker::tracker::Tracker;

#[derive(Clone, Default)]
pub(crate) struct Shared {
    pub(crate) policy: Arc<ClosePolicy>,
    pub(crate) tracker: Tracker,
    pub(crate) on_close: Option<Arc<Observer>>,
    pub(crate) leaves_upgrades: bool,
    /// Whether reports go to somebody, so that what costs a system call is found out.
    pub(crate) is_heard: bool,
}

pub(crate) type Observer = dyn Fn(&CloseReport) + Send + Sync;

impl Shared {
    pub(crate) fn new(policy: ClosePolicy) -> Self {
        Self { policy: Arc::new(policy), ..Self::default() }
    }

    pub(crate) fn report(&self, report: &CloseReport) {
        if let Some(observer) = &self.on_close {
            observer(report);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("policy", &self.policy)
            .field("tracker", &self.tracker)
            .field("leaves_upgrades", &self.leaves_upgrades)
            .finish_non_exhaustive()
    }
}
