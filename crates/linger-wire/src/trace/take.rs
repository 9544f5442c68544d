//! What a segment adds to its side's stream.

use std::borrow::Cow;
use std::time::Duration;

use super::end::{Asked, Sign};
use super::flow::{Flow, Shared};
use crate::decode::{Packet, Tcp};
use crate::segment::{Segment, is_before};
use crate::transcript::{Part, Side};

impl Flow {
    /// Takes a segment that is no reset.
    pub(super) fn take(&mut self, shared: &mut Shared, packet: &Packet<'_>, tcp: &Tcp<'_>, side: Side) {
        let at = packet.at;
        if self.is_probe(tcp, side, at) {
            self.show(shared, at, side, Part::Again, false);
            return;
        }
        if tcp.length == 0 && !tcp.flags.syn && !tcp.flags.fin {
            // Only an acknowledgement. If it is the first of its side, the stream begins there.
            let sequence = &mut self.half_mut(side).sequence;
            if sequence.next().is_none() {
                sequence.skip_to(tcp.seq);
            }
            return;
        }
        self.ask_to_open(tcp, side, at);
        let segment = Segment {
            at,
            client: self.client,
            side,
            seq: tcp.seq,
            ack: tcp.ack,
            syn: tcp.flags.syn,
            fin: tcp.flags.fin,
            rst: false,
            missing: (tcp.length as usize).saturating_sub(tcp.payload.len()),
            payload: Cow::Borrowed(tcp.payload),
        };
        let half = self.half_mut(side);
        half.largest = half.largest.max(tcp.length);
        if tcp.flags.fin && half.fin_at.is_none() {
            half.fin_at = Some(at);
            self.closed_first = self.closed_first.or(Some(side));
        }
        let half = self.half(side);
        if half.fin.is_some_and(|fin| is_before(fin, segment.end())) && tcp.length > 0 {
            self.fin_signs.push(Sign::GoesOn);
            self.fin_signs.dedup();
        }
        let half = self.half_mut(side);
        let (fin, after) = (segment.end(), segment.end().wrapping_add(1));
        let acknowledged = half.fin.is_none() && half.sequence.next() == Some(after);
        if tcp.flags.fin && acknowledged && half.holes.fill(fin, after) {
            // What was acknowledged before it was seen was the FIN, not a byte.
            half.bytes = half.bytes.saturating_sub(1);
            half.sequence.skip_to(fin);
        }
        if half.sequence.is_ahead(&segment) {
            if half.bytes == 0 && half.isn.is_none() {
                // The trace begins here: what came before is not missing in it.
                half.sequence.skip_to(segment.seq);
            } else {
                self.hold(shared, segment, side);
                return;
            }
        }
        if self.is_sent_again(&segment, side) {
            let half = self.half_mut(side);
            half.retransmissions += 1;
            if !tcp.flags.syn {
                half.ask(Asked::Retransmission, at);
            }
        }
        self.half_mut(side).content_pushed = tcp.flags.psh || tcp.flags.fin || tcp.length == 0;
        self.deliver(shared, &segment);
        if !self.half(side).sequence.held().is_empty() {
            self.release(shared, side);
        }
    }

    /// Whether it is a probe: of a peer that may be gone, or of a window of zero.
    fn is_probe(&mut self, tcp: &Tcp<'_>, side: Side, at: Duration) -> bool {
        if tcp.length > 1 || tcp.flags.syn || tcp.flags.fin {
            return false;
        }
        let (half, other) = self.halves(side);
        let Some(next) = half.sequence.next() else { return false };
        let zero = other.window.is_zero();
        if tcp.seq == next.wrapping_sub(1) && (half.bytes > 0 || half.isn.is_some()) {
            if zero {
                half.window_probes += 1;
                half.ask(Asked::WindowProbe, at);
                return true;
            }
            if half.acked.is_none_or(|acked| acked == next) {
                half.keepalives += 1;
                half.ask(Asked::Keepalive, at);
                return true;
            }
        } else if zero && tcp.length == 1 && tcp.seq == next {
            half.window_probes += 1;
            half.ask(Asked::WindowProbe, at);
        }
        false
    }

    /// Whether a segment has a part that was sent before.
    fn is_sent_again(&mut self, segment: &Segment<'_>, side: Side) -> bool {
        let round_trip = self.half(side.other()).looks.round_trip();
        let half = self.half_mut(side);
        let Some(next) = half.sequence.next() else { return false };
        if segment.len() == 0 && !segment.syn && !segment.fin {
            return false;
        }
        if is_before(segment.data_seq(), next) || (segment.syn && segment.data_seq() == next) {
            let to = if is_before(next, segment.end()) { next } else { segment.end() };
            return !half.holes.fill(segment.data_seq(), to);
        }
        // It fills a hole. If that was open for longer than packets overtake one another, then what was in it
        // was lost before the capture saw it, and this is the second attempt.
        let reordered = round_trip.unwrap_or_default().max(REORDERING);
        half.held_since.is_some_and(|since| segment.at.saturating_sub(since) > reordered)
    }

    fn hold(&mut self, shared: &mut Shared, segment: Segment<'_>, side: Side) {
        let half = self.half_mut(side);
        half.held_since = half.held_since.or(Some(segment.at));
        if half.sequence.held().iter().any(|held| held.seq == segment.seq && held.len() >= segment.len()) {
            half.retransmissions += 1;
            return;
        }
        let before = half.held_bytes();
        half.sequence.hold(segment.into_owned());
        shared.held += half.held_bytes() - before;
        let many = half.sequence.held().len() > HELD_SEGMENTS;
        if many || shared.held > HELD_BYTES {
            self.give_up_hole(shared, side);
        }
    }

    /// Nothing comes any more that could fill the holes.
    pub(super) fn release_all(&mut self, shared: &mut Shared) {
        for side in [Side::Client, Side::Server] {
            while !self.half(side).sequence.held().is_empty() {
                self.give_up_hole(shared, side);
            }
        }
    }

    /// Takes the bytes before the first held segment for lost.
    fn give_up_hole(&mut self, shared: &mut Shared, side: Side) {
        if let Some(after) = self.half(side).sequence.after_hole() {
            self.skip(shared, side, after, self.last_at);
        }
    }

    /// Takes the bytes before this number for sent, although they were not seen.
    pub(super) fn skip(&mut self, shared: &mut Shared, side: Side, to: u32, at: Duration) {
        let half = self.half_mut(side);
        let at = half.held_since.unwrap_or(at);
        // The bytes may end before those that were acknowledged: held segments may have the others.
        let to = half.sequence.after_hole().filter(|held| is_before(*held, to)).unwrap_or(to);
        let known = half.bytes > 0 || half.isn.is_some();
        let Some(from) = half.sequence.skip_to(to) else { return };
        if known {
            let gap = to.wrapping_sub(from);
            half.bytes += u64::from(gap);
            half.holes.add(from, to);
            half.content_at = Some(at);
            half.content_end = to;
            self.lose(side);
            self.last_content = Some(side);
            self.show(shared, at, side, Part::Gap(gap as usize), false);
        }
        self.release(shared, side);
    }

    /// The boundaries of TLS records are not known from here on.
    pub(super) fn lose(&mut self, side: Side) {
        match side {
            Side::Client => self.client_half.scanner.lose(side, &mut self.session),
            Side::Server => self.server_half.scanner.lose(side, &mut self.session),
        }
    }

    /// Delivers the held segments that follow directly on what has been seen.
    fn release(&mut self, shared: &mut Shared, side: Side) {
        let before = self.half(side).held_bytes();
        while let Some(segment) = self.half_mut(side).sequence.ready() {
            self.deliver(shared, &segment);
        }
        let half = self.half_mut(side);
        let after = half.held_bytes();
        shared.held = shared.held.saturating_sub(before - after);
        if after == 0 {
            half.held_since = None;
        }
    }

    /// Takes a segment that begins at or before the next expected byte.
    fn deliver(&mut self, shared: &mut Shared, segment: &Segment<'_>) {
        let (side, at) = (segment.side, segment.at);
        let half = match side {
            Side::Client => &mut self.client_half,
            Side::Server => &mut self.server_half,
        };
        let progress = half.sequence.accept(segment);
        if progress.syn || progress.fin || progress.len() > 0 {
            half.sent_at = Some(at);
        }
        let mut joins = false;
        if progress.syn {
            self.show(shared, at, side, if side == Side::Client { Part::Syn } else { Part::SynAck }, false);
            joins = true;
        }
        if progress.len() > 0 {
            joins |= self.content(shared, segment, &progress, joins);
        }
        if progress.fin {
            self.end_stream(shared, segment, joins);
        }
        if progress.again {
            self.show(shared, at, side, Part::Again, false);
        }
    }
}

/// Wireshark takes a segment for reordered if it fills a hole within 3 ms or the round-trip time.
const REORDERING: Duration = Duration::from_millis(3);
/// Bounds the memory behind one hole.
const HELD_SEGMENTS: usize = 256;
/// Bounds the memory behind all holes.
const HELD_BYTES: usize = 32 << 20;
