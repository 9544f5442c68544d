//! Link-layer headers: where the IP header begins.

use super::LinkType;

/// What follows the link-layer header.
pub(super) enum Network<'a> {
    Ip(&'a [u8]),
    Other,
    Damaged,
}

/// Skips the link-layer header of this type.
pub(super) fn network(link: LinkType, bytes: &[u8]) -> Network<'_> {
    let found = match link {
        LinkType::Ip => return Network::Ip(bytes),
        LinkType::Ethernet => ether_type_at(bytes, 12, 14),
        LinkType::LinuxSll => ether_type_at(bytes, 14, 16),
        LinkType::LinuxSll2 => ether_type_at(bytes, 0, 20),
        LinkType::Null | LinkType::Loop => return family(bytes),
    };
    match found {
        Some((ether_type, rest)) => skip_tags(ether_type, rest),
        None => Network::Damaged,
    }
}

/// The two bytes that tell the protocol are at `at`, and the header has `length` bytes.
fn ether_type_at(bytes: &[u8], at: usize, length: usize) -> Option<(u16, &[u8])> {
    let (header, rest) = bytes.split_at_checked(length)?;
    let ether_type = header.get(at..)?.first_chunk()?;
    Some((u16::from_be_bytes(*ether_type), rest))
}

/// Skips VLAN tags, however many there are (IEEE 802.1Q, 802.1ad).
fn skip_tags(mut ether_type: u16, mut bytes: &[u8]) -> Network<'_> {
    while VLAN_TAGS.contains(&ether_type) {
        let Some(found) = ether_type_at(bytes, 2, 4) else { return Network::Damaged };
        (ether_type, bytes) = found;
    }
    match ether_type {
        IPV4 | IPV6 => Network::Ip(bytes),
        _ => Network::Other,
    }
}

/// The header is the address family alone, in an order that the file does not tell: all families are below
/// 256. The number of IPv6 differs between systems.
fn family(bytes: &[u8]) -> Network<'_> {
    let Some((family, rest)) = bytes.split_first_chunk() else { return Network::Damaged };
    let family = u32::from_le_bytes(*family).min(u32::from_be_bytes(*family));
    match family {
        AF_INET | AF_INET6_LINUX | AF_INET6_NETBSD | AF_INET6_FREEBSD | AF_INET6_DARWIN => Network::Ip(rest),
        _ => Network::Other,
    }
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// The customer's tag, the provider's tag, and what was used for the latter before it was standardised.
const VLAN_TAGS: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];

const AF_INET: u32 = 2;
const AF_INET6_LINUX: u32 = 10;
const AF_INET6_NETBSD: u32 = 24;
const AF_INET6_FREEBSD: u32 = 28;
const AF_INET6_DARWIN: u32 = 30;
