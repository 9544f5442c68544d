//! One direction of a connection: what was sent, what of it was acknowledged, and how its packets look.

use std::time::Duration;

use super::connection::Sent;
use super::duplicate::Recent;
use super::end::Asked;
use super::holes::Holes;
use super::looks::Looks;
use super::window::Window;
use crate::segment::is_before;
use crate::sequence::Sequence;
use crate::tls::Scanner;

/// What one side sends, and the window that it announces for the other.
#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) sequence: Sequence,
    pub(super) scanner: Scanner,
    pub(super) holes: Holes,
    /// The sequence number of its SYN.
    pub(super) isn: Option<u32>,
    /// The largest segment that it takes, and its window scale, as its SYN says.
    pub(super) mss: Option<u16>,
    pub(super) scale: Option<u8>,
    /// Bytes of its stream, those in holes included.
    pub(super) bytes: u64,
    /// What the other side acknowledged last.
    pub(super) acked: Option<u32>,
    /// The sequence number of its FIN.
    pub(super) fin: Option<u32>,
    pub(super) fin_at: Option<Duration>,
    pub(super) fin_acked_at: Option<Duration>,
    pub(super) packets: u64,
    pub(super) retransmissions: u64,
    pub(super) keepalives: u64,
    pub(super) window_probes: u64,
    pub(super) resets: u64,
    /// Payload bytes that the capture cut off.
    pub(super) cut: u64,
    pub(super) largest: u32,
    /// What it sends again and again since the other side's last packet.
    pub(super) asking: Option<Asking>,
    /// When its stream last went on; taken when the other side answers.
    pub(super) sent_at: Option<Duration>,
    /// When its last data or handshake record left, and the sequence number after it.
    pub(super) content_at: Option<Duration>,
    pub(super) content_end: u32,
    /// Whether that ended what its application had written so far (PSH).
    pub(super) content_pushed: bool,
    /// What it acknowledged then: what came before was read, most likely, and this is the answer.
    pub(super) answered: Option<u32>,
    /// Since when a hole before held segments is open.
    pub(super) held_since: Option<Duration>,
    pub(super) window: Window,
    pub(super) looks: Looks,
    pub(super) recent: Recent,
}

/// Segments that ask for an answer, again and again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking {
    pub(super) with: Asked,
    pub(super) count: u64,
    pub(super) first_at: Duration,
    pub(super) last_at: Duration,
}

impl Half {
    /// It sends something that asks for an answer.
    pub(super) fn ask(&mut self, with: Asked, at: Duration) {
        match &mut self.asking {
            Some(asking) if asking.with == with => {
                asking.count += 1;
                asking.last_at = at;
            }
            _ => self.asking = Some(Asking { with, count: 1, first_at: at, last_at: at }),
        }
    }

    /// The other side acknowledges everything before this number.
    pub(super) fn acknowledge(&mut self, ack: u32, at: Duration) {
        if self.acked.is_none_or(|acked| is_before(acked, ack)) {
            self.acked = Some(ack);
        }
        if self.fin.is_some_and(|fin| is_before(fin, ack)) {
            self.fin_acked_at = self.fin_acked_at.or(Some(at));
        }
    }

    /// The sequence number after its last byte, without the FIN.
    pub(super) fn end(&self) -> Option<u32> {
        self.fin.or(self.sequence.next())
    }

    /// Whether everything before this number was sent and seen.
    pub(super) fn is_all_before(&self, seq: u32) -> bool {
        self.sequence.next().is_none_or(|next| !is_before(seq, next))
    }

    /// How many bytes of its stream are after this number.
    pub(super) fn after(&self, seq: u32) -> u64 {
        let after = self.end().filter(|end| is_before(seq, *end)).map_or(0, |end| end.wrapping_sub(seq));
        u64::from(after).min(self.bytes)
    }

    /// Whether data or handshake records of it end after this number.
    pub(super) fn has_content_after(&self, seq: u32) -> bool {
        self.content_at.is_some() && is_before(seq, self.content_end)
    }

    /// Bytes that were not acknowledged; 0 if nothing of the other side was seen.
    pub(super) fn unacknowledged(&self) -> u64 {
        self.acked.map_or(0, |acked| self.after(acked))
    }

    pub(super) fn held_bytes(&self) -> usize {
        let held = self.sequence.held().iter();
        held.map(|segment| segment.payload.len() + size_of_val(segment)).sum()
    }

    pub(super) fn sent(&self, after_close: u64) -> Sent {
        Sent {
            bytes: self.bytes,
            unacknowledged: self.unacknowledged(),
            missing: self.holes.acknowledged(self.acked),
            after_close,
            retransmissions: self.retransmissions,
            keepalives: self.keepalives,
            window_probes: self.window_probes,
            zero_window: self.window.longest_zero(),
            resets: self.resets,
            fin_at: self.fin_at,
            fin_acknowledged: self.fin_acked_at.is_some(),
        }
    }
}
