//! The id of a close that waits, which timers and eviction share, or of a connection that is served.

use std::num::NonZeroU32;

/// The entry of one close or connection, for as long as it exists. Ids are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntryId(NonZeroU32);

impl EntryId {
    pub(crate) fn of(index: usize) -> Self {
        // No process has so many descriptors.
        Self(NonZeroU32::MIN.saturating_add(u32::try_from(index).unwrap_or(u32::MAX)))
    }

    /// Small: as many as there were entries at once.
    pub(crate) fn index(self) -> usize {
        self.link() as usize
    }

    /// The same in four bytes.
    pub(crate) fn link(self) -> u32 {
        self.0.get() - 1
    }
}
