//! Which bytes of a stream stay.

use super::hello::Hello;
use crate::tls::record::{ALERT, HANDSHAKE, HEADER, Search, begins_with_hello, parse_header};

/// Goes through one direction of a stream, as the scanner of TLS records does, and keeps what that looks at.
#[derive(Debug, Default)]
pub(super) struct Stream {
    mode: Mode,
    /// The part of the next record's header that has arrived.
    header: Vec<u8>,
    record: Option<Record>,
    hello: Hello,
    search: Search,
    /// How many records were complete, and whether one was there that only TLS has.
    records: u8,
    has_proof: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mode {
    #[default]
    Unknown,
    Plain,
    Tls,
    /// Bytes are missing, so that the next record boundary is not known.
    Lost,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    kind: u8,
    length: usize,
    left: usize,
}

impl Stream {
    /// Takes the next bytes of the stream, all from one segment, and copies those that stay to `kept`, which
    /// is as long and holds zeros. The capture cut off `missing` bytes after them.
    pub(super) fn feed(&mut self, bytes: &[u8], missing: usize, kept: &mut [u8]) {
        let mut at = 0;
        match self.mode {
            Mode::Unknown | Mode::Tls => {}
            Mode::Plain | Mode::Lost if begins_with_hello(bytes) => {
                (self.mode, self.hello) = (Mode::Tls, Hello::default());
            }
            Mode::Plain => return keep_status(bytes, kept),
            Mode::Lost => {
                keep_status(bytes, kept);
                keep_header(bytes, kept);
                let Some(found) = self.search.boundary(bytes, missing) else { return };
                (self.mode, at) = (Mode::Tls, found.before);
            }
        }
        while at < bytes.len() {
            if self.record.is_none() {
                at = self.take_header(bytes, at, kept);
                if self.record.is_none() {
                    break;
                }
            }
            let left = self.record.map_or(0, |record| record.left);
            let end = bytes.len().min(at + left);
            self.take_body(&bytes[at..end], &mut kept[at..end]);
            at = end;
        }
        if matches!(self.mode, Mode::Plain | Mode::Lost) {
            return keep_status(bytes, kept);
        }
        if missing > 0 {
            match &mut self.record {
                Some(record) if record.left >= missing => {
                    record.left -= missing;
                    self.hello.end();
                    self.complete();
                }
                _ => self.lose(),
            }
        }
    }

    /// Tells that bytes are missing here, or that the trace begins in the middle of the stream.
    pub(super) fn lose(&mut self) {
        if self.mode == Mode::Plain {
            return;
        }
        self.mode = Mode::Lost;
        self.header.clear();
        self.record = None;
        self.hello.end();
        self.search = Search::default();
    }

    /// Takes what there is of a header, and begins its record if it is complete. Returns where the next byte
    /// is, which is the end if there is no more to do.
    fn take_header(&mut self, bytes: &[u8], at: usize, kept: &mut [u8]) -> usize {
        let begun = self.header.len();
        let end = bytes.len().min(at + HEADER - begun);
        self.header.extend_from_slice(&bytes[at..end]);
        let Some(header) = self.header.first_chunk::<HEADER>() else {
            // It is not known yet whether it is one. If it cannot be one, zeros are none either.
            if may_be_header(&self.header) {
                kept[at..end].copy_from_slice(&bytes[at..end]);
            }
            return end;
        };
        let parsed = parse_header(*header);
        self.header.clear();
        let Some((kind, length)) = parsed else {
            if begun > 0 {
                // What was kept of it before must not become a header.
                kept[at..end].fill(0xff);
            }
            if self.has_proof || self.records >= 2 {
                self.lose();
            } else {
                self.mode = Mode::Plain;
            }
            return bytes.len();
        };
        kept[at..end].copy_from_slice(&bytes[at..end]);
        self.mode = Mode::Tls;
        let length = usize::from(length);
        // A warning may come before the hello.
        if kind != HANDSHAKE && kind != ALERT {
            self.hello.end();
        }
        self.record = Some(Record { kind, length, left: length });
        end
    }

    fn take_body(&mut self, bytes: &[u8], kept: &mut [u8]) {
        let Some(record) = &mut self.record else { return };
        let is_clear_alert = record.kind == ALERT && record.length == 2;
        if is_clear_alert {
            kept.copy_from_slice(bytes);
            self.has_proof = true;
        } else if record.kind == HANDSHAKE {
            for (byte, kept) in bytes.iter().zip(kept) {
                if self.hello.keeps(*byte) {
                    *kept = *byte;
                    self.has_proof = true;
                }
            }
        }
        record.left -= bytes.len();
        self.complete();
    }

    fn complete(&mut self) {
        if self.record.is_some_and(|record| record.left == 0) {
            self.record = None;
            self.records = self.records.saturating_add(1);
        }
    }
}

/// Keeps what looks like a header at the beginning of a segment: if another stands where its record ends, the
/// search takes both for headers.
fn keep_header(bytes: &[u8], kept: &mut [u8]) {
    if let Some(header) = bytes.first_chunk::<HEADER>().filter(|header| parse_header(**header).is_some()) {
        kept[..HEADER].copy_from_slice(header);
    }
}

/// Whether a header may begin with these bytes.
fn may_be_header(begun: &[u8]) -> bool {
    let mut header = [ALERT, 3, 3, 0, 0];
    header[..begun.len()].copy_from_slice(begun);
    parse_header(header).is_some()
}

/// Keeps the version and the status of an HTTP/1 response that begins here.
fn keep_status(bytes: &[u8], kept: &mut [u8]) {
    let Some((start, _)) = bytes.split_first_chunk::<12>() else { return };
    if let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor, b' ', status @ ..] = start {
        if minor.is_ascii_digit() && status.iter().all(u8::is_ascii_digit) {
            kept[..start.len()].copy_from_slice(start);
        }
    }
}
