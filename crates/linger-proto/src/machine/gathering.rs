//! When the peer's bytes are gathered in the kernel, so that a flood wakes the driver less often.

use std::num::NonZeroU32;
use std::time::Instant;

use super::CloseMachine;
use crate::phase::Phase;

/// A peer that has sent this much during the close is not about to stop. Gathering its bytes from then on
/// halves its CPU cost (`drain` in benches/README.md).
const GATHERED_AFTER_BYTES: u64 = 1 << 20;

/// How many bytes are worth a wake-up. For each such peer, the kernel holds that much in a receive buffer.
const GATHERED_BYTES: NonZeroU32 = NonZeroU32::new(256 << 10).expect("it is not zero");

impl CloseMachine {
    /// Whether the peer's bytes wait in the kernel until there are many of them.
    fn is_gathering(&self) -> bool {
        let may_gather = self.drained >= GATHERED_AFTER_BYTES && !self.gathers_no_more;
        may_gather && self.phase == Phase::Drain && self.session().is_none()
    }

    /// How many bytes wake the driver.
    pub(super) fn wake_at(&self) -> NonZeroU32 {
        if self.is_gathering() { GATHERED_BYTES } else { NonZeroU32::MIN }
    }

    /// Bytes may have come that were not worth a wake-up, and they count before a deadline does. So the first
    /// event after a deadline only ends the gathering, which makes the driver read them.
    pub(super) fn is_asking_for_gathered(&mut self, now: Instant) -> bool {
        let is_asking = self.is_gathering() && self.next_timeout().is_some_and(|timeout| timeout <= now);
        self.gathers_no_more |= is_asking;
        is_asking
    }

    pub(super) fn cannot_gather(&mut self) {
        self.gathers_no_more |= self.phase == Phase::Drain;
    }
}
