//! Packets that one capture shows twice, because it reads two interfaces that both pass them on.
//!
//! Such a copy has the same IP identification, numbers, flags, window and timestamps, and follows within
//! milliseconds. A segment that is sent again has another identification, or a later time. Without an
//! identification (IPv6, or 0 as in packets that must not be cut) only the time tells: then a copy must
//! follow within half a millisecond, and resets are never taken for copies, because a closed socket answers
//! several segments at once with several equal resets.

use crate::decode::{Packet, Tcp};

/// What one side's last packets looked like.
#[derive(Debug, Default)]
pub(super) struct Recent {
    seen: [(u64, u64); 4],
    next: u8,
}

impl Recent {
    /// Whether the packet is a copy of one that was seen. Remembers it otherwise.
    pub(super) fn is_copy(&mut self, packet: &Packet<'_>, tcp: &Tcp<'_>) -> bool {
        let id = packet.id.filter(|id| *id != 0);
        if id.is_none() && tcp.flags.rst {
            return false;
        }
        let bound = if id.is_some() { WITH_ID } else { WITHOUT_ID };
        let at = u64::try_from(packet.at.as_nanos()).unwrap_or(u64::MAX);
        let looks = looks(packet, tcp);
        if self.seen.iter().any(|(other, then)| *other == looks && at.saturating_sub(*then) < bound) {
            return true;
        }
        self.seen[usize::from(self.next % 4)] = (looks, at.max(1));
        self.next = self.next.wrapping_add(1);
        false
    }
}

/// A number that differs for packets that differ, but for very few. It only has to be quick.
fn looks(packet: &Packet<'_>, tcp: &Tcp<'_>) -> u64 {
    let (value, echo) = tcp.options.timestamps.unwrap_or_default();
    let flags = u64::from(tcp.flags.syn) | u64::from(tcp.flags.fin) << 1 | u64::from(tcp.flags.rst) << 2;
    let numbers = u64::from(tcp.seq) << 32 | u64::from(tcp.ack.unwrap_or_default());
    let rest = u64::from(packet.id.unwrap_or_default()) << 48
        | u64::from(tcp.window) << 32
        | u64::from(tcp.length) << 4
        | flags << 1
        | u64::from(tcp.options.sack);
    let times = u64::from(value) << 32 | u64::from(echo);
    let mixed = (numbers ^ rest.rotate_left(20)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ times ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1
}

/// In nanoseconds.
const WITH_ID: u64 = 5_000_000;
const WITHOUT_ID: u64 = 500_000;
