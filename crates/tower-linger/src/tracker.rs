//! All connections of a server: served, closing, ended.

mod entry_id;
mod eviction;
mod moment;
pub(crate) mod shutdown;
#[cfg(feature = "serve")]
mod signals;
pub(crate) mod state;
pub(crate) mod summary;
pub(crate) mod timer_task;
mod timers;
#[expect(clippy::module_inception, reason = "the room's public API")]
pub(crate) mod tracker;
pub(crate) mod wakeup;
