//! Makes the packets anew.

use std::net::IpAddr;

use etherparse::checksum::Sum16BitWords;
use etherparse::{IpNumber, Ipv4Header, Ipv6Header, ip_number};

use crate::decode::{Ip, Tcp};

/// What the IP header of a packet says.
pub(super) struct Route {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) ttl: u8,
    pub(super) id: Option<u16>,
}

impl Route {
    /// The header before `length` bytes. It has none of the options or extensions that there may have been.
    fn header(&self, protocol: IpNumber, length: usize) -> Vec<u8> {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut header = Ipv4Header {
                    // Linux writes 0, too, where the length does not fit.
                    total_len: u16::try_from(Ipv4Header::MIN_LEN + length).unwrap_or(0),
                    identification: self.id.unwrap_or(0),
                    dont_fragment: true,
                    time_to_live: self.ttl,
                    protocol,
                    source: source.octets(),
                    destination: destination.octets(),
                    ..Ipv4Header::default()
                };
                header.header_checksum = header.calc_header_checksum();
                header.to_bytes().to_vec()
            }
            _ => Ipv6Header {
                payload_length: u16::try_from(length).unwrap_or(0),
                next_header: protocol,
                hop_limit: self.ttl,
                source: octets(self.source),
                destination: octets(self.destination),
                ..Ipv6Header::default()
            }
            .to_bytes()
            .to_vec(),
        }
    }
}

/// A segment with zeros as its payload, and its length on the wire. The checksum is still to be made.
pub(super) fn tcp(route: &Route, tcp: &Tcp<'_>, ip: &Ip<'_>) -> (Vec<u8>, u32) {
    let header_length = ip.length.saturating_sub(tcp.length as usize);
    let header = &ip.payload[..header_length.min(ip.payload.len())];
    let mut bytes = route.header(ip_number::TCP, ip.length);
    let before = bytes.len();
    bytes.extend_from_slice(header);
    if let Some(options) = bytes.get_mut(before + FIXED..) {
        blank_options(options);
    }
    bytes.resize(bytes.len() + tcp.payload.len(), 0);
    (bytes, u32::try_from(before + ip.length).unwrap_or(u32::MAX))
}

/// Makes the checksum of a segment whose payload is what it will be. What was cut off counts as zeros.
///
/// The packet begins with a header that [`Route::header`] made.
pub(super) fn finish_tcp(packet: &mut [u8], length: u32) {
    let (header, addresses) = match packet.first() {
        Some(0x45) => (Ipv4Header::MIN_LEN, 12..20),
        _ => (Ipv6Header::LEN, 8..40),
    };
    let (Some(addresses), Some(segment)) = (packet.get(addresses), packet.get(header..)) else { return };
    if segment.len() < FIXED {
        return;
    }
    let length = length.saturating_sub(u32::try_from(header).unwrap_or(0));
    let sum = Sum16BitWords::new().add_slice(addresses).add_slice(&length.to_be_bytes());
    let sum = sum.add_2bytes([0, ip_number::TCP.0]);
    // The old checksum is not part of it.
    let sum = sum.add_slice(&segment[..16]).add_slice(&segment[18..]);
    let checksum = sum.ones_complement().to_ne_bytes();
    packet[header + 16..header + 18].copy_from_slice(&checksum);
}

/// An ICMP error, which quotes as much of the segment as it must: the ports and the sequence number.
pub(super) fn icmp(route: &Route, quoted: (IpAddr, IpAddr), ip: &Ip<'_>) -> Option<(Vec<u8>, u32)> {
    let (message, quote) = ip.payload.split_first_chunk::<8>()?;
    let inner = Ip::parse(quote, quote.len())?;
    let inner_route = Route { source: quoted.0, destination: quoted.1, ttl: inner.ttl, id: inner.id };
    // Of the rest of the header only the MTU of a link has a meaning, and says nothing of anybody.
    let [kind, code, .., high, low] = *message;
    let mut bytes = vec![kind, code, 0, 0, 0, 0, high, low];
    bytes.extend(inner_route.header(inner.protocol, inner.length));
    bytes.extend_from_slice(&inner.payload[..inner.payload.len().min(8)]);
    let length = bytes.len();
    let sum = match ip.protocol {
        ip_number::ICMP => Sum16BitWords::new(),
        // ICMPv6's covers the addresses, too (RFC 4443 §2.3).
        protocol => Sum16BitWords::new()
            .add_slice(&octets(route.source))
            .add_slice(&octets(route.destination))
            .add_slice(&u32::try_from(length).ok()?.to_be_bytes())
            .add_2bytes([0, protocol.0]),
    };
    let checksum = sum.add_slice(&bytes).ones_complement().to_ne_bytes();
    bytes[2..4].copy_from_slice(&checksum);
    let packet = [route.header(ip.protocol, length), bytes].concat();
    let length = u32::try_from(packet.len()).ok()?;
    Some((packet, length))
}

/// Keeps the options that are read, and of the others their types and lengths: they may hold addresses, keys
/// and cookies.
fn blank_options(mut bytes: &mut [u8]) {
    while let Some((&mut kind, rest)) = bytes.split_first_mut() {
        let length = match (kind, rest.first()) {
            (NO_OPERATION, _) => 1,
            (END, _) | (_, None | Some(0 | 1)) => {
                // What follows is padding, or makes no sense.
                rest.fill(0);
                return;
            }
            (_, Some(length)) => usize::from(*length),
        };
        let end = length.min(bytes.len());
        let (option, after) = bytes.split_at_mut(end);
        if !READ.contains(&kind) && length > 1 {
            option[2..].fill(0);
        }
        bytes = after;
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

const FIXED: usize = 20;
const END: u8 = 0;
const NO_OPERATION: u8 = 1;
/// MSS, window scale, SACK and its permission, timestamps.
const READ: [u8; 6] = [NO_OPERATION, 2, 3, 4, 5, 8];
