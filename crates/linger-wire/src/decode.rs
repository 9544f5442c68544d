//! What of a captured packet matters for the end of a connection: TCP segments, and ICMP errors about them.

mod icmp;
mod ip;
mod link;
mod tcp;

use std::net::IpAddr;
use std::time::Duration;

use etherparse::ip_number;

pub(crate) use ip::Ip;
use link::Network;

/// A packet as it was captured, from its link-layer header on.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// When it was captured, since 1970.
    pub at: Duration,
    /// How its first header is to be read.
    pub link: LinkType,
    /// How many bytes it had on the wire. More than were captured if the capture cuts packets (`snaplen`).
    pub length: u32,
    /// What was captured of it.
    pub bytes: &'a [u8],
}

/// What a frame begins with (<https://www.tcpdump.org/linktypes.html>). Exhaustive: a new variant is a
/// breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// An Ethernet header, perhaps with VLAN tags (`LINKTYPE_ETHERNET`, 1).
    Ethernet,
    /// An IP header (`LINKTYPE_RAW`, 101; `LINKTYPE_IPV4`, 228; `LINKTYPE_IPV6`, 229).
    Ip,
    /// Linux's "cooked" header (`LINKTYPE_LINUX_SLL`, 113).
    LinuxSll,
    /// Its second version (`LINKTYPE_LINUX_SLL2`, 276).
    LinuxSll2,
    /// The address family in the byte order of the capturing host (`LINKTYPE_NULL`, 0): loopback of the BSDs
    /// and macOS.
    Null,
    /// The address family in network byte order (`LINKTYPE_LOOP`, 108): loopback of OpenBSD.
    Loop,
}

impl LinkType {
    /// The link type of this number in a capture file.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Null,
            1 => Self::Ethernet,
            // 12 and 14 are what BSDs call raw IP inside; some programs write it to files.
            12 | 14 | 101 | 228 | 229 => Self::Ip,
            108 => Self::Loop,
            113 => Self::LinuxSll,
            276 => Self::LinuxSll2,
            _ => return None,
        })
    }

    /// Its number in a capture file.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Ethernet => 1,
            Self::Ip => 101,
            Self::LinuxSll => 113,
            Self::LinuxSll2 => 276,
            Self::Null => 0,
            Self::Loop => 108,
        }
    }
}

/// What a frame holds.
#[derive(Debug, Clone, Copy)]
pub enum Decoded<'a> {
    /// A TCP segment or an ICMP error about one.
    Packet(Packet<'a>),
    /// A fragment of an IP packet that carries TCP, the first one included: it is not followed.
    Fragment,
    /// Anything else, such as UDP or ARP.
    Other,
    /// The headers make no sense, or so much of them is cut off that not even the 20 bytes are left that
    /// every TCP header has. Of an ICMP error, the ports of the quoted segment must be there.
    Damaged,
}

/// An IP packet of a TCP connection, or about one.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// When it was captured, since 1970.
    pub at: Duration,
    /// The sender, as the packet claims.
    pub source: IpAddr,
    /// The receiver.
    pub destination: IpAddr,
    /// How many routers may still pass it on: IPv4's TTL, or IPv6's hop limit.
    pub ttl: u8,
    /// IPv4's identification.
    pub id: Option<u16>,
    /// What it carries.
    pub payload: Payload<'a>,
}

/// What an IP packet carries.
#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    /// A TCP segment.
    Tcp(Tcp<'a>),
    /// An ICMP error about a TCP segment.
    Icmp(IcmpError),
}

/// A TCP segment (RFC 9293 §3.1).
#[derive(Debug, Clone, Copy)]
pub struct Tcp<'a> {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// The sequence number.
    pub seq: u32,
    /// The acknowledgement number, if the segment has one.
    pub ack: Option<u32>,
    /// Its flags.
    pub flags: Flags,
    /// The window, not yet scaled.
    pub window: u16,
    /// Its options.
    pub options: Options,
    /// The captured part of the payload.
    pub payload: &'a [u8],
    /// The length of the payload on the wire. More than was captured if the capture cuts packets.
    pub length: u32,
}

/// The flags of a TCP segment that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are bits of the header, and independent")]
pub struct Flags {
    /// Opens a direction.
    pub syn: bool,
    /// Ends a direction.
    pub fin: bool,
    /// Aborts the connection.
    pub rst: bool,
    /// The sender has no more data for now.
    pub psh: bool,
}

/// The options of a TCP segment that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// The largest segment that the sender takes, in bytes (RFC 9293 §3.7.1). In SYNs only.
    pub mss: Option<u16>,
    /// By how many bits windows are shifted (RFC 7323 §2). In SYNs only.
    pub window_scale: Option<u8>,
    /// The sender's clock and the echo of the other's (RFC 7323 §3).
    pub timestamps: Option<(u32, u32)>,
    /// Whether there are blocks of a selective acknowledgement (RFC 2018).
    pub sack: bool,
}

/// An ICMP error, and the TCP segment that it is about (RFC 792, RFC 4443).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpError {
    /// What went wrong.
    pub kind: IcmpKind,
    /// The sender of the segment, as the segment says.
    pub source: (IpAddr, u16),
    /// Where the segment was to go.
    pub destination: (IpAddr, u16),
    /// The segment's sequence number, if the error quotes that much.
    pub seq: Option<u32>,
}

/// What an ICMP error says. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IcmpKind {
    /// There is no way to the network.
    NetworkUnreachable,
    /// There is no way to the host (in IPv6: or to its address).
    HostUnreachable,
    /// The host has no such protocol.
    ProtocolUnreachable,
    /// Nobody listens at the port.
    PortUnreachable,
    /// The packet is too large for a link, and may not be cut: path MTU discovery uses it.
    PacketTooBig,
    /// A firewall or an administrator forbids it.
    Prohibited,
    /// The packet passed too many routers, or its fragments came too late.
    TimeExceeded,
    /// A header that the host cannot read.
    ParameterProblem,
    /// Another error, with its type and code.
    Other(u8, u8),
}

/// Reads the headers of a frame.
///
/// Lengths are those of the IP header, so padding of Ethernet is no payload. Only where the IP header has
/// none, [`Frame::length`] stands in: Linux captures segments so before its network card cuts them, and
/// packets of more than 64 KiB. TCP options that the capture cut off are missing; everything else is there.
#[must_use]
pub fn decode<'a>(frame: &Frame<'a>) -> Decoded<'a> {
    let ip = match ip(frame) {
        Ok(ip) => ip,
        Err(other) => return other,
    };
    let payload = match ip.protocol {
        ip_number::TCP if ip.fragment => return Decoded::Fragment,
        _ if ip.fragment => return Decoded::Other,
        ip_number::TCP => tcp::parse(ip.payload, ip.length).map(Payload::Tcp),
        ip_number::ICMP | ip_number::IPV6_ICMP => match icmp::parse(ip.payload, ip.protocol) {
            icmp::Message::Error(error) => Some(Payload::Icmp(error)),
            icmp::Message::Other => return Decoded::Other,
            icmp::Message::Damaged => None,
        },
        _ => return Decoded::Other,
    };
    let Some(payload) = payload else { return Decoded::Damaged };
    let Ip { source, destination, ttl, id, .. } = ip;
    Decoded::Packet(Packet { at: frame.at, source, destination, ttl, id, payload })
}

/// The IP packet in a frame. Otherwise what the frame is.
pub(crate) fn ip<'a>(frame: &Frame<'a>) -> Result<Ip<'a>, Decoded<'a>> {
    let captured = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
    let bytes = match link::network(frame.link, frame.bytes) {
        Network::Ip(bytes) => bytes,
        Network::Other => return Err(Decoded::Other),
        Network::Damaged => return Err(Decoded::Damaged),
    };
    // What the capture cut off is behind what it kept, so link header and cut part have the same lengths.
    let cut = frame.length.saturating_sub(captured) as usize;
    Ip::parse(bytes, bytes.len() + cut).ok_or(Decoded::Damaged)
}

#[cfg(test)]
mod tests;
