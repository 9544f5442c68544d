//! How the connections of a layer are closed, and who gets the reports. The layer's clones share it.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use linger_proto::{ClosePolicy, CloseReport};

use crate::close::meter::Meter;
use crate::sync::RwLock;
use crate::tracker::tracker::Tracker;

#[derive(Clone)]
pub(crate) struct Settings {
    /// What metrics and spans call the listener.
    pub(crate) listener: Cow<'static, str>,
    pub(crate) meter: Meter,
    #[cfg(feature = "tracing")]
    pub(crate) sampler: Arc<crate::close::sampling::Sampler>,
    pub(crate) policy: Current,
    pub(crate) tracker: Tracker,
    pub(crate) on_close: Option<Arc<Observer>>,
    pub(crate) detaches_upgrades: bool,
    /// Whether anyone reads reports; if not, what costs a system call is left out of them.
    pub(crate) wants_report: bool,
}

/// The name of a listener that was given none.
const DEFAULT_LISTENER: &str = "default";

impl Default for Settings {
    fn default() -> Self {
        Self {
            listener: DEFAULT_LISTENER.into(),
            meter: Meter::named(DEFAULT_LISTENER),
            #[cfg(feature = "tracing")]
            sampler: Arc::default(),
            policy: Current::default(),
            tracker: Tracker::default(),
            on_close: None,
            detaches_upgrades: false,
            wants_report: false,
        }
    }
}

pub(crate) type Observer = dyn Fn(&CloseReport) + Send + Sync;

impl Settings {
    pub(crate) fn new(policy: ClosePolicy) -> Self {
        Self { policy: Current::new(policy), ..Self::default() }
    }

    pub(crate) fn name(&mut self, listener: Cow<'static, str>) {
        self.meter = Meter::named(&listener);
        self.listener = listener;
    }

    /// Tells the observer. If it panics, the service's result and the count are kept, and a process that is
    /// unwinding already does not abort. The panic hook has printed the panic.
    pub(crate) fn report(&self, report: &CloseReport) {
        if let Some(observer) = &self.on_close {
            let _ = catch_unwind(AssertUnwindSafe(|| observer(report)));
        }
    }
}

/// The policy that holds now. Clones share it, so that it can be swapped for all of them.
#[derive(Clone, Default)]
pub(crate) struct Current(Arc<RwLock<Arc<ClosePolicy>>>);

impl Current {
    pub(crate) fn new(policy: ClosePolicy) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(policy))))
    }

    /// Takes a lock, so it is not for every read or write.
    pub(crate) fn get(&self) -> Arc<ClosePolicy> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at it without keeping it.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&ClosePolicy) -> R) -> R {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, policy: ClosePolicy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("listener", &self.listener)
            .field("policy", &self.policy)
            .field("tracker", &self.tracker)
            .field("detaches_upgrades", &self.detaches_upgrades)
            .finish_non_exhaustive()
    }
}
