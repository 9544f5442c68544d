//! The parts of TLS records that are not encrypted.

use super::hello::{CLIENT_HELLO, SERVER_HELLO};

/// The type and length of a record; `None` if these bytes cannot be its header.
pub(crate) fn parse_header([kind, major, minor, high, low]: [u8; HEADER]) -> Option<(u8, u16)> {
    let length = u16::from_be_bytes([high, low]);
    let known = (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind) && major == 3 && minor <= 4;
    (known && length <= RECORD_LIMIT).then_some((kind, length))
}

/// Whether a segment consists of whole records.
pub(crate) fn is_whole_records(mut bytes: &[u8]) -> bool {
    while let Some((header, rest)) = bytes.split_first_chunk() {
        let Some((_, length)) = parse_header(*header) else { return false };
        let Some(rest) = rest.get(length.into()..) else { return false };
        bytes = rest;
        if bytes.is_empty() {
            return true;
        }
    }
    false
}

/// Whether a segment begins with a record that begins with a `ClientHello` or `ServerHello`.
pub(crate) fn begins_with_hello(bytes: &[u8]) -> bool {
    let Some((header, rest)) = bytes.split_first_chunk() else { return false };
    // Of the message's length, only the first of three bytes is certain: a hello has less than 64 KiB.
    let &[CLIENT_HELLO | SERVER_HELLO, 0, _, _, 3, ..] = rest else { return false };
    parse_header(*header).is_some_and(|(kind, _)| kind == HANDSHAKE)
}

/// The length of the header of the PROXY protocol with which a stream may begin, if all of it is here: a line
/// of at most 107 bytes in version 1, and 16 bytes with a length at their end in version 2.
pub(crate) fn proxy_header(bytes: &[u8]) -> usize {
    let length = if bytes.starts_with(b"PROXY ") {
        let end = bytes.iter().take(107).position(|byte| *byte == b'\n');
        end.map(|end| end + 1)
    } else if let Some([_, _, high, low]) =
        bytes.strip_prefix(b"\r\n\r\n\0\r\nQUIT\n").and_then(|rest| rest.first_chunk())
    {
        Some(16 + usize::from(u16::from_be_bytes([*high, *low])))
    } else {
        None
    };
    length.filter(|length| *length <= bytes.len()).unwrap_or(0)
}

/// Looks for a record boundary in a stream whose boundaries are not known.
///
/// A segment that consists of whole records has one at its start. Otherwise two headers must be found, the
/// second where the first one's record ends: of other data, one place in three million looks like a header.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Where the next header stands if the last one was real: so many bytes after those that were seen.
    expected: Option<u32>,
    /// The type in the last header, if that was real.
    kind: u8,
}

/// A record boundary that is certain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Boundary {
    /// How many bytes of the segment stand before it.
    pub(crate) before: usize,
    /// The type of the record that ends there, if its header was in an earlier segment.
    pub(crate) follows: Option<u8>,
}

impl Search {
    /// The first boundary in this segment that is certain, if there is one.
    pub(crate) fn boundary(&mut self, bytes: &[u8], missing: usize) -> Option<Boundary> {
        if missing == 0 && is_whole_records(bytes) {
            return Some(Boundary { before: 0, follows: None });
        }
        let expected = self.expected.take();
        let mut at = usize::try_from(expected.unwrap_or(0)).ok()?;
        let follows = expected.map(|_| self.kind);
        let mut first = expected.map(|_| at);
        while let Some(header) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            let (kind, length) = parse_header(*header)?;
            if let Some(before) = first {
                return Some(Boundary { before, follows });
            }
            self.kind = kind;
            first = Some(at);
            at += HEADER + usize::from(length);
        }
        // The rest of a header that stands at the end of this segment is not worth the trouble.
        let after = at.checked_sub(bytes.len())?.checked_sub(missing)?;
        self.expected = first.and_then(|_| u32::try_from(after).ok());
        None
    }
}

pub(crate) const HEADER: usize = 5;
/// The longest record: the largest plaintext with the largest expansion that any version allows.
const RECORD_LIMIT: u16 = (1 << 14) + 2048;

pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;
