//! An interface of a section.

use std::time::Duration;

use pcap_parser::{InterfaceDescriptionBlock, InterfaceStatisticsBlock, PcapNGOption};

use crate::decode::LinkType;

/// What a section says of an interface.
#[derive(Debug)]
pub(super) struct Interface {
    /// How its packets begin, or the number of a link type that is not known.
    pub(super) link: Result<LinkType, u32>,
    /// The longest part of a packet that was captured. 0 if there is no limit.
    pub(super) snaplen: u32,
    /// How many packets it has dropped.
    pub(super) dropped: u64,
    resolution: Resolution,
    /// Seconds to add to all times.
    offset: i64,
}

/// The unit of times.
#[derive(Debug, Clone, Copy)]
enum Resolution {
    /// So many in a second, each of so many nanoseconds.
    Nanoseconds { per_second: u64, each: u64 },
    /// So many in a second.
    PerSecond(u128),
}

impl Interface {
    pub(super) fn new(block: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Self {
        let number = u32::try_from(block.linktype.0).unwrap_or(u32::MAX);
        // pcap-parser reads the offset as little-endian always.
        let offset = option(&block.options, IF_TSOFFSET, big_endian).unwrap_or(0);
        Self {
            link: LinkType::from_number(number).ok_or(number),
            snaplen: block.snaplen,
            dropped: 0,
            resolution: Resolution::new(block.if_tsresol),
            offset: i64::from_ne_bytes(offset.to_ne_bytes()),
        }
    }

    /// Takes the newest statistics: they count from the beginning of the capture.
    pub(super) fn count_drops(&mut self, block: &InterfaceStatisticsBlock<'_>, big_endian: bool) {
        let by = [ISB_IFDROP, ISB_OSDROP].map(|code| option(&block.options, code, big_endian).unwrap_or(0));
        self.dropped = self.dropped.max(by[0].saturating_add(by[1]));
    }

    /// The time of so many units, since 1970.
    pub(super) fn time(&self, ticks: u64) -> Duration {
        let time = match self.resolution {
            Resolution::Nanoseconds { per_second, each } => {
                let fraction = u32::try_from(ticks % per_second * each).unwrap_or(0);
                Duration::new(ticks / per_second, fraction)
            }
            Resolution::PerSecond(per_second) => {
                let ticks = u128::from(ticks);
                let seconds = u64::try_from(ticks / per_second).unwrap_or(u64::MAX);
                // The remainder is below 2^127 / 10^9: `new` sees to it.
                let fraction = u32::try_from(ticks % per_second * 1_000_000_000 / per_second).unwrap_or(0);
                Duration::new(seconds, fraction)
            }
        };
        let offset = Duration::from_secs(self.offset.unsigned_abs());
        if self.offset < 0 { time.saturating_sub(offset) } else { time.saturating_add(offset) }
    }
}

impl Resolution {
    /// Reads `if_tsresol`: a negative power of 10, or of 2 if the highest bit is set.
    ///
    /// pcap-parser's function for it does not take powers of 2.
    fn new(option: u8) -> Self {
        let power = u32::from(option & 0x7f);
        let nanosecond = || Self::Nanoseconds { per_second: 1_000_000_000, each: 1 };
        if option & 0x80 != 0 {
            // All ticks together are below a second beyond 64.
            return Self::PerSecond(1 << power.min(64));
        }
        match power {
            0..=9 => Self::Nanoseconds { per_second: 10_u64.pow(power), each: 10_u64.pow(9 - power) },
            10..=19 => Self::PerSecond(10_u128.pow(power)),
            // Nothing measures so finely: the option is damaged.
            _ => nanosecond(),
        }
    }
}

/// The first option of this code that has 8 bytes.
pub(super) fn option(options: &[PcapNGOption<'_>], code: u16, big_endian: bool) -> Option<u64> {
    let found = options.iter().find(|option| option.code.0 == code)?;
    let bytes = *found.value().first_chunk()?;
    Some(if big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
}

const IF_TSOFFSET: u16 = 14;
const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;
