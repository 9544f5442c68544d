//! All connections of a server: served, closing, ended.

mod entry_id;
mod eviction;
pub(crate) mod shutdown;
pub(crate) mod state;
pub(crate) mod summary;
mod timer_task;
mod timers;
#[expect(clippy::module_inception, reason = "the room's public API")]
pub(crate) mod tracker;
