//! Capture files: pcap and pcapng, read and written.

mod anonymise;
mod buffer;
mod pcap;
mod pcapng;
mod reader;
mod writer;

use std::fmt;
use std::io;

pub use anonymise::Anonymiser;
pub use reader::Reader;
pub use writer::Writer;

/// How a capture file ends. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// After a whole packet or block.
    Complete,
    /// Within a packet or block that begins at this byte of the uncompressed file.
    Truncated(u64),
    /// At this byte there is something that is no packet or block, or the file was compressed and is damaged
    /// there. What follows was not read.
    Damaged(u64),
}

/// Why a file cannot be read as a capture.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// It is empty.
    Empty,
    /// It begins like no capture file.
    NotACapture,
    /// It has frames of a link type that is not known, by its number, and no others.
    LinkType(u32),
    /// Reading failed.
    Io(io::Error),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the file is empty"),
            Self::NotACapture => f.write_str("this is neither pcap nor pcapng"),
            Self::LinkType(number) => write!(
                f,
                "link type {number} is not known: capture on an Ethernet or IP interface, or on `any`"
            ),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for FileError {}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests;
