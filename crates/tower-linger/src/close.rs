//! A connection while it is closed.

mod closing;
pub(crate) mod driver;
pub(crate) mod log;
mod progress;
pub(crate) mod settings;
mod stream;
pub(crate) mod ticket;
pub(crate) mod verdict;
