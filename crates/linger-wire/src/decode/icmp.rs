//! ICMP errors, and the segment that they quote.

use etherparse::{IpNumber, ip_number};

use super::ip::Ip;
use super::{IcmpError, IcmpKind};

/// What an ICMP message is.
pub(super) enum Message {
    /// An error about a TCP segment.
    Error(IcmpError),
    /// About something else.
    Other,
    /// Too short to say.
    Damaged,
}

/// Reads a message of ICMP for either version of IP.
pub(super) fn parse(bytes: &[u8], protocol: IpNumber) -> Message {
    let Some((&[kind, code, ..], quoted)) = bytes.split_first_chunk::<HEADER>() else {
        return Message::Damaged;
    };
    let kind = if protocol == ip_number::ICMP { error(kind, code) } else { error_v6(kind, code) };
    let Some(kind) = kind else { return Message::Other };
    // Only the quoted packet's sender knew its length on the wire.
    let Some(ip) = Ip::parse(quoted, quoted.len()) else { return Message::Damaged };
    if ip.protocol != ip_number::TCP || ip.fragment {
        return Message::Other;
    }
    // At least 8 bytes of it are quoted (RFC 792), which is up to the sequence number.
    let number = |at: usize| Some(u16::from_be_bytes(*ip.payload.get(at..)?.first_chunk()?));
    let (Some(source_port), Some(destination_port)) = (number(0), number(2)) else { return Message::Damaged };
    let seq = ip.payload.get(4..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_be_bytes(*bytes));
    Message::Error(IcmpError {
        kind,
        source: (ip.source, source_port),
        destination: (ip.destination, destination_port),
        seq,
    })
}

/// RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1. `None` if it is no error.
fn error(kind: u8, code: u8) -> Option<IcmpKind> {
    Some(match (kind, code) {
        (3, 0 | 6 | 11) => IcmpKind::NetworkUnreachable,
        (3, 1 | 7 | 8 | 12) => IcmpKind::HostUnreachable,
        (3, 2) => IcmpKind::ProtocolUnreachable,
        (3, 3) => IcmpKind::PortUnreachable,
        (3, 4) => IcmpKind::PacketTooBig,
        (3, 9 | 10 | 13) => IcmpKind::Prohibited,
        (3 | 4, _) => IcmpKind::Other(kind, code),
        (11, _) => IcmpKind::TimeExceeded,
        (12, _) => IcmpKind::ParameterProblem,
        _ => return None,
    })
}

/// RFC 4443 §3. `None` if it is no error: those are below 128.
fn error_v6(kind: u8, code: u8) -> Option<IcmpKind> {
    Some(match (kind, code) {
        (1, 0) => IcmpKind::NetworkUnreachable,
        (1, 1 | 5 | 6) => IcmpKind::Prohibited,
        (1, 2 | 3) => IcmpKind::HostUnreachable,
        (1, 4) => IcmpKind::PortUnreachable,
        (2, _) => IcmpKind::PacketTooBig,
        (3, _) => IcmpKind::TimeExceeded,
        (4, _) => IcmpKind::ParameterProblem,
        (0..=127, _) => IcmpKind::Other(kind, code),
        (128.., _) => return None,
    })
}

const HEADER: usize = 8;
