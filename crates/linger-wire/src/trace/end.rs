//! How a connection ended.

use std::net::IpAddr;
use std::time::Duration;

use crate::decode::IcmpKind;
use crate::transcript::Side;

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// In which way.
    pub way: Way,
    /// Who ended it: the sender of the first FIN, of the reset that counts (as it claims), or the side that
    /// gave up waiting for the other.
    pub by: Option<Side>,
    /// When: the packet that settled it, since 1970. The last packet if it is open.
    pub at: Duration,
    /// The side whose FIN came first, in whichever way the connection ended.
    pub closed_first: Option<Side>,
    /// The reset, if one ended it.
    pub reset: Option<Reset>,
    /// The ICMP error, if one was the last word about it.
    pub icmp: Option<Unreachable>,
    /// Who fell silent, if the other side waited in vain.
    pub silence: Option<Silence>,
    /// What does not fit the side that a packet claims to come from. Signs are no proof.
    pub signs: Vec<Sign>,
}

/// The five ways in which a connection ends, and what a trace shows of those that have not. Exhaustive: a new
/// variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// FINs of both sides, both acknowledged. Also where a reset took nothing: the first FIN and all data
    /// were acknowledged, and only the other side's FIN, or a TLS alert before it, was answered by the reset.
    /// And where both FINs were seen, but not the last acknowledgement, because the trace ends there.
    Normal,
    /// One side's FIN, acknowledged or at least sent, and the other side's never came. Nothing else ended it.
    HalfClosed,
    /// A reset.
    Reset,
    /// ICMP errors that name it, and nothing afterwards that shows that it lives.
    Icmp,
    /// At least two retransmissions or probes without any answer, until the end of the trace, or until a
    /// reset by the side that waited in vain; before that, one keepalive probe is enough. Also two SYNs
    /// without an answer, or one that was not sent again for three seconds.
    Timeout,
    /// A reset or FIN with signs that it comes from neither side, of which one is [strong](Sign). Never a
    /// proof: see [`End::signs`].
    Middlebox,
    /// Not at all: the trace ends first.
    Open,
}

impl Way {
    /// All ways.
    pub const ALL: [Self; 7] =
        [Self::Normal, Self::HalfClosed, Self::Reset, Self::Icmp, Self::Timeout, Self::Middlebox, Self::Open];

    /// Its name: `half_closed`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::HalfClosed => "half_closed",
            Self::Reset => "reset",
            Self::Icmp => "icmp",
            Self::Timeout => "timeout",
            Self::Middlebox => "middlebox",
            Self::Open => "open",
        }
    }
}

/// The reset that ended a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// Its sender, as it claims.
    pub by: Side,
    /// What it follows on.
    pub cause: Cause,
    /// Whether the other side was still sending: it had data that was not acknowledged yet, or it had sent
    /// data less than a second before. That second counts for a client only as long as no answer has come,
    /// and for a server only if its last segment did not end what its application had written (PSH): else
    /// every reset after a response would count.
    pub while_sending: bool,
    /// Bytes of the other side that were in the sender's receive buffer, as far as the trace tells: received
    /// after the sender's last data and after the right edge of its window last moved on. An estimate: an
    /// application may read and not answer, and Linux may let the edge move on while the buffer grows. 0 if
    /// it is less than a unit of the window scale, often 1 KiB on Linux, unless only the reset acknowledged
    /// it, or it is part of a request without an answer.
    pub unread: u64,
}

/// What a reset follows on. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It answers a SYN: nobody listens there, or the connection is refused.
    Refused,
    /// It answers a segment that came to a socket which was no longer there: its sequence number is the one
    /// that the segment acknowledged, and it has no window (RFC 9293 §3.10.7.1).
    AnswersLateSegment,
    /// It comes after the sender's own FIN, and has the form of an abort: of a socket that was still there,
    /// such as one of which only the writing half had been shut down.
    AfterFin,
    /// The sender has not closed its direction, and had unread data, as far as the trace tells: `close` with
    /// a receive buffer that is not empty (RFC 1122 §4.2.2.13, RFC 2525 §2.17). An abort with zero linger
    /// at such a moment looks the same.
    UnreadData,
    /// The sender has not closed its direction, and no unread data is visible: an abort (zero linger, a
    /// killed process) or a reset on the way.
    Abort,
    /// It follows on probes or retransmissions of its sender without an answer.
    GaveUp,
    /// It is for a connection whose both sides had closed (RFC 1337).
    InTimeWait,
}

/// An ICMP error that ended a connection, or was its last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreachable {
    /// What it says.
    pub kind: IcmpKind,
    /// Who sent it.
    pub from: IpAddr,
    /// The side whose segment it is about.
    pub about: Side,
    /// How many such errors there were.
    pub count: u64,
}

/// One side that fell silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// The side that did not answer.
    pub of: Side,
    /// What the other side sent meanwhile.
    pub asked_by: Asked,
    /// How many segments of that kind were not answered.
    pub attempts: u64,
    /// From the first of them to the end of the trace, or to the reset.
    pub lasted: Duration,
}

/// What was not answered. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asked {
    /// SYNs.
    Syn,
    /// Data or a FIN, sent again.
    Retransmission,
    /// Keepalive probes.
    Keepalive,
    /// Probes of a zero window.
    WindowProbe,
}

/// Something in a reset or FIN that does not fit the side that it claims to come from.
///
/// `Ttl`, `Sequence`, `GoesOn`, `BothSides` and `AnswersNothing` are strong: the kernels of real ends do not
/// do that, as a rule. The others are weak, and alone they do not make a [`Way::Middlebox`]. Exhaustive: a
/// new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sign {
    /// Its TTL differs from that of every other packet of this side, of which there were at least three.
    Ttl {
        /// The TTL of the packet.
        found: u8,
        /// The nearest that this side had before.
        usual: u8,
    },
    /// Its IP identification is not in this side's sequence.
    Id {
        /// The identification of the packet.
        found: u16,
        /// The last one before it.
        last: u16,
    },
    /// Its sequence number is not the next one of this side, and losses do not explain that.
    Sequence {
        /// How far it is away: bytes ahead, or behind if negative.
        off_by: i64,
    },
    /// This side went on afterwards as if it had sent nothing of the kind.
    GoesOn,
    /// Both sides were reset within 10 ms, each in the other's name, by resets of the same form.
    BothSides,
    /// It has the form of an answer to a segment, and the trace has no segment that it could answer.
    AnswersNothing,
    /// It came sooner after the segment that it answers than this side ever answered before.
    TooSoon {
        /// Its delay.
        after: Duration,
        /// The shortest that this side needed before.
        usual: Duration,
    },
    /// It lacks the timestamps that its side sent in every other packet (RFC 7323 §3.2), although it is no
    /// answer to a segment without them.
    NoTimestamps,
}
