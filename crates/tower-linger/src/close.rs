//! A connection while it is closed.

pub(crate) mod driver;
pub(crate) mod log;
pub(crate) mod settings;
mod stream;
