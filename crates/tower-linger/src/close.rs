//! A connection while it is closed.

mod closing;
pub(crate) mod driver;
#[cfg(feature = "metrics")]
mod listener_metrics;
pub(crate) mod log;
pub(crate) mod meter;
mod progress;
#[cfg(feature = "tracing")]
mod sampling;
pub(crate) mod settings;
mod stream;
pub(crate) mod ticket;
pub(crate) mod verdict;
