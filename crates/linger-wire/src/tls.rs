//! Finds TLS records in one direction of a TCP stream and classifies them without keys.
//!
//! In TLS 1.3 the type of an encrypted record is hidden (RFC 8446 §5.2). The scanner infers it from two
//! facts: an alert has two bytes, and the order of the handshake is fixed. The inference is wrong in these
//! cases:
//! - Application data of exactly two bytes in a TLS 1.3 record counts as an alert.
//! - Session tickets, key updates and data that a server sends before the client's Finished look alike:
//!   before it they all count as handshake, afterwards as data.
//! - If a client pads its Finished, or sends it after a certificate with data in the same segment, that data
//!   counts as handshake.

mod record;

use crate::transcript::{Part, Side};
use record::{ALERT, APPLICATION_DATA, HANDSHAKE, HEADER, chooses_tls13, is_whole_records, parse_header};

/// What the scanners of both directions of a connection share.
#[derive(Debug, Default)]
pub(crate) struct Session {
    tls13: bool,
    client_flight: Flight,
}

/// The client's encrypted handshake messages in TLS 1.3.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Flight {
    #[default]
    Before,
    Sending,
    Done,
}

/// Cuts the stream of one direction into records.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    mode: Mode,
    /// The part of the next record's header that has arrived.
    header: Vec<u8>,
    record: Option<Record>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mode {
    #[default]
    Unknown,
    Plain,
    Tls,
    /// TLS, but bytes are missing, so that the next record boundary is unknown.
    Lost,
}

#[derive(Debug)]
struct Record {
    kind: u8,
    length: usize,
    left: usize,
    /// The first bytes of alerts and handshake messages.
    head: Vec<u8>,
    is_data: bool,
}

impl Scanner {
    /// Takes the next bytes of the stream, all from one segment, and describes them.
    ///
    /// The capture cut off `missing` bytes after them. The result is empty if there was only the beginning of
    /// a record header: those bytes are counted with the rest of their record.
    pub(crate) fn feed(
        &mut self,
        side: Side,
        session: &mut Session,
        bytes: &[u8],
        missing: usize,
    ) -> Vec<Part> {
        let mut parts = Vec::new();
        if self.mode == Mode::Lost && missing == 0 && is_whole_records(bytes) {
            self.mode = Mode::Tls;
        }
        if matches!(self.mode, Mode::Plain | Mode::Lost) {
            add(&mut parts, Part::Data(bytes.len() + missing));
            return parts;
        }
        if side == Side::Client && session.client_flight == Flight::Sending {
            // The flight ends with the segment in which it began.
            session.client_flight = Flight::Done;
        }

        let mut rest = bytes;
        while !rest.is_empty() {
            if self.record.is_none() {
                let (taken, after) = rest.split_at(rest.len().min(HEADER - self.header.len()));
                self.header.extend_from_slice(taken);
                rest = after;
                let Some(header) = self.header.first_chunk::<HEADER>() else { break };
                let Some((kind, length)) = parse_header(*header) else {
                    self.mode = if self.mode == Mode::Unknown { Mode::Plain } else { Mode::Lost };
                    add(&mut parts, Part::Data(self.header.len() + rest.len() + missing));
                    self.header.clear();
                    return parts;
                };
                self.mode = Mode::Tls;
                self.header.clear();
                self.begin(side, session, kind, length, &mut parts);
            }
            let left = self.record.as_ref().map_or(0, |record| record.left);
            let (taken, after) = rest.split_at(rest.len().min(left));
            rest = after;
            self.advance(side, session, taken, taken.len(), &mut parts);
        }

        if missing > 0 {
            if self.record.as_ref().is_some_and(|record| record.left >= missing) {
                self.advance(side, session, &[], missing, &mut parts);
            } else {
                self.lose();
                add(&mut parts, Part::Data(missing));
            }
        }
        parts
    }

    /// Tells the scanner that bytes of the stream are missing here.
    pub(crate) fn lose(&mut self) {
        if self.mode != Mode::Plain {
            self.mode = Mode::Lost;
        }
        self.header.clear();
        self.record = None;
    }

    /// Ends the stream. Returns the number of bytes of an incomplete header at its end.
    pub(crate) fn end(&mut self) -> usize {
        std::mem::take(&mut self.header).len()
    }

    fn begin(&mut self, side: Side, session: &mut Session, kind: u8, length: usize, parts: &mut Vec<Part>) {
        let hidden = session.tls13 && kind == APPLICATION_DATA;
        let kind = if hidden && length == HIDDEN_ALERT { ALERT } else { kind };
        let mut is_data = kind == APPLICATION_DATA;
        if hidden && is_data {
            if side == Side::Client && session.client_flight == Flight::Before {
                session.client_flight = Flight::Sending;
            }
            let handshaking = match side {
                Side::Client => session.client_flight == Flight::Sending,
                Side::Server => session.client_flight == Flight::Before,
            };
            is_data = !handshaking;
        }
        if is_data {
            add(parts, Part::Data(HEADER));
        } else if kind != ALERT {
            add(parts, Part::Handshake);
        }
        self.record = Some(Record { kind, length, left: length, head: Vec::new(), is_data });
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
        record.left -= count;
        if record.is_data {
            if count > 0 {
                add(parts, Part::Data(count));
            }
        } else {
            if record.kind == HANDSHAKE && count > 0 {
                add(parts, Part::Handshake);
            }
            let room = HEAD_LIMIT.saturating_sub(record.head.len());
            record.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        if record.left > 0 {
            return;
        }
        match record.kind {
            ALERT => {
                let description = if record.length == 2 { record.head.get(1).copied() } else { None };
                add(parts, Part::Alert(description));
            }
            HANDSHAKE if side == Side::Server && chooses_tls13(&record.head) => session.tls13 = true,
            APPLICATION_DATA
                if side == Side::Client && !record.is_data && HIDDEN_FINISHED.contains(&record.length) =>
            {
                session.client_flight = Flight::Done;
            }
            _ => {}
        }
        self.record = None;
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

/// Enough for a `ServerHello`, with a post-quantum key share too.
const HEAD_LIMIT: usize = 4096;
/// An alert in TLS 1.3: two bytes, the hidden type, the tag.
const HIDDEN_ALERT: usize = 2 + 1 + 16;
/// Finished in TLS 1.3: a header of four bytes, a SHA-256 or SHA-384 value, the hidden type, the tag.
const HIDDEN_FINISHED: [usize; 2] = [4 + 32 + 1 + 16, 4 + 48 + 1 + 16];

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, length: u8) -> Vec<u8> {
        [vec![kind, 3, 3, 0, length], vec![0; length.into()]].concat()
    }

    #[test]
    fn a_record_counts_where_its_header_is_complete() {
        let (mut scanner, mut session) = (Scanner::default(), Session::default());
        let bytes = record(APPLICATION_DATA, 40);
        assert_eq!(scanner.feed(Side::Client, &mut session, &bytes[..3], 0), []);
        assert_eq!(scanner.feed(Side::Client, &mut session, &bytes[3..20], 0), [Part::Data(20)]);
        assert_eq!(scanner.feed(Side::Client, &mut session, &bytes[20..], 0), [Part::Data(25)]);
        assert_eq!(scanner.end(), 0);
    }

    #[test]
    fn an_alert_in_the_clear_is_named() {
        let alert = [ALERT, 3, 3, 0, 2, 2, 40];
        let parts = Scanner::default().feed(Side::Server, &mut Session::default(), &alert, 0);
        assert_eq!(parts, [Part::Alert(Some(40))]);
    }

    #[test]
    fn records_are_found_again_after_a_cut() {
        let (mut scanner, mut session) =
            (Scanner::default(), Session { tls13: true, client_flight: Flight::Done });
        let mut upload = record(APPLICATION_DATA, 200);
        upload.truncate(50);
        assert_eq!(scanner.feed(Side::Client, &mut session, &upload, 1000), [Part::Data(1050)]);
        assert_eq!(scanner.feed(Side::Client, &mut session, &[0; 30], 0), [Part::Data(30)]);
        assert_eq!(
            scanner.feed(Side::Client, &mut session, &record(APPLICATION_DATA, 19), 0),
            [Part::Alert(None)]
        );
    }

    #[test]
    fn a_hidden_handshake_ends_with_the_clients_finished() {
        let (mut client, mut server) = (Scanner::default(), Scanner::default());
        let mut session = Session { tls13: true, client_flight: Flight::Before };
        let data = record(APPLICATION_DATA, 100);
        assert_eq!(server.feed(Side::Server, &mut session, &data, 0), [Part::Handshake]);
        let flight = [data.clone(), record(APPLICATION_DATA, 53), data.clone()].concat();
        assert_eq!(client.feed(Side::Client, &mut session, &flight, 0), [Part::Handshake, Part::Data(105)]);
        assert_eq!(server.feed(Side::Server, &mut session, &data, 0), [Part::Data(105)]);
    }
}
