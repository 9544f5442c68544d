//! The words of verdicts: sides, ICMP errors, signs.

use linger_wire::Side;
use linger_wire::decode::IcmpKind;
use linger_wire::trace::Sign;

use crate::quantity::{counted, span};

/// `server` or `client`.
pub(super) fn name(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

/// What this side sends: `request` or `response`.
pub(super) fn stream(side: Side) -> &'static str {
    match side {
        Side::Client => "request",
        Side::Server => "response",
    }
}

/// What an ICMP error says: `port unreachable`.
pub(in crate::read) fn icmp(kind: IcmpKind) -> String {
    let name = match kind {
        IcmpKind::NetworkUnreachable => "network unreachable",
        IcmpKind::HostUnreachable => "host unreachable",
        IcmpKind::ProtocolUnreachable => "protocol unreachable",
        IcmpKind::PortUnreachable => "port unreachable",
        IcmpKind::PacketTooBig => "packet too big",
        IcmpKind::Prohibited => "administratively prohibited",
        IcmpKind::TimeExceeded => "time exceeded",
        IcmpKind::ParameterProblem => "parameter problem",
        IcmpKind::Other(kind, code) => return format!("type {kind}, code {code}"),
    };
    name.to_owned()
}

/// A sign, as a part of a sentence about the packet.
pub(in crate::read) fn sign(sign: &Sign) -> String {
    match *sign {
        Sign::Ttl { found, usual } => {
            format!("its TTL is {found}, that of other packets of its side is {usual}")
        }
        Sign::Id { found, last } => {
            format!("its IP identification {found} is not in the sequence of its side (before it {last})")
        }
        Sign::Sequence { off_by } if off_by >= 0 => {
            let bytes = counted(off_by.unsigned_abs(), "byte", "bytes");
            format!("its sequence number is {bytes} ahead of its side's next byte")
        }
        Sign::Sequence { off_by } => {
            let bytes = counted(off_by.unsigned_abs(), "byte", "bytes");
            format!("its sequence number is {bytes} behind its side's next byte")
        }
        Sign::GoesOn => "the side that it claims to come from went on as if it had not sent it".to_owned(),
        Sign::BothSides => "both sides were reset within a moment, each in the other's name".to_owned(),
        Sign::AnswersNothing => {
            "it has the form of an answer to a segment, and the trace has no such segment".to_owned()
        }
        Sign::TooSoon { after, usual } => format!(
            "it came {} after the segment that it answers, and its side needed at least {} before",
            span(after),
            span(usual)
        ),
        Sign::NoTimestamps => "it lacks the timestamps of its side's other packets".to_owned(),
    }
}
