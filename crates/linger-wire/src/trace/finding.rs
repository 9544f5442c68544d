//! What deserves a word in how a connection ended. These are facts; how bad they are, and what helps, is for
//! the reader to say.

use std::time::Duration;

use crate::transcript::Side;

/// A fact about a connection. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// A side reset the connection while it had unread data, or while the other side was sending.
    ResetWhileReceiving {
        /// The side that reset.
        by: Side,
        /// Bytes in its receive buffer, estimated from its window.
        unread: u64,
        /// Bytes of the other side that came after it had closed or reset.
        late: u64,
        /// Bytes of its own stream that were never acknowledged: what its reset may have taken.
        lost: u64,
    },
    /// One side closed, the other sent `close_notify` or another alert as its last word, and that was
    /// answered by a reset. If the other side closed, too, the end is [normal](super::Way::Normal).
    CloseNotifyReset {
        /// The side that reset.
        by: Side,
    },
    /// Data came to a side that had sent its FIN and then released its socket, and was answered by a reset.
    DataAfterClose {
        /// The side that had closed.
        closed: Side,
        /// Bytes that came afterwards.
        bytes: u64,
    },
    /// A reset came for a connection whose FINs were both acknowledged: it ends `TIME_WAIT` (RFC 1337).
    TimeWaitAssassination {
        /// The sender of the reset.
        by: Side,
    },
    /// A SYN came from a port whose last connection had ended less than [`TIME_WAIT`](super::TIME_WAIT) ago,
    /// and the side that holds `TIME_WAIT` did not accept it at once.
    PortInTimeWait {
        /// How long ago the last connection had ended.
        since: Duration,
        /// What answered the SYN.
        answer: SynAnswer,
    },
    /// A side waited in `FIN_WAIT2`: its FIN was acknowledged, and the other side did not close, for a second
    /// at least or until the end of the trace.
    FinWait2 {
        /// The side that waited.
        side: Side,
        /// For how long, until the other's FIN, a reset or the end of the trace.
        lasted: Duration,
        /// Whether it still waited at the end of the trace.
        open: bool,
    },
    /// A side acknowledged a FIN and did not close until the end of the trace: `CLOSE_WAIT`.
    CloseWait {
        /// The side that does not close.
        side: Side,
        /// For how long.
        lasted: Duration,
    },
    /// A request crossed the server's FIN on an idle connection, and was not answered. Idle means that the
    /// last request was answered, and that nothing came for a millisecond at least.
    KeepAliveRace {
        /// Bytes of the request.
        bytes: u64,
        /// How long the connection had been idle.
        idle: Duration,
    },
    /// TLS ended without `close_notify` of this side, although it closed or reset after data.
    NoCloseNotify {
        /// The side that sent none.
        side: Side,
    },
    /// This side closed or reset within a TLS record of its stream.
    CutInRecord {
        /// The side whose record was cut.
        side: Side,
    },
    /// A TLS alert other than `close_notify`.
    Alert {
        /// Its sender.
        side: Side,
        /// The number of its description, if visible.
        description: Option<u8>,
    },
    /// A side announced a window of zero for 200 ms or longer: it did not read. Linux probes such a window
    /// after that time at the earliest.
    ZeroWindow {
        /// The side that did not read.
        side: Side,
        /// For how long.
        lasted: Duration,
    },
    /// ICMP errors named the connection, and it went on.
    IcmpHealed {
        /// How many.
        count: u64,
    },
    /// Both sides sent their FIN before they saw the other's (RFC 9293 §3.6, case 3).
    SimultaneousClose,
}

/// What answered a SYN from a port in `TIME_WAIT`. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SynAnswer {
    /// A reset.
    Reset,
    /// An acknowledgement of the old connection (RFC 5961 §4), which the client answers by a reset.
    Challenge,
    /// Nothing.
    Silence,
}
