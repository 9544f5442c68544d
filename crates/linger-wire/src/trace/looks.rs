//! How one side's packets look, apart from what they carry: what a forger would have to know.

use std::time::Duration;

use super::end::Sign;
use crate::decode::{Packet, Tcp};

/// How the packets of one side look.
#[derive(Debug, Default)]
pub(super) struct Looks {
    ttl: u8,
    /// How many packets had this TTL; `None` if they differ.
    same_ttl: Option<u32>,
    seen: bool,
    last_id: Option<u16>,
    /// How many identifications followed closely on the one before, and how many did not.
    steps: u32,
    jumps: u32,
    with_timestamps: u32,
    without_timestamps: u32,
    /// The shortest time in which it ever answered, and how often it did.
    quickest: Option<Duration>,
    answers: u32,
}

impl Looks {
    /// Takes a packet that is no reset.
    pub(super) fn observe(&mut self, packet: &Packet<'_>, tcp: &Tcp<'_>) {
        if !self.seen {
            (self.seen, self.ttl, self.same_ttl) = (true, packet.ttl, Some(1));
        } else if packet.ttl == self.ttl {
            self.same_ttl = self.same_ttl.map(|count| count.saturating_add(1));
        } else {
            self.same_ttl = None;
            self.ttl = packet.ttl;
        }
        if let (Some(last), Some(id)) = (self.last_id, packet.id) {
            let close = (1..=STEP).contains(&id.wrapping_sub(last));
            let count = if close { &mut self.steps } else { &mut self.jumps };
            *count = count.saturating_add(1);
        }
        self.last_id = packet.id.or(self.last_id);
        let stamped = tcp.options.timestamps.is_some();
        let count = if stamped { &mut self.with_timestamps } else { &mut self.without_timestamps };
        *count = count.saturating_add(1);
    }

    /// It answered after this time.
    pub(super) fn answer(&mut self, after: Duration) {
        self.quickest = Some(self.quickest.map_or(after, |quickest| quickest.min(after)));
        self.answers = self.answers.saturating_add(1);
    }

    /// The shortest time in which it ever answered.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.quickest
    }

    /// Whether a packet's TTL differs from that of all others, of which there were at least three.
    pub(super) fn ttl_sign(&self, packet: &Packet<'_>) -> Option<Sign> {
        let constant = self.same_ttl.is_some_and(|count| count >= ENOUGH);
        (constant && packet.ttl != self.ttl).then_some(Sign::Ttl { found: packet.ttl, usual: self.ttl })
    }

    /// Whether an identification is not in a sequence that was kept until now. Linux's closed sockets answer
    /// with 0: that is no sign.
    pub(super) fn id_sign(&self, packet: &Packet<'_>) -> Option<Sign> {
        let (found, last) = (packet.id.filter(|id| *id != 0)?, self.last_id?);
        let away = !(0..=FAR).contains(&found.wrapping_sub(last));
        (self.steps >= ENOUGH && self.jumps == 0 && away).then_some(Sign::Id { found, last })
    }

    /// Whether a segment lacks the timestamps that all others had.
    pub(super) fn timestamps_sign(&self, tcp: &Tcp<'_>) -> Option<Sign> {
        let always = self.with_timestamps >= ENOUGH && self.without_timestamps == 0;
        (always && tcp.options.timestamps.is_none()).then_some(Sign::NoTimestamps)
    }

    /// Whether an answer came in less than half of the time that this side ever needed. Below a millisecond,
    /// times tell nothing.
    pub(super) fn time_sign(&self, after: Duration) -> Option<Sign> {
        let usual = self.quickest.filter(|quickest| *quickest >= TELLING)?;
        (self.answers >= ENOUGH && after < usual / 2).then_some(Sign::TooSoon { after, usual })
    }
}

/// How many packets make a habit.
const ENOUGH: u32 = 3;
/// How far identifications of a counter that others use, too, may be apart.
const STEP: u16 = 64;
const FAR: u16 = 4096;
const TELLING: Duration = Duration::from_millis(1);
