//! IP headers, with IPv4's options and IPv6's extension headers.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv6Header, LaxIpv4Slice, LaxIpv6Slice};

/// An IP packet whose extension headers are skipped.
pub(crate) struct Ip<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) id: Option<u16>,
    pub(crate) protocol: IpNumber,
    /// Whether it is a fragment, also if it is the first.
    pub(crate) fragment: bool,
    /// What was captured of its payload.
    pub(crate) payload: &'a [u8],
    /// How long its payload was on the wire.
    pub(crate) length: usize,
}

impl<'a> Ip<'a> {
    /// Reads the headers of a packet that had `wire` bytes, as the capture says. `None` if they are cut off
    /// or contradict each other.
    pub(crate) fn parse(bytes: &'a [u8], wire: usize) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::parse_v4(bytes, wire),
            6 => Self::parse_v6(bytes, wire),
            _ => None,
        }
    }

    fn parse_v4(bytes: &'a [u8], wire: usize) -> Option<Self> {
        let (ip, None) = LaxIpv4Slice::from_slice(bytes).ok()? else { return None };
        let header = ip.header();
        let headers = header.slice().len() + ip.extensions().auth.map_or(0, |auth| auth.slice().len());
        let total = match header.total_len() {
            0 => wire,
            total => usize::from(total),
        };
        Some(Self {
            source: header.source_addr().into(),
            destination: header.destination_addr().into(),
            ttl: header.ttl(),
            id: Some(header.identification()),
            protocol: ip.payload().ip_number,
            fragment: ip.is_payload_fragmented(),
            payload: ip.payload().payload,
            length: total.checked_sub(headers)?,
        })
    }

    fn parse_v6(bytes: &'a [u8], wire: usize) -> Option<Self> {
        let (ip, error) = LaxIpv6Slice::from_slice(bytes).ok()?;
        let fragment = ip.is_payload_fragmented();
        // What follows the header of a later fragment is no header, whatever it looks like.
        if error.is_some() && !fragment {
            return None;
        }
        let header = ip.header();
        let total = match header.payload_length() {
            0 => wire.saturating_sub(Ipv6Header::LEN),
            total => usize::from(total),
        };
        Some(Self {
            source: header.source_addr().into(),
            destination: header.destination_addr().into(),
            ttl: header.hop_limit(),
            id: None,
            protocol: ip.payload().ip_number,
            fragment,
            payload: ip.payload().payload,
            length: total.checked_sub(ip.extensions().slice().len())?,
        })
    }
}
