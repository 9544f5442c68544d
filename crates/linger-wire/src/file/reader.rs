//! Reads capture files of both formats.

use std::io::Read;
use std::time::Duration;

use pcap_parser::{SHB_MAGIC, parse_pcap_header};

use super::buffer::Buffer;
use super::pcap::Pcap;
use super::pcapng::Section;
use super::{Ending, FileError};
use crate::decode::{Frame, LinkType};

/// Reads the frames of a capture file: pcap with times in microseconds or nanoseconds, and pcapng with any
/// number of sections and interfaces, in both byte orders.
///
/// It reads as it goes: memory does not grow with the file, and from a pipe each frame comes as soon as it is
/// there. It has a buffer of its own, so the input needs none. Frames of interfaces whose link type is not
/// known are left out and counted: see [`skipped`](Self::skipped).
#[derive(Debug)]
pub struct Reader<R> {
    buffer: Buffer<R>,
    format: Format,
    /// The size of the block that the last frame is in.
    unconsumed: usize,
    ending: Option<Ending>,
    /// Whether there was a frame.
    any: bool,
    skipped: u64,
    /// The link type of the first frame that was left out.
    unknown: Option<u32>,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    PcapNg(Section),
    /// The file ends within its header.
    Nothing,
}

/// What comes next in a file.
pub(super) enum Step {
    Frame(Found),
    /// A block of so many bytes that is no packet.
    Skip {
        size: usize,
    },
    /// A packet, in a block of so many bytes, whose link type is not known.
    UnknownLink {
        number: u32,
        size: usize,
    },
    End(Ending),
}

/// A frame in the buffer.
pub(super) struct Found {
    pub(super) at: Duration,
    pub(super) link: LinkType,
    pub(super) length: u32,
    /// Where its bytes are.
    pub(super) begin: usize,
    pub(super) end: usize,
    /// The size of its block.
    pub(super) size: usize,
}

impl<R: Read> Reader<R> {
    /// Reads the beginning of a capture file, uncompressed. Waits for no more than it needs.
    ///
    /// # Errors
    /// If it is empty or not a capture file, or cannot be read. Also if it is pcap, whose frames all have one
    /// link type, and that is not known.
    pub fn new(input: R) -> Result<Self, FileError> {
        let mut buffer = Buffer::new(input);
        if !buffer.fill(4)? {
            let is_empty = buffer.data().is_empty();
            return Err(match buffer.damage().take() {
                Some(error) => FileError::Io(error),
                None if is_empty => FileError::Empty,
                None => FileError::NotACapture,
            });
        }
        let format = if buffer.data().starts_with(&SHB_MAGIC.to_le_bytes()) {
            let cut = !buffer.fill(12)?;
            let order = buffer.data().get(8..12).unwrap_or_default();
            if !cut && !BYTE_ORDERS.contains(&order) {
                return Err(FileError::NotACapture);
            }
            Format::PcapNg(Section::default())
        } else if parse_pcap_header(buffer.data()).is_err_and(|error| !error.is_incomplete()) {
            return Err(FileError::NotACapture);
        } else if buffer.fill(PCAP_HEADER)? {
            let (_, header) = parse_pcap_header(buffer.data()).map_err(|_| FileError::NotACapture)?;
            buffer.consume(PCAP_HEADER);
            Format::Pcap(Pcap::new(&header)?)
        } else {
            Format::Nothing
        };
        Ok(Self { buffer, format, unconsumed: 0, ending: None, any: false, skipped: 0, unknown: None })
    }

    /// The next frame, `None` at the end. A file that is cut off or damaged ends where that is so: see
    /// [`ending`](Self::ending).
    ///
    /// # Errors
    /// If reading fails. [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) and
    /// [`InvalidData`](std::io::ErrorKind::InvalidData) are no failures: decompressors say so of files that
    /// are cut off or damaged, and what came before is of use. At the end also if there were frames, but none
    /// of a link type that is known.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FileError> {
        if self.ending.is_some() {
            return Ok(None);
        }
        self.buffer.consume(std::mem::take(&mut self.unconsumed));
        loop {
            let step = match &mut self.format {
                Format::Pcap(pcap) => pcap.step(&mut self.buffer)?,
                Format::PcapNg(section) => section.step(&mut self.buffer)?,
                Format::Nothing => Step::End(Ending::Truncated(0)),
            };
            match step {
                Step::Frame(found) => return Ok(Some(self.frame(&found))),
                Step::Skip { size } => self.buffer.consume(size),
                Step::UnknownLink { number, size } => {
                    self.skipped += 1;
                    self.unknown.get_or_insert(number);
                    self.buffer.consume(size);
                }
                Step::End(ending) => {
                    let damaged = self.buffer.damage().is_some();
                    let position = self.buffer.position();
                    self.ending = Some(if damaged { Ending::Damaged(position) } else { ending });
                    return match self.unknown {
                        Some(number) if !self.any => Err(FileError::LinkType(number)),
                        _ => Ok(None),
                    };
                }
            }
        }
    }

    fn frame(&mut self, found: &Found) -> Frame<'_> {
        self.any = true;
        self.unconsumed = found.size;
        let bytes = self.buffer.data().get(found.begin..found.end).unwrap_or_default();
        Frame { at: found.at, link: found.link, length: found.length, bytes }
    }

    /// How the file ended. [`Ending::Complete`] before the end.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.ending.unwrap_or(Ending::Complete)
    }

    /// How many packets the capture itself says that it dropped, so far: pcapng's statistics of interfaces,
    /// which usually stand at the end, and counts of drops that stand at packets.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        match &self.format {
            Format::PcapNg(section) => section.dropped(),
            Format::Pcap(_) | Format::Nothing => 0,
        }
    }

    /// How many frames were left out so far, because the link type of their interface is not known.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

/// The largest block that is read. A block that claims to be larger is damage. Packets have at most 512 KiB.
pub(super) const MAX_BLOCK: usize = 16 << 20;
const PCAP_HEADER: usize = 24;
/// The number that tells the byte order of a section, in both.
const BYTE_ORDERS: [&[u8]; 2] = [&[0x1a, 0x2b, 0x3c, 0x4d], &[0x4d, 0x3c, 0x2b, 0x1a]];
