//! What a trace lacks, in words.

use linger_wire::trace::Doubt;
use serde::Serialize;

/// A kind of doubt. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DoubtKind {
    /// Packets were cut by the capture.
    Cut,
    /// The capture lost packets.
    Lost,
    /// Only one side's packets were captured.
    OneDirection,
    /// The trace begins in the middle of the connection.
    NoSyn,
    /// Segments are not those on the wire.
    Offload,
    /// Sequence numbers repeat.
    Wrapped,
    /// The trace ends before the connection.
    EndsOpen,
    /// The trace ends in `TIME_WAIT`.
    EndsInTimeWait,
    /// The packets' times go back.
    TimeGoesBack,
}

impl DoubtKind {
    /// All kinds of doubts.
    pub const ALL: [Self; 9] = [
        Self::Cut,
        Self::Lost,
        Self::OneDirection,
        Self::NoSyn,
        Self::Offload,
        Self::Wrapped,
        Self::EndsOpen,
        Self::EndsInTimeWait,
        Self::TimeGoesBack,
    ];

    /// The kind of this doubt.
    #[must_use]
    pub fn of(doubt: &Doubt) -> Self {
        match doubt {
            Doubt::Cut(_) => Self::Cut,
            Doubt::Lost { .. } => Self::Lost,
            Doubt::OneDirection(_) => Self::OneDirection,
            Doubt::NoSyn => Self::NoSyn,
            Doubt::Offload { .. } => Self::Offload,
            Doubt::Wrapped(_) => Self::Wrapped,
            Doubt::EndsOpen => Self::EndsOpen,
            Doubt::EndsInTimeWait => Self::EndsInTimeWait,
            Doubt::TimeGoesBack => Self::TimeGoesBack,
        }
    }

    /// What it is, and what is not known because of it, in one or two sentences.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Cut => {
                "The capture cut packets (snaplen). TLS alerts and statuses in the cut parts are not seen. \
                 Capture whole packets, or at least 256 bytes of each."
            }
            Self::Lost => {
                "The capture lost packets: bytes were acknowledged that are not in it. What was in them, \
                 such as an alert or a FIN, is not known. Write to a fast disk, with a larger buffer (-B)."
            }
            Self::OneDirection => {
                "Only packets of one side were captured. What the other side sent and acknowledged is not \
                 known. Capture both directions, on the interface that both use."
            }
            Self::NoSyn => {
                "The connection began before the trace. What was sent before is not known, and which side is \
                 the client may be a guess (--server-port helps). Begin the capture earlier."
            }
            Self::Offload => {
                "Segments are larger than the MSS allows: the capture is from a host that leaves cutting to \
                 its network card. Their number, sizes and times are not those on the wire."
            }
            Self::Wrapped => {
                "A side sent more than 4 GiB, so sequence numbers repeat: an old duplicate may be taken for \
                 new data."
            }
            Self::EndsOpen => {
                "The trace ends before the connection: how it ends is not known. Capture longer."
            }
            Self::EndsInTimeWait => {
                "The trace ends less than 60 s after the connection closed: whether a reset or a new SYN \
                 followed is not known."
            }
            Self::TimeGoesBack => {
                "The times of packets go back: the trace is merged out of order, or a clock was set. Times \
                 between packets are not reliable."
            }
        }
    }
}

/// A doubt about a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoubtReport {
    /// Which.
    pub name: DoubtKind,
    /// What it is in this connection, and what is not known because of it.
    pub what: String,
}

impl From<&Doubt> for DoubtReport {
    fn from(doubt: &Doubt) -> Self {
        Self { name: DoubtKind::of(doubt), what: doubt.to_string() }
    }
}
