//! The newer format: blocks, in sections of their own byte order, with interfaces of their own link type and
//! resolution of time.

mod interface;

use std::io::{self, Read};
use std::time::Duration;

use pcap_parser::nom::IResult;
use pcap_parser::traits::PcapNGPacketBlock as _;
use pcap_parser::{
    EPB_MAGIC, IDB_MAGIC, ISB_MAGIC, PcapError, SHB_MAGIC, SPB_MAGIC, parse_enhancedpacketblock_be,
    parse_enhancedpacketblock_le, parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le,
    parse_interfacestatisticsblock_be, parse_interfacestatisticsblock_le, parse_sectionheaderblock,
    parse_simplepacketblock_be, parse_simplepacketblock_le,
};

use super::Ending;
use super::buffer::Buffer;
use super::reader::{Found, MAX_BLOCK, Step};
use interface::Interface;

/// What is known of the section that is being read.
#[derive(Debug, Default)]
pub(super) struct Section {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// When the last packet was captured: simple packets have no time.
    last_at: Duration,
    /// Drops that earlier sections counted, and those that packets tell of themselves.
    dropped_before: u64,
    dropped_by_packet: u64,
}

/// What a block is to the reader.
enum Meaning {
    /// `None` if the packet's link type, with this number, is not known.
    Packet { interface: usize, ticks: Option<u64>, length: u32, begin: usize, captured: usize },
    /// It is no packet.
    Nothing,
}

impl Section {
    /// Reads the next block.
    pub(super) fn step<R: Read>(&mut self, buffer: &mut Buffer<R>) -> io::Result<Step> {
        let at = buffer.position();
        if !buffer.fill(SHORTEST_BLOCK)? {
            let complete = buffer.data().is_empty();
            return Ok(Step::End(if complete { Ending::Complete } else { Ending::Truncated(at) }));
        }
        let Some(size) = self.begin(buffer.data()) else { return Ok(Step::End(Ending::Damaged(at))) };
        if !buffer.fill(size)? {
            return Ok(Step::End(Ending::Truncated(at)));
        }
        let block = buffer.data().get(..size);
        match block.and_then(|block| self.meaning(block)) {
            Some(Meaning::Nothing) => Ok(Step::Skip { size }),
            Some(Meaning::Packet { interface, ticks, length, begin, captured }) => {
                let Some(interface) = self.interfaces.get(interface) else {
                    return Ok(Step::End(Ending::Damaged(at)));
                };
                let link = match interface.link {
                    Ok(link) => link,
                    Err(number) => return Ok(Step::UnknownLink { number, size }),
                };
                self.last_at = ticks.map_or(self.last_at, |ticks| interface.time(ticks));
                Ok(Step::Frame(Found { at: self.last_at, link, length, begin, end: begin + captured, size }))
            }
            None => Ok(Step::End(Ending::Damaged(at))),
        }
    }

    /// How many packets were dropped, as far as the file says. Statistics and packets may both tell of the
    /// same drops.
    pub(super) fn dropped(&self) -> u64 {
        let statistics = self.dropped_before.saturating_add(self.dropped_here());
        statistics.max(self.dropped_by_packet)
    }

    fn dropped_here(&self) -> u64 {
        self.interfaces.iter().fold(0, |sum, interface| sum.saturating_add(interface.dropped))
    }

    /// The size of the block that begins with these bytes. `None` if it cannot be one.
    fn begin(&mut self, start: &[u8]) -> Option<usize> {
        if self.number(start, 0)? == SHB_MAGIC {
            // The number reads the same in both orders. What follows is in the order of the new section.
            self.big_endian = match *start.get(8..)?.first_chunk()? {
                [0x1a, 0x2b, 0x3c, 0x4d] => true,
                [0x4d, 0x3c, 0x2b, 0x1a] => false,
                _ => return None,
            };
        }
        let size = self.number(start, 4)? as usize;
        (SHORTEST_BLOCK..=MAX_BLOCK).contains(&size).then_some(size)
    }

    /// `None` if the block is damaged.
    fn meaning(&mut self, block: &[u8]) -> Option<Meaning> {
        // Its length stands at its end again.
        if self.number(block, block.len() - 4)? as usize != block.len() {
            return None;
        }
        let big_endian = self.big_endian;
        match self.number(block, 0)? {
            SHB_MAGIC => {
                let section = whole(parse_sectionheaderblock(block))?;
                if section.major_version != 1 {
                    return None;
                }
                self.dropped_before = self.dropped_before.saturating_add(self.dropped_here());
                self.interfaces.clear();
            }
            IDB_MAGIC => {
                let parse = if big_endian {
                    parse_interfacedescriptionblock_be
                } else {
                    parse_interfacedescriptionblock_le
                };
                if self.interfaces.len() == MOST_INTERFACES {
                    return None;
                }
                self.interfaces.push(Interface::new(&whole(parse(block))?, big_endian));
            }
            ISB_MAGIC => {
                let parse = if big_endian {
                    parse_interfacestatisticsblock_be
                } else {
                    parse_interfacestatisticsblock_le
                };
                let statistics = whole(parse(block))?;
                if let Some(interface) = self.interfaces.get_mut(statistics.if_id as usize) {
                    interface.count_drops(&statistics, big_endian);
                }
            }
            EPB_MAGIC => return self.enhanced(block),
            SPB_MAGIC => return self.simple(block),
            OBSOLETE_PACKET => return self.obsolete(block),
            _ => {}
        }
        Some(Meaning::Nothing)
    }

    fn enhanced(&mut self, block: &[u8]) -> Option<Meaning> {
        let parse = if self.big_endian { parse_enhancedpacketblock_be } else { parse_enhancedpacketblock_le };
        let packet = whole(parse(block))?;
        let dropped = interface::option(&packet.options, EPB_DROPCOUNT, self.big_endian);
        self.dropped_by_packet = self.dropped_by_packet.saturating_add(dropped.unwrap_or(0));
        Some(Meaning::Packet {
            interface: packet.if_id as usize,
            ticks: Some(u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low)),
            length: packet.origlen,
            begin: 28,
            captured: packet.packet_data().len(),
        })
    }

    /// A simple packet is of the first interface, and is as long as that one's limit allows.
    fn simple(&mut self, block: &[u8]) -> Option<Meaning> {
        let parse = if self.big_endian { parse_simplepacketblock_be } else { parse_simplepacketblock_le };
        let packet = whole(parse(block))?;
        let limit = match self.interfaces.first()?.snaplen {
            0 => usize::MAX,
            limit => limit as usize,
        };
        Some(Meaning::Packet {
            interface: 0,
            ticks: None,
            length: packet.origlen,
            begin: 12,
            captured: packet.packet_data().len().min(limit),
        })
    }

    /// What enhanced packets replaced. pcap-parser does not know it.
    fn obsolete(&mut self, block: &[u8]) -> Option<Meaning> {
        let short = |at: usize| {
            let bytes = *block.get(at..)?.first_chunk()?;
            Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
        };
        let (interface, dropped) = (short(8)?, short(10)?);
        let captured = self.number(block, 20)? as usize;
        let (begin, end) = (28, block.len() - 4);
        if captured > end.checked_sub(begin)? {
            return None;
        }
        let ticks = u64::from(self.number(block, 12)?) << 32 | u64::from(self.number(block, 16)?);
        let length = self.number(block, 24)?;
        if dropped != u16::MAX {
            self.dropped_by_packet = self.dropped_by_packet.saturating_add(dropped.into());
        }
        Some(Meaning::Packet { interface: interface.into(), ticks: Some(ticks), length, begin, captured })
    }

    fn number(&self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }
}

/// What was parsed of a block that is there as a whole: if the parser wants more, the block is damaged.
fn whole<'a, T>(parsed: IResult<&'a [u8], T, PcapError<&'a [u8]>>) -> Option<T> {
    parsed.ok().map(|(_, block)| block)
}

/// Type, length, and the length again.
const SHORTEST_BLOCK: usize = 12;
/// Bounds the memory that a section takes.
const MOST_INTERFACES: usize = 1 << 16;
/// The number of the obsolete packet block.
const OBSOLETE_PACKET: u32 = 2;
/// The option of an enhanced packet that counts drops since the packet before.
const EPB_DROPCOUNT: u16 = 4;
