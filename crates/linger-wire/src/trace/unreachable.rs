//! ICMP errors about a connection.

use std::time::Duration;

use super::end::Unreachable;
use super::flow::Flow;
use crate::decode::{IcmpError, IcmpKind, Packet};
use crate::segment::is_before;
use crate::transcript::Side;

/// Errors since the last packet of the side that they say cannot be reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Errors {
    pub(super) error: Unreachable,
    pub(super) at: Duration,
}

impl Flow {
    /// Takes an ICMP error that quotes a segment of this side. Returns whether it is about this connection.
    pub(super) fn unreachable(&mut self, packet: &Packet<'_>, icmp: &IcmpError, about: Side) -> bool {
        if !icmp.seq.is_none_or(|seq| self.has_sent(seq, about)) {
            return false;
        }
        self.count(packet.at);
        // Path MTU discovery uses it: the segment is sent again in smaller pieces.
        if icmp.kind == IcmpKind::PacketTooBig {
            return true;
        }
        let count = self.errors.as_ref().map_or(0, |errors| errors.error.count) + 1;
        let error = Unreachable { kind: icmp.kind, from: packet.source, about, count };
        self.errors = Some(Box::new(Errors { error, at: packet.at }));
        true
    }

    /// Whether this side may have sent a segment with this sequence number, and not long ago.
    fn has_sent(&self, seq: u32, side: Side) -> bool {
        let half = self.half(side);
        let Some(next) = half.sequence.next() else { return true };
        let oldest = half.acked.or(half.isn).unwrap_or(next).wrapping_sub(SLACK);
        !is_before(next.wrapping_add(SLACK), seq) && !is_before(seq, oldest)
    }
}

/// An error may quote a segment that was acknowledged meanwhile, or one that the capture lost.
const SLACK: u32 = 1 << 20;
