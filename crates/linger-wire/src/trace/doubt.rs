//! What a trace lacks, and what is not known because of it.

use std::fmt;

use crate::transcript::Side;

/// Something that a trace lacks of a connection. Its `Display` says what is not known because of it.
/// Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// Packets were cut by the capture (`snaplen`): so many bytes of payload are missing.
    Cut(u64),
    /// Bytes were acknowledged that are not in the trace: the capture lost packets.
    Lost {
        /// The sender of the bytes.
        side: Side,
        /// How many.
        bytes: u64,
    },
    /// Only packets of this side were captured.
    OneDirection(Side),
    /// The trace begins in the middle of the connection.
    NoSyn,
    /// Segments are larger than the MSS allows: the capture saw them before the network card cut them, or
    /// after it joined them. Their number and times are not those on the wire.
    Offload {
        /// The largest payload.
        largest: u32,
    },
    /// A side sent more than 4 GiB: sequence numbers repeat, and an old duplicate may be taken for new data.
    Wrapped(Side),
    /// The end of the connection is not in the trace, or not all of it: the trace ends first, or its ports
    /// were used again. Beside a timeout it means that the next attempt could still have been answered.
    EndsOpen,
    /// The trace ends within 10 ms after this connection closed: whether a reset followed is not known.
    EndsInTimeWait,
    /// The packets' times go back by more than 100 ms: the trace is merged from several, or a clock was set.
    TimeGoesBack,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |side: &Side| match side {
            Side::Client => "client",
            Side::Server => "server",
        };
        match self {
            Self::Cut(bytes) => {
                write!(f, "packets are cut, {bytes} bytes are missing: TLS alerts there are not seen")
            }
            Self::Lost { side, bytes } => {
                write!(f, "{bytes} bytes of the {} were acknowledged but not captured", name(side))
            }
            Self::OneDirection(side) => {
                write!(
                    f,
                    "only packets of the {} were captured: what the other side did is not known",
                    name(side)
                )
            }
            Self::NoSyn => f.write_str("it began before the trace: what came before is not known"),
            Self::Offload { largest } => write!(
                f,
                "segments of up to {largest} bytes: the capture is from a host that leaves cutting to its \
                 card, so that segments and their times are not those on the wire"
            ),
            Self::Wrapped(side) => {
                write!(f, "the {} sent more than 4 GiB: sequence numbers repeat", name(side))
            }
            Self::EndsOpen => f.write_str("the trace ends before the connection, or has no end of it"),
            Self::EndsInTimeWait => {
                f.write_str("the trace ends in TIME_WAIT: whether a reset followed is not known")
            }
            Self::TimeGoesBack => f.write_str("the times of its packets go back"),
        }
    }
}
