//! Finds TLS records in one direction of a TCP stream and classifies them.
//!
//! In TLS 1.3 the type of an encrypted record is hidden (RFC 8446 §5.2). Without keys, the scanner infers it
//! from two facts: an alert has two bytes, and the order of the handshake is fixed. The inference is wrong in
//! these cases:
//! - Application data of exactly two bytes in a TLS 1.3 record counts as an alert, and a padded alert as
//!   data.
//! - Session tickets, key updates and data that a server sends before the client's Finished look alike:
//!   before it they all count as handshake, afterwards as data.
//! - If a client pads its Finished, or sends it after a certificate with data in the same segment, that data
//!   counts as handshake. So does early data (0-RTT) that leaves after the server's hello arrived.
//! - Where no `ServerHello` was captured, the version is not known: records of the length of a hidden alert
//!   count as alerts, and encrypted handshake messages as data.
//!
//! Up to TLS 1.2 the type is visible, but an encrypted alert does not tell its description.
//!
//! A stream is TLS if it begins with a record, perhaps after a header of the PROXY protocol, or if a segment
//! begins with a `ClientHello` or `ServerHello` later on, as after `CONNECT` or `STARTTLS`. In the middle of
//! a stream, [`Search`] finds the boundaries.

mod current;
mod facts;
mod hello;
#[cfg(feature = "secrets")]
mod keys;
#[cfg(not(feature = "secrets"))]
#[path = "tls/no_keys.rs"]
mod keys;
pub(crate) mod record;
mod session;
#[cfg(test)]
mod tests;

use crate::transcript::{Part, Side};
use current::{Kind, Record};
use facts::Seen;
use hello::Collector;
use record::{ALERT, HANDSHAKE, HEADER, Search, begins_with_hello, parse_header, proxy_header};
pub(crate) use session::Session;

/// Cuts the stream of one direction into records.
///
/// It needs no memory on the heap but for the first handshake message, until that is complete.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    mode: Mode,
    /// The part of the next record's header that has arrived.
    header: [u8; HEADER],
    header_length: u8,
    record: Option<Record>,
    search: Search,
    hello: Collector,
    seen: Seen,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mode {
    #[default]
    Unknown,
    Plain,
    Tls,
    /// Bytes are missing or the trace begins here, so that the next record boundary is unknown.
    Lost,
}

impl Scanner {
    /// Takes the next bytes of the stream, all from one segment, and appends what they are to `parts`.
    ///
    /// The capture cut off `missing` bytes after them. Nothing is appended if there was only the beginning of
    /// a record header: those bytes are counted with the rest of their record.
    pub(crate) fn feed(
        &mut self,
        side: Side,
        session: &mut Session,
        bytes: &[u8],
        missing: usize,
        parts: &mut Vec<Part>,
    ) {
        let mut rest = bytes;
        match self.mode {
            Mode::Tls => {}
            Mode::Unknown => {
                let before = proxy_header(bytes);
                if before > 0 {
                    add(parts, Part::Data(before));
                }
                rest = bytes.get(before..).unwrap_or_default();
            }
            Mode::Plain | Mode::Lost if begins_with_hello(bytes) => {
                self.mode = Mode::Tls;
                self.hello = Collector::default();
            }
            Mode::Plain => return add(parts, Part::Data(bytes.len() + missing)),
            Mode::Lost => {
                self.seen.lose();
                let Some(boundary) = self.search.boundary(bytes, missing) else {
                    return add(parts, Part::Data(bytes.len() + missing));
                };
                if boundary.before > 0 {
                    add(parts, Part::Data(boundary.before));
                }
                if let Some(kind) = boundary.follows {
                    self.seen.pass(Kind::visible(kind));
                }
                rest = bytes.get(boundary.before..).unwrap_or_default();
                self.mode = Mode::Tls;
            }
        }
        session.begin_segment(side);

        while !rest.is_empty() {
            if self.record.is_none() {
                let Some((header, after)) = self.take_header(rest) else { break };
                rest = after;
                let Some((kind, length)) = parse_header(header) else {
                    if self.seen.is_tls() {
                        self.lose(side, session);
                    } else {
                        (self.mode, self.seen) = (Mode::Plain, Seen::default());
                    }
                    return add(parts, Part::Data(HEADER + rest.len() + missing));
                };
                self.mode = Mode::Tls;
                self.begin(side, session, kind, length, parts);
            }
            let left = self.record.map_or(0, |record| record.left);
            let (taken, after) = rest.split_at(rest.len().min(left.into()));
            rest = after;
            self.advance(side, session, taken, taken.len(), parts);
        }

        if missing > 0 {
            if self.record.is_some_and(|record| usize::from(record.left) >= missing) {
                self.advance(side, session, &[], missing, parts);
            } else {
                self.lose(side, session);
                add(parts, Part::Data(missing));
            }
        }
    }

    /// Tells the scanner that bytes of the stream are missing here, or that the trace begins in its middle.
    pub(crate) fn lose(&mut self, side: Side, session: &mut Session) {
        if self.mode == Mode::Plain {
            return;
        }
        self.finish_hello(side, session);
        session.lose(side);
        self.mode = Mode::Lost;
        self.search = Search::default();
        self.header_length = 0;
        self.record = None;
        self.seen.lose();
    }

    /// Ends the stream. Returns the number of bytes at its end that no part has counted.
    pub(crate) fn end(&mut self) -> usize {
        self.seen.end(self.is_within_record());
        let kept = self.record.filter(|record| record.is_kept && record.kind == Kind::Data);
        let kept = kept.map_or(0, |record| HEADER + usize::from(record.length - record.left));
        kept + usize::from(std::mem::take(&mut self.header_length))
    }

    fn is_within_record(&self) -> bool {
        self.mode == Mode::Tls && (self.record.is_some() || self.header_length > 0)
    }

    /// Completes the header that has begun. `None` if these bytes, which are kept, do not suffice.
    fn take_header<'a>(&mut self, bytes: &'a [u8]) -> Option<([u8; HEADER], &'a [u8])> {
        if self.header_length == 0 {
            if let Some((header, after)) = bytes.split_first_chunk() {
                return Some((*header, after));
            }
        }
        let begun = usize::from(self.header_length);
        let (taken, after) = bytes.split_at(bytes.len().min(HEADER - begun));
        self.header[begun..begun + taken.len()].copy_from_slice(taken);
        let length = begun + taken.len();
        self.header_length = if length == HEADER { 0 } else { length.to_le_bytes()[0] };
        (length == HEADER).then_some((self.header, after))
    }

    fn begin(&mut self, side: Side, session: &mut Session, kind: u8, length: u16, parts: &mut Vec<Part>) {
        // An alert may come before a hello: a warning that the server does not know the name.
        if !matches!(kind, HANDSHAKE | ALERT) {
            self.finish_hello(side, session);
        }
        let record = session.begin_record(side, kind, length, self.seen.is_lost());
        match record.kind {
            _ if record.is_kept => {}
            Kind::Alert => {}
            Kind::Data => {
                self.seen.data();
                add(parts, Part::Data(HEADER));
            }
            Kind::Handshake | Kind::Hidden | Kind::ChangeCipherSpec => add(parts, Part::Handshake),
        }
        self.seen.begin();
        self.record = Some(record);
    }

    /// Consumes `count` bytes of the current record. `bytes` are those that were captured.
    fn advance(
        &mut self,
        side: Side,
        session: &mut Session,
        bytes: &[u8],
        count: usize,
        parts: &mut Vec<Part>,
    ) {
        let Some(record) = &mut self.record else { return };
        record.take(bytes, count);
        let record = *record;
        match record.kind {
            _ if record.is_kept => session.keep(side, bytes),
            Kind::Data if count > 0 => add(parts, Part::Data(count)),
            Kind::Handshake if count > 0 => {
                add(parts, Part::Handshake);
                if let Some(message) = self.hello.take(bytes) {
                    self.read_hello(side, session, &message);
                }
                if bytes.len() < count {
                    self.finish_hello(side, session);
                }
            }
            _ => {}
        }
        if record.left == 0 {
            self.record = None;
            self.complete(side, session, record, parts);
        }
    }

    fn complete(&mut self, side: Side, session: &mut Session, record: Record, parts: &mut Vec<Part>) {
        let (kind, description) = session.end_record(side, record);
        match kind {
            Kind::Alert => add(parts, Part::Alert(description)),
            Kind::Data if record.is_kept => add(parts, Part::Data(HEADER + usize::from(record.length))),
            Kind::Hidden if record.is_kept => add(parts, Part::Handshake),
            _ => {}
        }
        self.seen.complete(kind, description);
    }

    /// Reads what there is of the first handshake message: no more of it comes.
    fn finish_hello(&mut self, side: Side, session: &mut Session) {
        if let Some(message) = self.hello.finish() {
            self.read_hello(side, session, &message);
        }
    }

    fn read_hello(&mut self, side: Side, session: &mut Session, message: &[u8]) {
        if session.read_hello(side, message) {
            self.seen.hello();
        }
    }
}

/// Appends a part, or adds it to the last one if both are data or both are handshake.
pub(crate) fn add(parts: &mut Vec<Part>, part: Part) {
    match (parts.last_mut(), part) {
        (Some(Part::Data(sum)), Part::Data(more)) => *sum += more,
        (Some(Part::Handshake), Part::Handshake) => {}
        (_, part) => parts.push(part),
    }
}
