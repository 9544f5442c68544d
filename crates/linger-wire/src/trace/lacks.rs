//! What the trace lacks of a connection.

use std::time::Duration;

use super::connection::Opening;
use super::doubt::Doubt;
use super::end::{End, Way};
use super::flow::Flow;
use crate::transcript::Side;

impl Flow {
    pub(super) fn doubts(&self, end: &End, now: Duration) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        let sides = [Side::Client, Side::Server];
        let cut: u64 = sides.iter().map(|side| self.half(*side).cut).sum();
        if cut > 0 {
            doubts.push(Doubt::Cut(cut));
        }
        for side in sides {
            let half = self.half(side);
            let bytes = half.holes.acknowledged(half.acked);
            if bytes > 0 {
                doubts.push(Doubt::Lost { side, bytes });
            }
            if self.is_one_sided(side) {
                doubts.push(Doubt::OneDirection(side));
            }
            if half.bytes > u64::from(u32::MAX) {
                doubts.push(Doubt::Wrapped(side));
            }
        }
        if self.opening() == Opening::NotSeen {
            doubts.push(Doubt::NoSyn);
        }
        if let Some(largest) = sides.iter().filter_map(|side| self.too_large(*side)).max() {
            doubts.push(Doubt::Offload { largest });
        }
        doubts.extend(self.ends_early(end, now));
        if self.goes_back {
            doubts.push(Doubt::TimeGoesBack);
        }
        doubts
    }

    /// Whether this side acknowledged something of the other side, although nothing of it was captured.
    pub(super) fn is_one_sided(&self, side: Side) -> bool {
        let (half, other) = (self.half(side), self.half(side.other()));
        half.packets > 0 && other.packets == 0 && other.acked.is_some()
    }

    /// The largest payload of this side, if the other side takes no segment of that size.
    fn too_large(&self, side: Side) -> Option<u32> {
        let largest = self.half(side).largest;
        let bound = self.half(side.other()).mss.map_or(JUMBO, u32::from);
        (largest > bound).then_some(largest)
    }

    fn ends_early(&self, end: &End, now: Duration) -> Option<Doubt> {
        match end.way {
            Way::Open => Some(Doubt::EndsOpen),
            Way::Normal if self.settled_at.is_none() && self.aborted.is_none() => Some(Doubt::EndsOpen),
            Way::Normal => {
                let since = now.saturating_sub(self.settled_at.unwrap_or(end.at));
                (since < SOON && self.late_reset.is_none()).then_some(Doubt::EndsInTimeWait)
            }
            // As long as it waits less than twice as long as before, the next attempt may still come.
            Way::Timeout if self.aborted.is_none() => {
                let (_, asking) = self.waits(now)?;
                let pause =
                    asking.last_at.saturating_sub(asking.first_at) / u32::try_from(asking.count).ok()?;
                (now.saturating_sub(asking.last_at) < pause.saturating_mul(4)).then_some(Doubt::EndsOpen)
            }
            Way::Timeout | Way::HalfClosed | Way::Reset | Way::Icmp | Way::Middlebox => None,
        }
    }
}

/// The payload of the largest packet that links of the internet and of data centres carry.
const JUMBO: u32 = 9216 - 40;
/// An answer to a late segment comes within this time.
pub(super) const SOON: Duration = Duration::from_millis(10);
