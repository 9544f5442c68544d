//! Packets that no kernel would send, and the sequence numbers that they need.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use linger_wire::decode::{Decoded, Payload, decode};
use linger_wire::live::{Filter, Socket as Live};
use socket2::{Domain, Protocol, Socket, Type};

/// Watches one port for the sequence numbers of its connections.
#[derive(Debug)]
pub(super) struct Watch {
    live: Live,
    port: u16,
}

/// Where the client of the last connection is, and what both sides would send next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    pub(super) client: SocketAddrV4,
    pub(super) server: SocketAddrV4,
    pub(super) client_seq: u32,
    pub(super) server_seq: u32,
}

impl Watch {
    pub(super) fn start(server: SocketAddr) -> Self {
        let live = Live::open(&Filter::new(vec![server.port()])).expect("captures");
        Self { live, port: server.port() }
    }

    /// What comes next after everything that has left.
    pub(super) fn next(self) -> Next {
        let mut reader = self.live.into_reader();
        let mut next = None;
        loop {
            let mut any = false;
            for frame in reader.read().expect("reads") {
                any = true;
                let Decoded::Packet(packet) = decode(&frame) else { continue };
                let Payload::Tcp(tcp) = packet.payload else { continue };
                let address = |ip, port| match SocketAddr::new(ip, port) {
                    SocketAddr::V4(address) => address,
                    SocketAddr::V6(_) => panic!("over IPv4 only"),
                };
                let source = address(packet.source, tcp.source_port);
                let destination = address(packet.destination, tcp.destination_port);
                let length = tcp.length + u32::from(tcp.flags.syn) + u32::from(tcp.flags.fin);
                let (own, other) = (tcp.seq.wrapping_add(length), tcp.ack.unwrap_or_default());
                next = Some(if tcp.source_port == self.port {
                    Next { client: destination, server: source, client_seq: other, server_seq: own }
                } else {
                    Next { client: source, server: destination, client_seq: own, server_seq: other }
                });
            }
            match next {
                Some(next) if !any => return next,
                _ => {}
            }
        }
    }
}

impl Next {
    /// A segment in the client's name.
    pub(super) fn of_client(self) -> Segment {
        let (source, destination) = (self.client, self.server);
        Segment { source, destination, seq: self.client_seq, ack: self.server_seq, ..Segment::NEW }
    }

    /// A segment in the server's name.
    pub(super) fn of_server(self) -> Segment {
        let (source, destination) = (self.server, self.client);
        Segment { source, destination, seq: self.server_seq, ack: self.client_seq, ..Segment::NEW }
    }
}

/// A segment over IPv4, without options.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) source: SocketAddrV4,
    pub(super) destination: SocketAddrV4,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) window: u16,
    pub(super) ttl: u8,
    pub(super) payload: &'static [u8],
}

impl Segment {
    const NEW: Self = Self {
        source: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
        destination: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
        seq: 0,
        ack: 0,
        flags: ACK,
        window: 500,
        ttl: 64,
        payload: &[],
    };

    /// Sends it.
    pub(super) fn send(&self) {
        // The kernel computes the checksum of the IP header.
        let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(IPPROTO_RAW))).expect("root");
        let tcp = self.tcp();
        let mut packet = vec![0x45, 0];
        packet.extend(u16::try_from(20 + tcp.len()).expect("short").to_be_bytes());
        packet.extend([0, 0, 0x40, 0, self.ttl, TCP, 0, 0]);
        packet.extend(self.source.ip().octets());
        packet.extend(self.destination.ip().octets());
        packet.extend(tcp);
        raw.send_to(&packet, &self.destination.into()).expect("loopback");
    }

    fn tcp(&self) -> Vec<u8> {
        let mut tcp = Vec::new();
        tcp.extend(self.source.port().to_be_bytes());
        tcp.extend(self.destination.port().to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        tcp.extend([5 << 4, self.flags]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(self.payload);
        let length = u16::try_from(tcp.len()).expect("short").to_be_bytes();
        let (source, destination) = (self.source.ip().octets(), self.destination.ip().octets());
        let pseudo = [&source[..], &destination[..], &[0, TCP], &length, &tcp].concat();
        let sum = checksum(&pseudo);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        tcp
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from)).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

pub(super) const RST: u8 = 0x04;
pub(super) const ACK: u8 = 0x10;
const TCP: u8 = 6;
const IPPROTO_RAW: i32 = 255;
