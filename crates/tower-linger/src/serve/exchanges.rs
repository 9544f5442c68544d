//! What is known about a connection's HTTP/1 requests and responses. The layers of `http` write it, the close
//! reads it.

use std::time::Duration;

use linger_proto::Requests;

use crate::serve::framing::Framing;
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

/// The exchanges of one connection. HTTP/1 has one at a time, so this is about the last one.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    progress: AtomicU8,
    upgraded: AtomicBool,
    framing: AtomicU8,
    /// A [`Last`], so that all of it changes at once.
    last: AtomicU32,
}

/// How far the last exchange is: complete (or there was none), unanswered, or failed for good.
const COMPLETE: u8 = 0;
const BUSY: u8 = 1;
const FAILED: u8 = 2;

/// The request that was seen last, in the bits of one number: whether it was announced as the last and was
/// read to its end, its number, and in the upper bits how many milliseconds the client took to send it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Last(u32);

const ANNOUNCED: u32 = 1;
const READ: u32 = 2;
/// The first number. Without any request it is zero.
const FIRST: u32 = 4;
const NUMBERS: u32 = 1 << 10;
const MILLISECOND: u32 = FIRST * NUMBERS;
/// 17 minutes.
const LONGEST_MS: u32 = u32::MAX / MILLISECOND;

/// Which request of its connection it is: another one has the same number after a thousand, for which no
/// service holds a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number(u32);

impl Last {
    fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    fn number(self) -> Number {
        Number(self.0 / FIRST % NUMBERS)
    }

    /// It leaves zero out.
    fn next(self, is_last: bool) -> Self {
        let number = (self.number().0 + 1) % NUMBERS;
        Self(number.max(1) * FIRST + if is_last { ANNOUNCED } else { 0 })
    }

    /// Nobody knows when a client is silent that has paused for longer than can be told.
    fn read(self, sent_for: Duration) -> Self {
        let millis = u32::try_from(sent_for.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
        if millis > LONGEST_MS && !self.has(ANNOUNCED) {
            return self;
        }
        Self(self.0 | READ | (millis.min(LONGEST_MS) * MILLISECOND))
    }

    fn sent_for_ms(self) -> u32 {
        self.0 / MILLISECOND
    }
}

impl Exchanges {
    /// To be called when a request has arrived; `is_last` if the client has announced no other.
    pub(crate) fn begin(&self, is_last: bool) -> Number {
        // The next response may be framed differently from the last.
        self.set_framing(Framing::Unknown);
        self.progress.store(BUSY, Ordering::Release);
        let last = self.last().next(is_last);
        self.last.store(last.0, Ordering::Release);
        last.number()
    }

    /// To be called when a response is complete.
    pub(crate) fn complete(&self) {
        self.progress.store(COMPLETE, Ordering::Release);
    }

    /// To be called when the body of a response has failed: it will never be complete.
    pub(crate) fn fail(&self) {
        self.progress.store(FAILED, Ordering::Release);
    }

    /// To be called when this request was read to its end, which the client has sent for so long. A service
    /// may hold its body, and read its end, when the next request has begun: then it is not about that.
    pub(crate) fn end_request(&self, number: Number, sent_for: Duration) {
        let last = self.last();
        if last.number() == number {
            let read = last.read(sent_for);
            let _ = self.last.compare_exchange(last.0, read.0, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// What may still come from the client.
    pub(crate) fn requests(&self) -> Requests {
        let last = self.last();
        if !last.has(READ) || self.is_upgraded() {
            Requests::Unknown
        } else if last.has(ANNOUNCED) {
            Requests::Over
        } else {
            Requests::Read { sent_for_ms: last.sent_for_ms() }
        }
    }

    fn last(&self) -> Last {
        Last(self.last.load(Ordering::Acquire))
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
        self.last() != Last::default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_wraps_and_is_never_none() {
        let last = Last(MILLISECOND - 1);
        assert_eq!(last.next(false), Last(FIRST));
        assert_eq!(last.next(true).number(), Last::default().next(false).number());
        assert!(last.next(true).has(ANNOUNCED) && !last.next(true).has(READ));
    }

    #[test]
    fn a_time_is_rounded_up_and_unknown_if_it_is_too_long() {
        let read = |time| Last(FIRST).read(time);
        assert_eq!(read(Duration::ZERO), Last(FIRST | READ));
        assert_eq!(read(Duration::from_nanos(1)).sent_for_ms(), 1);
        assert_eq!(
            (LONGEST_MS, MILLISECOND * LONGEST_MS),
            (0xF_FFFF, 0xFFFF_F000),
            "the bits that the others leave"
        );
        let longest = Duration::from_millis(LONGEST_MS.into());
        assert_eq!((read(longest).sent_for_ms(), read(longest).number()), (LONGEST_MS, Last(FIRST).number()));
        assert_eq!(read(longest + Duration::from_nanos(1)), Last(FIRST));
        assert!(Last(FIRST | ANNOUNCED).read(Duration::MAX).has(READ));
    }
}
