//! What is known about a connection's HTTP/1 requests and responses. The layers of `http` write it, the close
//! reads it.

use crate::serve::framing::Framing;
use crate::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// The exchanges of one connection. HTTP/1 has one at a time, so this is about the last one.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    progress: AtomicU8,
    requests: AtomicU8,
    upgraded: AtomicBool,
    framing: AtomicU8,
}

/// How far the last exchange is: complete (or there was none), unanswered, or failed for good.
const COMPLETE: u8 = 0;
const BUSY: u8 = 1;
const FAILED: u8 = 2;

/// How far the client is with its requests: there was none, there may be more, it has announced that this is
/// the last, or the last was read to its end.
const NONE: u8 = 0;
const MORE: u8 = 1;
const LAST: u8 = 2;
const LAST_READ: u8 = 3;

impl Exchanges {
    /// To be called when a request has arrived; `is_last` if the client has announced no other.
    pub(crate) fn begin(&self, is_last: bool) {
        // The next response may be framed differently from the last.
        self.set_framing(Framing::Unknown);
        self.progress.store(BUSY, Ordering::Release);
        self.requests.store(if is_last { LAST } else { MORE }, Ordering::Release);
    }

    /// To be called when a response is complete.
    pub(crate) fn complete(&self) {
        self.progress.store(COMPLETE, Ordering::Release);
    }

    /// To be called when the body of a response has failed: it will never be complete.
    pub(crate) fn fail(&self) {
        self.progress.store(FAILED, Ordering::Release);
    }

    /// To be called when a request was read to its end.
    pub(crate) fn end_request(&self) {
        // The body of an earlier request may outlive it.
        let _ = self.requests.compare_exchange(LAST, LAST_READ, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether the client must not send anything more: its last request was read to its end (RFC 9112 §9.6).
    pub(crate) fn is_client_done(&self) -> bool {
        self.requests.load(Ordering::Acquire) == LAST_READ && !self.is_upgraded()
    }

    /// Whether the last response has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.progress.load(Ordering::Acquire) == FAILED
    }

    /// Whether there is a request whose response is not complete.
    pub(crate) fn is_busy(&self) -> bool {
        self.progress.load(Ordering::Acquire) != COMPLETE
    }

    /// Whether any request was seen at all.
    pub(crate) fn is_known(&self) -> bool {
        self.requests.load(Ordering::Acquire) != NONE
    }

    pub(crate) fn set_framing(&self, framing: Framing) {
        self.framing.store(framing as u8, Ordering::Release);
    }

    /// How the last response is framed; unknown until its head is ready.
    pub(crate) fn framing(&self) -> Framing {
        match self.framing.load(Ordering::Acquire) {
            1 => Framing::Framed,
            2 => Framing::UntilClose,
            _ => Framing::Unknown,
        }
    }

    /// To be called when the connection goes on in another protocol, of which only the framing is known.
    pub(crate) fn upgrade(&self, framing: Framing) {
        self.set_framing(framing);
        self.upgraded.store(true, Ordering::Release);
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Acquire)
    }
}
