//! The older format: a header, and packets of one link type.

use std::io::{self, Read};
use std::time::Duration;

use pcap_parser::{PcapHeader, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified};

use super::buffer::Buffer;
use super::reader::{Found, MAX_BLOCK, Step};
use super::{Ending, FileError};
use crate::decode::LinkType;

/// What the header says.
#[derive(Debug)]
pub(super) struct Pcap {
    link: LinkType,
    nanoseconds: bool,
    order: Order,
    /// The longest packet that is believed.
    limit: usize,
}

/// How the numbers before each packet are laid out.
#[derive(Debug, Clone, Copy)]
enum Order {
    Little,
    Big,
    /// Little-endian, with fields that a patch of libpcap for Linux added.
    Modified,
}

impl Pcap {
    pub(super) fn new(header: &PcapHeader) -> Result<Self, FileError> {
        // The upper half tells the length of the frame check sequence.
        let number = u32::from_ne_bytes(header.network.0.to_ne_bytes()) & 0xffff;
        let order = match (header.is_modified_format(), header.is_bigendian()) {
            (true, _) => Order::Modified,
            (false, true) => Order::Big,
            (false, false) => Order::Little,
        };
        Ok(Self {
            link: LinkType::from_number(number).ok_or(FileError::LinkType(number))?,
            nanoseconds: header.is_nanosecond_precision(),
            order,
            limit: (header.snaplen as usize).clamp(SNAPLEN, MAX_BLOCK),
        })
    }

    /// Reads the next packet.
    pub(super) fn step<R: Read>(&self, buffer: &mut Buffer<R>) -> io::Result<Step> {
        let header = if matches!(self.order, Order::Modified) { 24 } else { 16 };
        let at = buffer.position();
        if !buffer.fill(header)? {
            let complete = buffer.data().is_empty();
            return Ok(Step::End(if complete { Ending::Complete } else { Ending::Truncated(at) }));
        }
        let captured = buffer.data().get(8..12).and_then(<[u8]>::first_chunk);
        let captured = captured.map_or(usize::MAX, |bytes| match self.order {
            Order::Big => u32::from_be_bytes(*bytes) as usize,
            Order::Little | Order::Modified => u32::from_le_bytes(*bytes) as usize,
        });
        if captured > self.limit {
            return Ok(Step::End(Ending::Damaged(at)));
        }
        if !buffer.fill(header + captured)? {
            return Ok(Step::End(Ending::Truncated(at)));
        }
        let parsed = match self.order {
            Order::Little => parse_pcap_frame(buffer.data()),
            Order::Big => parse_pcap_frame_be(buffer.data()),
            Order::Modified => parse_pcap_frame_modified(buffer.data()),
        };
        let Ok((_, packet)) = parsed else { return Ok(Step::End(Ending::Damaged(at))) };
        let fraction = u64::from(packet.ts_usec);
        let fraction =
            if self.nanoseconds { Duration::from_nanos(fraction) } else { Duration::from_micros(fraction) };
        Ok(Step::Frame(Found {
            at: Duration::from_secs(packet.ts_sec.into()) + fraction,
            link: self.link,
            length: packet.origlen,
            begin: header,
            end: header + captured,
            size: header + captured,
        }))
    }
}

/// What libpcap captures of a packet if it is not told: programs that cut packets write less.
const SNAPLEN: usize = 256 * 1024;
