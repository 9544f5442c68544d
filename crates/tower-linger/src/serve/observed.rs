//! What is noticed of a connection while it is served, and what that says about its end.

use std::io;
use std::task::Poll;

use linger_proto::{Alert, Cut, CutShownBy, Failure, Outcome, Start};
use tokio::io::ReadBuf;

use crate::close::verdict::{Ends, Verdict};
use crate::serve::connection::{Connection, Override};
use crate::serve::framing::Framing;
use crate::transport::Transport;
use crate::transport::session::SessionEnd;

/// What the close has to know about the reads and writes before it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Observed {
    pub(crate) start: Start,
    /// The service asked for the half-close and was told that it is done, but it is not sent yet.
    pub(crate) owes_half_close: bool,
    pub(crate) writes: Writes,
    /// The last read took all that had arrived.
    pub(crate) has_read_all: bool,
    /// The last response that began with a write was a `101`.
    is_upgraded: bool,
    framing: Framing,
}

/// What became of the service's writes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    /// The service wrote nothing.
    #[default]
    None,
    /// The transport accepted the last one.
    Taken,
    /// The last one had to wait: the service has more to send.
    Blocked,
    /// One failed, so what the service had to send is incomplete.
    Failed,
    /// The transport accepted none for as long as the policy allows.
    TimedOut,
}

impl Observed {
    /// A TLS handshake that failed: its alert was the last message.
    pub(crate) fn failed_handshake<T: Transport>(error: &io::Error) -> Self {
        let mut observed = Self::default();
        observed.start.fatal_alert = Some(Alert::Sent);
        observed.note::<T>(error);
        observed
    }

    /// What the connection's end means.
    pub(crate) fn verdict(&self, connection: &Connection, wanted: &Override) -> Verdict {
        let (is_idle, is_busy, framing) = self.seen_of_requests(connection);
        // A client cannot mistake no response at all for a complete one.
        let is_empty = self.writes == Writes::None && framing == Framing::UntilClose;
        let framing = if is_empty { Framing::Framed } else { framing };
        let shown_by = match framing {
            Framing::Framed => CutShownBy::Framing,
            Framing::Unknown | Framing::UntilClose => CutShownBy::LateReset,
        };
        let cut = |outcome| Ends::Cut(Cut { shown_by, outcome: Some(outcome) });
        let reset = |outcome| Ends::Cut(Cut { shown_by: CutShownBy::Reset, outcome: Some(outcome) });
        let ends = match wanted {
            Override::Reset => reset(Outcome::Aborted),
            _ if self.writes == Writes::TimedOut => reset(Outcome::FlushTimeout),
            // The peer has been shown the end.
            _ if self.start.half_closed.is_some() => Ends::Told,
            // The response may be complete, so its framing would not show the abort.
            Override::Abort => Ends::Cut(Verdict::aborted(CutShownBy::LateReset)),
            // A handler's panic unwinds through this drop.
            _ if std::thread::panicking() => cut(Outcome::Aborted),
            // The service ended its writes; some are still on their way out.
            _ if self.owes_half_close && !connection.has_failed_response() => Ends::Told,
            _ if connection.is_cut() && !is_idle => cut(Outcome::ShutdownCut),
            _ if is_busy || !self.is_written() => Ends::Busy,
            _ if is_idle => Ends::Whole,
            // No failure is known, and nothing shows that this is HTTP. It ends as it would without this
            // crate: by a FIN, without close_notify.
            _ if framing == Framing::Unknown => {
                Ends::Unknown(Cut { shown_by: CutShownBy::Framing, outcome: None })
            }
            Override::None | Override::Policy(_) => Ends::Unknown(Verdict::aborted(shown_by)),
        };
        Verdict { ends, shown_by }
    }

    /// Whether the connection is idle, whether it is busy, and how the end of the last response can be told.
    /// It is neither where nobody can tell.
    fn seen_of_requests(&self, connection: &Connection) -> (bool, bool, Framing) {
        // The owner of an upgraded connection drops it when it is done.
        let passed_on = self.is_upgraded || connection.is_passed_on();
        #[cfg(feature = "http")]
        if let Some(exchanges) = connection.known_exchanges() {
            let framing = match exchanges.framing() {
                Framing::Unknown => self.framing,
                known => known,
            };
            let passed_on = passed_on || exchanges.is_upgraded();
            let is_cut_tunnel = passed_on && connection.is_cut();
            let is_busy = exchanges.is_busy() && !passed_on;
            return (!is_busy && !is_cut_tunnel && self.is_written(), is_busy, framing);
        }
        // Nothing was sent, so nothing can look complete. But what the deadline cuts may have sent a request.
        let is_untouched = self.writes == Writes::None && (!connection.is_cut() || connection.is_fresh());
        (is_untouched || (passed_on && !connection.is_cut()), false, self.framing)
    }

    /// Whether the transport accepted everything that the service wrote.
    fn is_written(&self) -> bool {
        matches!(self.writes, Writes::None | Writes::Taken)
    }

    /// Whether the connection was upgraded, as far as its own writes tell.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.is_upgraded
    }

    /// Records a failed read or flush, and returns it.
    #[cold]
    #[inline(never)]
    pub(crate) fn record<T: Transport>(&mut self, error: io::Error) -> io::Error {
        self.note::<T>(&error);
        error
    }

    /// Records a failed write, and returns it: whatever failed, the service's response is not whole.
    #[cold]
    #[inline(never)]
    pub(crate) fn record_write<T: Transport>(&mut self, error: io::Error) -> io::Error {
        self.writes = Writes::Failed;
        self.record::<T>(error)
    }

    /// Notes a read that brought no bytes: a failure or, where there was room for some, the end of the
    /// peer's data.
    #[cold]
    #[inline(never)]
    pub(crate) fn note_read<T: Transport>(
        &mut self,
        io: &T,
        result: io::Result<()>,
        into: &ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &result {
            Ok(()) => self.start.peer_ended |= into.remaining() > 0 && !io.met_fin(),
            Err(error) => self.note::<T>(error),
        }
        Poll::Ready(result)
    }

    /// Keeps the first failure, and the first that ended the connection: the kernel reports each only once.
    pub(crate) fn note<T: Transport>(&mut self, error: &io::Error) {
        let end = T::session_end(error);
        // The drain will see the FIN again.
        if end == Some(SessionEnd::Truncated) {
            return;
        }
        if let Some(alert) = end.and_then(SessionEnd::fatal_alert) {
            self.start.fatal_alert.get_or_insert(alert);
        }
        let failure = Failure::from(error);
        let first = *self.start.failure.get_or_insert(failure);
        if failure.is_final() && !first.is_final() {
            self.start.ended_by.get_or_insert(failure.outcome());
        }
    }

    /// Looks at the first bytes of the peer: HTTP/2 shows each cut by its frames, HTTP/1 need not.
    #[cold]
    #[inline(never)]
    pub(crate) fn note_first_bytes(&mut self, bytes: &[u8]) {
        // A part of the preface (RFC 9113 §3.4) is enough to tell it from any request.
        const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let length = bytes.len().min(PREFACE.len());
        if length >= 4 && bytes[..length] == PREFACE[..length] {
            self.framing = Framing::Framed;
        } else if may_be_request(bytes) {
            // Assume that its response has no end of its own.
            self.framing = Framing::UntilClose;
        }
    }

    /// Notes whether a response begins with this write. If none does, this costs one comparison.
    #[inline]
    pub(crate) fn note_write(&mut self, bytes: &[u8]) {
        if bytes.starts_with(b"HTTP/1.") {
            self.note_head(bytes);
        }
    }

    /// hyper sends its heads at the beginning of a write, and frames what it sends to clients of HTTP/1.1. A
    /// body that happens to look like a head can make this wrong; a request-level layer knows better.
    #[inline(never)]
    fn note_head(&mut self, bytes: &[u8]) {
        self.is_upgraded = bytes.get(9..12) == Some(b"101");
        if bytes[7..].starts_with(b"1") && !self.is_upgraded {
            self.framing = Framing::Framed;
        } else {
            self.note_unusual_head(bytes);
        }
    }

    /// Notes a head of HTTP/1.0 or of an upgrade, which needs a closer look.
    #[cold]
    fn note_unusual_head(&mut self, bytes: &[u8]) {
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").map_or(bytes, |end| &bytes[..end]);
        // WebSocket messages have frames. Other protocols are unknown here.
        let sign: &[u8] = if self.is_upgraded { b"websocket" } else { b"\r\ncontent-length:" };
        self.framing = if has(head, sign) { Framing::Framed } else { Framing::UntilClose };
    }
}

/// Whether a request of HTTP/1 begins so (RFC 9112 §3): a method, a space, and the version at the end of the
/// line, if that is there. Other protocols have such verbs, too, as in `EHLO host` and `SET key value`.
fn may_be_request(bytes: &[u8]) -> bool {
    if bytes.iter().find(|byte| !byte.is_ascii_uppercase()) != Some(&b' ') {
        return false;
    }
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return true };
    let line = bytes[..end].trim_ascii_end();
    line.len().checked_sub(b" HTTP/1.1".len()).is_some_and(|at| line[at..].starts_with(b" HTTP/1."))
}

fn has(head: &[u8], name: &[u8]) -> bool {
    head.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn framed_as(note: fn(&mut Observed, &[u8]), cases: &[(&[u8], Framing)]) {
        for (bytes, expected) in cases {
            let mut observed = Observed::default();
            note(&mut observed, bytes);
            assert_eq!(observed.framing, *expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_response_is_framed_if_its_head_says_where_it_ends() {
        let cases: &[(&[u8], _)] = &[
            (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody", Framing::Framed),
            // HTTP/1.0 knows nothing but a length.
            (b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody", Framing::Framed),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n", Framing::Framed),
            (b"HTTP/1.0 200 OK\r\nserver: a\r\n\r\nbody", Framing::UntilClose),
            (b"HTTP/1.0 200 OK\r\nserver: a\r\n\r\n\r\ncontent-length: 4", Framing::UntilClose),
            (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n", Framing::Framed),
            (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: other\r\n\r\nwebsocket", Framing::UntilClose),
            (b"SSH-2.0-a\r\n", Framing::Unknown),
        ];
        framed_as(Observed::note_write, cases);
    }

    #[test]
    fn the_first_bytes_tell_http_2_and_requests_of_http_1_from_what_is_unknown() {
        let cases: &[(&[u8], _)] = &[
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nframes", Framing::Framed),
            (b"PRI * HT", Framing::Framed),
            (b"PRI ", Framing::Framed),
            (b"GET / HTTP/1.1\r\n", Framing::UntilClose),
            (b"SET key value\r\n", Framing::Unknown),
            (b"PRI", Framing::Unknown),
        ];
        framed_as(Observed::note_first_bytes, cases);
    }
}
