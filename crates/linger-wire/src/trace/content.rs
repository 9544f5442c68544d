//! What new bytes and the FIN of a stream tell: data, TLS records, requests and responses.

use std::time::Duration;

use super::flow::{Flow, Request, Shared};
use crate::segment::{Segment, is_before};
use crate::sequence::Progress;
use crate::tls::add;
use crate::transcript::{Part, Side};

impl Flow {
    /// Takes new bytes of a stream. Returns whether they made a part in the ladder.
    pub(super) fn content(
        &mut self,
        shared: &mut Shared,
        segment: &Segment<'_>,
        new: &Progress<'_>,
        joins: bool,
    ) -> bool {
        let (side, at) = (segment.side, segment.at);
        if self.half(side).bytes == 0 && self.half(side).isn.is_none() {
            self.lose(side);
        }
        let half = match side {
            Side::Client => &mut self.client_half,
            Side::Server => &mut self.server_half,
        };
        half.bytes += new.len() as u64;
        half.cut += new.missing as u64;
        let mut parts = std::mem::take(&mut shared.parts);
        parts.clear();
        half.scanner.feed(side, &mut self.session, new.bytes, new.missing, &mut parts);
        let mut joins = joins;
        for part in &parts {
            self.show(shared, at, side, *part, joins);
            joins = true;
        }
        let data = parts.iter().any(|part| matches!(part, Part::Data(_)));
        if data || parts.contains(&Part::Handshake) {
            self.last_records = Some(side);
            let half = self.half_mut(side);
            half.content_end = segment.end();
            half.answered = segment.ack.or(half.answered);
            let before = half.content_at.replace(at);
            if data {
                self.converse(segment, new, before);
            }
        }
        if side == Side::Server {
            self.last_status = status(new.bytes).or(self.last_status);
        }
        let any = !parts.is_empty();
        shared.parts = parts;
        any
    }

    /// Who speaks to whom: which request has no answer, and whether the connection was idle before it.
    fn converse(&mut self, segment: &Segment<'_>, new: &Progress<'_>, before: Option<Duration>) {
        let (bytes, turn) = (new.len() as u64, self.last_content.replace(segment.side) != Some(segment.side));
        if segment.side == Side::Client && turn && self.server_half.content_at.is_some() {
            // After an early answer, the rest of the upload comes; after an interim one, the request itself.
            let is_interim = self.last_status.is_some_and(|status| status < 200);
            let is_rest = self.last_status.is_some() && !begins_request(new.bytes);
            self.goes_on = !is_interim && (!self.quiet || is_rest);
        }
        if segment.side == Side::Server {
            (self.request, self.goes_on) = (None, false);
            self.quiet = segment.ack.is_some_and(|ack| self.client_half.is_all_before(ack));
            return;
        }
        if let Some(request) = &mut self.request {
            request.bytes += bytes;
        } else if let Some(answered) = self.server_half.content_at.filter(|_| turn && self.quiet) {
            let idle = segment.at.saturating_sub(before.map_or(answered, |before| before.max(answered)));
            let fin = self.server_half.fin;
            let crossed = fin.is_some_and(|fin| segment.ack.is_some_and(|ack| !is_before(fin, ack)));
            if idle >= IDLE {
                self.request = Some(Request { seq: segment.seq, bytes, idle, crossed });
            }
        }
    }

    /// Takes the FIN.
    pub(super) fn end_stream(&mut self, shared: &mut Shared, segment: &Segment<'_>, joins: bool) {
        let (side, at) = (segment.side, segment.at);
        let (half, other) = self.halves(side);
        half.fin = half.sequence.next().map(|next| next.wrapping_sub(1));
        // The other side may have acknowledged it before the capture showed it.
        if let Some(acked) = half.acked {
            half.acknowledge(acked, at);
        }
        let crosses = |fin: u32| segment.ack.is_some_and(|ack| !is_before(fin, ack));
        let simultaneous = other.fin.is_some_and(crosses);
        let unfinished = half.scanner.end();
        self.simultaneous |= simultaneous;
        if side == Side::Server {
            if let (Some(request), Some(ack)) = (&mut self.request, segment.ack) {
                request.crossed |= !is_before(request.seq, ack);
            }
        }
        let mut parts = Vec::new();
        if unfinished > 0 {
            add(&mut parts, Part::Data(unfinished));
        }
        parts.push(Part::Fin);
        let mut joins = joins;
        for part in parts {
            self.show(shared, at, side, part, joins);
            joins = true;
        }
    }
}

/// Whether an HTTP/1 request begins with these bytes: with a method, and a space after it.
fn begins_request(bytes: &[u8]) -> bool {
    let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    (3..=16).contains(&method) && bytes.get(method) == Some(&b' ')
}

/// The status of an HTTP/1 response that begins with these bytes.
fn status(bytes: &[u8]) -> Option<u16> {
    let rest = bytes.strip_prefix(b"HTTP/1.")?;
    let (&[minor, b' ', hundreds, tens, ones], _) = rest.split_first_chunk()? else { return None };
    let digits = [minor, hundreds, tens, ones];
    let number = |digit: u8| u16::from(digit - b'0');
    digits.iter().all(u8::is_ascii_digit).then(|| number(hundreds) * 100 + number(tens) * 10 + number(ones))
}

/// A connection that was silent for less is not idle: an upload may pause that long.
const IDLE: Duration = Duration::from_millis(1);
