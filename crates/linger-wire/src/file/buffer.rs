//! The part of a file that is being read.

use std::io::{self, ErrorKind, Read};

/// A window on a file, which moves forward.
#[derive(Debug)]
pub(super) struct Buffer<R> {
    input: R,
    bytes: Vec<u8>,
    /// What has been read and not consumed.
    start: usize,
    end: usize,
    /// Where the window begins in the file.
    position: u64,
    ended: bool,
    /// Why the file ends, if it is not its end.
    damage: Option<io::Error>,
}

impl<R: Read> Buffer<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, bytes: vec![0; INITIAL], start: 0, end: 0, position: 0, ended: false, damage: None }
    }

    /// Reads until there are `count` bytes. `false` if the file ends before.
    ///
    /// It does not read where the bytes are there already, so that what a pipe has is used before waiting for
    /// more.
    pub(super) fn fill(&mut self, count: usize) -> io::Result<bool> {
        while self.end - self.start < count {
            if self.ended {
                return Ok(false);
            }
            // What is left is less than one packet, so moving it costs little.
            if self.start > 0 {
                self.bytes.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            // It grows with what is there, not with what a length in the file claims.
            if self.end == self.bytes.len() {
                self.bytes.resize(count.min(2 * self.end), 0);
            }
            match self.input.read(&mut self.bytes[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.end += read,
                // Decompressors say so of files that are cut off or damaged.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => self.ended = true,
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    self.ended = true;
                    self.damage = Some(error);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// What has been read and not consumed.
    pub(super) fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Moves the window forward by `count` bytes, which must have been read.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
        self.position += count as u64;
    }

    /// Why the file ends, if it is not its end.
    pub(super) fn damage(&mut self) -> &mut Option<io::Error> {
        &mut self.damage
    }

    /// Where the window begins in the file.
    pub(super) fn position(&self) -> u64 {
        self.position
    }
}

/// Small enough to stay in a core's cache between the kernel's copy and our reading.
const INITIAL: usize = 256 * 1024;
