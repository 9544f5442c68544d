//! What stands in for the clock and for tokio where a scheduler decides what runs next.
//!
//! A scheduler runs all threads and tasks of a test on one thread of the system, one at a time, and chooses
//! anew whenever one of them is about to use a lock or an atomic of [`shuttle`]. Tokio's `Notify`
//! stays what it is behind such a choice: it never blocks, and it calls nothing of ours under a lock. What
//! would block the one thread, or need a runtime of tokio's, has a model here.

pub(crate) mod clock;
pub(crate) mod runtime;
pub(crate) mod tokio_sync;
pub(crate) mod watch;

/// To be called at the beginning of each execution: forgets the one before.
pub(crate) fn begin() {
    clock::begin();
    runtime::begin();
}
