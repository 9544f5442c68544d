//! Writes capture files.

use std::io::{self, ErrorKind, Write};

use crate::decode::{Frame, LinkType};

/// Writes frames as pcapng: one section with one interface, and times in nanoseconds.
///
/// Each frame is written by one call to the output, so a file that another program reads meanwhile rarely
/// ends within a packet. Use [`io::BufWriter`] where that does not matter.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    link: LinkType,
    /// The block that is being made.
    block: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins a file of frames of this link type.
    ///
    /// # Errors
    /// If writing fails.
    pub fn new(mut output: W, link: LinkType) -> io::Result<Self> {
        let mut block = Vec::new();
        // Version 1.0, of unknown length.
        begin(&mut block, 0x0a0d_0d0a);
        block.extend(0x1a2b_3c4d_u32.to_le_bytes());
        block.extend([1, 0, 0, 0]);
        block.extend([0xff; 8]);
        end(&mut block);
        let section = std::mem::take(&mut block);

        begin(&mut block, 1);
        block.extend(link.number().to_le_bytes());
        // Reserved, and no limit to the captured length.
        block.extend([0; 2 + 4]);
        // The option `if_tsresol`, of one byte and its padding: nanoseconds. Then the end of options.
        block.extend([9, 0, 1, 0, 9, 0, 0, 0]);
        block.extend([0; 4]);
        end(&mut block);
        output.write_all(&[section, block].concat())?;
        Ok(Self { output, link, block: Vec::new() })
    }

    /// Appends a frame. Times after the year 2554 do not fit and become that year.
    ///
    /// # Errors
    /// If writing fails, or, with [`ErrorKind::InvalidInput`], if the frame is of another link type or larger
    /// than any packet (16 MiB).
    pub fn write(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        if frame.link != self.link {
            let (this, other) = (self.link, frame.link);
            let message = format!("a frame of link type {other:?} in a file of link type {this:?}");
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        let captured = u32::try_from(frame.bytes.len()).ok().filter(|&length| length <= LONGEST);
        let Some(captured) = captured else {
            return Err(io::Error::new(ErrorKind::InvalidInput, "a frame of more than 16 MiB"));
        };
        let time = u64::try_from(frame.at.as_nanos()).unwrap_or(u64::MAX);
        let [high, low] = [time >> 32, time & 0xffff_ffff].map(|half| u32::try_from(half).unwrap_or(0));
        let block = &mut self.block;
        block.clear();
        begin(block, 6);
        for number in [0, high, low, captured, frame.length.max(captured)] {
            block.extend(number.to_le_bytes());
        }
        block.extend(frame.bytes);
        block.resize(block.len().next_multiple_of(4), 0);
        end(block);
        self.output.write_all(block)
    }

    /// Writes what the output has in its own buffer.
    ///
    /// # Errors
    /// If writing fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// Ends the file, and returns what it was written to. An output with a buffer of its own still has to be
    /// flushed.
    #[must_use]
    pub fn into_inner(self) -> W {
        self.output
    }
}

/// Begins a block of this type. Its length is not known yet.
fn begin(block: &mut Vec<u8>, kind: u32) {
    block.extend(kind.to_le_bytes());
    block.extend([0; 4]);
}

/// Puts the length of the block into its beginning and at its end.
fn end(block: &mut Vec<u8>) {
    // A block is little more than its frame, whose length was checked.
    let length = u32::try_from(block.len() + 4).unwrap_or(u32::MAX).to_le_bytes();
    block[4..8].copy_from_slice(&length);
    block.extend(length);
}

/// Leaves room for the rest of the block below what [`Reader`](super::Reader) takes.
const LONGEST: u32 = (16 << 20) - 64;
