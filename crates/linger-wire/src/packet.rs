//! Reads packets from the kernel and selects those of the watched port.

use std::borrow::Cow;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice};
use nix::cmsg_space;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeSpec, TimeVal};
use socket2::{SockFilter, SockRef};

use crate::segment::Segment;
use crate::transcript::Side;

/// A packet that the capture uses.
#[derive(Debug)]
pub(crate) enum Packet<'a> {
    /// A segment of a connection to the watched port.
    Tcp(Segment<'a>),
    /// A packet of our own, with the number that it carries.
    Marker(u8),
}

/// The ports that identify these packets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) server: u16,
    pub(crate) marker: u16,
}

/// Which packets are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Packets that leave: on loopback this is each packet, once.
    Leaving,
    /// Packets that leave, and packets that arrive from another host.
    Both,
}

/// A packet that was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    pub(crate) length: usize,
    /// How many packets the queue has dropped so far, if any.
    pub(crate) dropped: Option<u32>,
    /// When the kernel saw it, since 1970.
    pub(crate) at: Duration,
}

/// Opens a socket that yields packets from the IP header on, cut to `limit` bytes.
pub(crate) fn open_socket(limit: u32, seen: Seen) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let packets = socket(AddressFamily::Packet, SockType::Datagram, flags, SockProtocol::EthAll)?;
    SockRef::from(&packets).attach_filter(&filter(limit, seen))?;
    setsockopt(&packets, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(&packets, sockopt::RxqOvfl, &1)?;
    // `RcvBufForce` needs root outside user namespaces. `RcvBuf` is limited to net.core.rmem_max.
    if setsockopt(&packets, sockopt::RcvBufForce, &QUEUE_BYTES).is_err() {
        setsockopt(&packets, sockopt::RcvBuf, &QUEUE_BYTES)?;
    }
    setsockopt(&packets, sockopt::ReceiveTimeout, &TimeVal::new(0, 20_000))?;
    // Discard what came before the filter was in place.
    let mut buffer = [0; 1];
    while read(&packets, &mut buffer, MsgFlags::MSG_DONTWAIT).is_ok() {}
    Ok(packets)
}

/// The next packet, in `buffer`.
pub(crate) fn read(packets: &OwnedFd, buffer: &mut [u8], flags: MsgFlags) -> nix::Result<Received> {
    let mut control = cmsg_space!(u32, TimeSpec);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(packets.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
    let mut received = Received { length: message.bytes, dropped: None, at: Duration::ZERO };
    for control in message.cmsgs()? {
        match control {
            ControlMessageOwned::RxqOvfl(dropped) => received.dropped = Some(dropped),
            ControlMessageOwned::ScmTimestampns(at) => received.at = at.into(),
            _ => {}
        }
    }
    Ok(received)
}

/// A classic BPF program: "if the packet type is outgoing (or, for both, to this host), keep `limit` bytes,
/// else none".
fn filter(limit: u32, seen: Seen) -> [SockFilter; 5] {
    const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    // BPF addresses metadata such as the packet type by negative offsets.
    let packet_type = 0_u32.wrapping_add_signed(libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE);
    let other = if seen == Seen::Both { libc::PACKET_HOST } else { libc::PACKET_OUTGOING };
    [
        SockFilter::new(LOAD_BYTE, 0, 0, packet_type),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, libc::PACKET_OUTGOING.into()),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, other.into()),
        SockFilter::new(RETURN, 0, 0, limit),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// Parses a packet that begins with its IP header and may be cut. `None` if the capture does not use it.
pub(crate) fn parse(packet: &[u8], ports: Ports, at: Duration) -> Option<Packet<'_>> {
    let parsed = LaxSlicedPacket::from_ip(packet).ok()?;
    let (source, destination, total): (IpAddr, IpAddr, usize) = match &parsed.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into(), header.total_len().into())
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let total = IPV6_HEADER + usize::from(header.payload_length());
            (header.source_addr().into(), header.destination_addr().into(), total)
        }
        _ => return None,
    };
    match &parsed.transport {
        Some(TransportSlice::Udp(udp)) if udp.source_port() == ports.marker => {
            udp.payload().first().copied().map(Packet::Marker)
        }
        Some(TransportSlice::Tcp(tcp)) => {
            let missing = total.saturating_sub(packet.len());
            segment(tcp, (source, destination), missing, ports.server)
                .map(|segment| Packet::Tcp(Segment { at, ..segment }))
        }
        _ => None,
    }
}

fn segment<'a>(
    tcp: &TcpSlice<'a>,
    (source, destination): (IpAddr, IpAddr),
    missing: usize,
    port: u16,
) -> Option<Segment<'a>> {
    let (client, side) = if tcp.source_port() == port {
        (SocketAddr::new(destination, tcp.destination_port()), Side::Server)
    } else if tcp.destination_port() == port {
        (SocketAddr::new(source, tcp.source_port()), Side::Client)
    } else {
        return None;
    };
    Some(Segment {
        at: Duration::ZERO,
        client,
        side,
        seq: tcp.sequence_number(),
        ack: tcp.ack().then(|| tcp.acknowledgment_number()),
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        payload: Cow::Borrowed(tcp.payload()),
        missing,
    })
}

/// More than any packet: segments on loopback are up to 64 KiB.
pub(crate) const WHOLE: u32 = 128 * 1024;
/// Asked for; the kernel doubles it.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;
const IPV6_HEADER: usize = 40;
