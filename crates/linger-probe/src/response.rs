//! Reads a response as it arrives and tells whether it is complete. Of a body it keeps only the length, so
//! memory is bounded.

mod chunked;
mod head;

use chunked::Chunked;
use head::Body;
pub(crate) use head::Head;

/// The first final response of a connection, as far as it has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Bytes of the body that have arrived.
    pub(crate) body_bytes: u64,
    /// Whether the whole body has arrived. A body that the connection's end delimits is complete only then.
    pub(crate) complete: bool,
}

/// Reads the first final response of a connection.
#[derive(Debug)]
pub(crate) struct Reader {
    stage: Stage,
    /// The bytes of an incomplete head.
    head: Vec<u8>,
    /// How many interim responses have come.
    interim: u32,
    found: Option<Head>,
    body_bytes: u64,
    /// Bytes after the complete response.
    extra: u64,
    fault: Option<&'static str>,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Head,
    Length(u64),
    Chunks(Chunked),
    ToEnd,
    Whole,
    /// The framing is invalid, so the rest cannot be read.
    Lost,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Head,
            head: Vec::new(),
            interim: 0,
            found: None,
            body_bytes: 0,
            extra: 0,
            fault: None,
        }
    }

    /// Takes the next bytes.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = match &mut self.stage {
                Stage::Head => self.take_head(bytes),
                Stage::Length(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= here as u64;
                    self.body_bytes += here as u64;
                    if *left == 0 {
                        self.stage = Stage::Whole;
                    }
                    here
                }
                Stage::Chunks(chunks) => {
                    let step = chunks.take(bytes);
                    self.body_bytes += step.data;
                    if step.is_last {
                        self.stage = Stage::Whole;
                    }
                    step.fault.map_or(step.taken, |fault| self.give_up(fault, bytes.len()))
                }
                Stage::ToEnd => {
                    self.body_bytes += bytes.len() as u64;
                    bytes.len()
                }
                Stage::Lost => bytes.len(),
                Stage::Whole => {
                    self.extra += bytes.len() as u64;
                    bytes.len()
                }
            };
            bytes = &bytes[taken..];
        }
    }

    /// The response, as far as it has arrived. `ended` says that the data ended cleanly, which completes a
    /// body without a length (RFC 9112 §6.3).
    pub(crate) fn response(&self, ended: bool) -> Option<Response> {
        let complete = match self.stage {
            Stage::Whole => true,
            Stage::ToEnd => ended,
            Stage::Head | Stage::Length(_) | Stage::Chunks(_) | Stage::Lost => false,
        };
        let status = self.found.as_ref()?.status;
        Some(Response { status, body_bytes: self.body_bytes, complete })
    }

    /// Whether an interim response has come, or the head of the final one.
    pub(crate) fn has_answered(&self) -> bool {
        self.interim > 0 || self.found.is_some()
    }

    /// Whether only the connection's end delimits the body.
    pub(crate) fn reads_to_the_end(&self) -> bool {
        matches!(self.stage, Stage::ToEnd)
    }

    /// The head of the final response.
    pub(crate) fn head(&self) -> Option<&Head> {
        self.found.as_ref()
    }

    /// Why the bytes are no valid response, in a few words.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    /// Bytes after the complete response.
    pub(crate) fn extra(&self) -> u64 {
        self.extra
    }

    /// Reads heads: of interim responses (RFC 9110 §15.2), then of the final one. Returns how many bytes it
    /// took.
    fn take_head(&mut self, bytes: &[u8]) -> usize {
        // The end of a head may be split between two reads.
        let searched = self.head.len().saturating_sub(3);
        let before = self.head.len();
        let room = HEAD_LIMIT.saturating_sub(before).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        let Some(end) = head::end(&self.head, searched) else {
            if !head::may_begin(&self.head) {
                return self.give_up(NOT_HTTP, bytes.len());
            }
            if room < bytes.len() {
                return self.give_up("a head of more than 2 MiB", bytes.len());
            }
            return room;
        };
        match head::parse(&self.head[..end]) {
            Ok(Head { status: 100..=199, .. }) if self.interim == INTERIM_LIMIT => {
                return self.give_up("interim responses without end", bytes.len());
            }
            // 101 is final, because it ends HTTP on this connection.
            Ok(Head { status: 100 | 102..=199, .. }) => self.interim += 1,
            Ok(found) => {
                self.stage = match found.body {
                    Body::Length(0) | Body::None => Stage::Whole,
                    Body::Length(length) => Stage::Length(length),
                    Body::Chunked => Stage::Chunks(Chunked::new()),
                    Body::ToEnd => Stage::ToEnd,
                    Body::Invalid(fault) => {
                        self.fault = Some(fault);
                        Stage::Lost
                    }
                };
                self.found = Some(found);
            }
            Err(fault) => return self.give_up(fault, bytes.len()),
        }
        // Free the memory: a load has many readers.
        self.head = Vec::new();
        end - before
    }

    fn give_up(&mut self, fault: &'static str, taken: usize) -> usize {
        self.fault = Some(fault);
        self.stage = Stage::Lost;
        self.head = Vec::new();
        taken
    }
}

/// The fault of bytes that are not HTTP/1 at all.
pub(crate) const NOT_HTTP: &str = "not HTTP/1.1";
/// The longest head that is read: far more than any client accepts or any server should send.
const HEAD_LIMIT: usize = 2 << 20;
/// The most interim responses before the final one.
const INTERIM_LIMIT: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Reader {
        let mut reader = Reader::new();
        reader.take(bytes);
        // The result does not depend on how the bytes are split.
        for size in [1, 2, 3, 7] {
            let mut pieces = Reader::new();
            bytes.chunks(size).for_each(|piece| pieces.take(piece));
            assert_eq!(pieces.response(true), reader.response(true), "pieces of {size}");
            assert_eq!((pieces.fault, pieces.extra), (reader.fault, reader.extra), "pieces of {size}");
        }
        reader
    }

    fn whole(bytes: &[u8], ended: bool) -> Response {
        read(bytes).response(ended).expect("its head is whole")
    }

    #[test]
    fn a_length_delimits() {
        let bytes = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nabcnext";
        assert_eq!(whole(bytes, false), Response { status: 413, body_bytes: 3, complete: true });
        assert_eq!(read(bytes).extra(), 4);
        let cut = Response { status: 413, body_bytes: 2, complete: false };
        assert_eq!(whole(&bytes[..bytes.len() - 5], true), cut);
        assert_eq!(read(&bytes[..20]).response(true), None);
    }

    #[test]
    fn chunks_delimit() {
        let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
            3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n";
        assert_eq!(whole(bytes, false), Response { status: 200, body_bytes: 13, complete: true });
        for cut in 1..=34 {
            assert!(!whole(&bytes[..bytes.len() - cut], true).complete, "{cut} bytes");
        }
    }

    #[test]
    fn the_end_delimits_where_nothing_else_does() {
        let bytes = b"HTTP/1.0 200 OK\r\n\r\nabc";
        assert!(whole(bytes, true).complete);
        assert!(!whole(bytes, false).complete);
    }

    #[test]
    fn an_interim_response_is_not_the_response() {
        let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        assert_eq!(whole(bytes, false).status, 204);
        assert!(read(bytes).head().is_some_and(|head| head.closes));
        let first = read(&bytes[..25]);
        assert!(first.response(false).is_none() && first.has_answered());
        let many = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1001);
        assert_eq!(read(&many).fault(), Some("interim responses without end"));
    }

    /// A client that parses numbers carelessly would take each of these for complete.
    #[test]
    fn framing_that_is_invalid_is_never_whole() {
        let heads = [
            "Content-Length: -5",
            "Content-Length: +3",
            "Content-Length: 3 3",
            "Content-Length: ",
            "Content-Length: 99999999999999999999999",
            "Content-Length: 18446744073709551616",
            "Content-Length: 3\r\nContent-Length: 30",
            "Content-Length: 3, 4",
        ];
        for head in heads {
            let found = read(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nok\n").as_bytes());
            assert!(!found.response(true).expect("a head").complete, "{head}");
            assert!(found.fault().is_some(), "{head}");
        }
        for head in ["Content-Length: 3, 3", "Content-Length: 3\r\nContent-Length: 3"] {
            assert!(whole(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nok\n").as_bytes(), false).complete);
        }
        let chunks = [
            "ffffffffffffffff\r\nok\n",
            "10000000000000000\r\nok\n",
            "zzz\r\nok\n",
            "\r\nok",
            "2\r\nok\n\r\n0\r\n\r\n",
        ];
        for body in chunks {
            let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
            assert!(!read(bytes.as_bytes()).response(true).expect("a head").complete, "{body:?}");
        }
    }

    #[test]
    fn what_is_not_http_is_a_fault_and_a_head_has_a_bound() {
        assert_eq!(read(b"SSH-2.0-OpenSSH\r\n").fault(), Some(NOT_HTTP));
        assert_eq!(read(b"ok\n").fault(), Some(NOT_HTTP));
        let mut reader = Reader::new();
        reader.take(b"HTTP/1.1 200 OK\r\nX: ");
        for _ in 0..40 {
            reader.take(&b"b".repeat(64 << 10));
        }
        assert_eq!(reader.fault(), Some("a head of more than 2 MiB"));
        assert!(reader.head.capacity() == 0);
    }
}
