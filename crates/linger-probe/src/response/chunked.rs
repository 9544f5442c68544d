//! Reads a chunked body (RFC 9112 §7.1) and counts its length.

/// The position in a chunked body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunked {
    at: At,
    /// Bytes of size lines and trailers since the last data. [`LINE_LIMIT`] bounds them.
    line: u32,
}

#[derive(Debug, Clone, Copy)]
enum At {
    /// In a size, after this many digits.
    Size { size: u64, digits: u32 },
    /// After a size, up to the end of the line.
    Extension { size: u64 },
    /// In data, of which this many bytes are left.
    Data(u64),
    /// After data, before the CR LF.
    DataEnd,
    /// Between that CR and LF.
    DataLf,
    /// In a line of the trailers.
    Trailer { is_empty: bool },
}

/// What was read of some bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Step {
    /// How many bytes were read.
    pub(super) taken: usize,
    /// How many of them are data.
    pub(super) data: u64,
    /// Whether the body is complete.
    pub(super) is_last: bool,
    /// Why they are no valid chunks.
    pub(super) fault: Option<&'static str>,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self { at: At::Size { size: 0, digits: 0 }, line: 0 }
    }

    /// Reads the next bytes, up to the end of the body or a fault.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Step {
        let mut step = Step::default();
        step.fault = self.take_into(bytes, &mut step).err();
        step
    }

    fn take_into(&mut self, bytes: &[u8], step: &mut Step) -> Result<(), &'static str> {
        while let Some(&byte) = bytes.get(step.taken) {
            if let At::Data(left) = self.at {
                let here = (bytes.len() - step.taken).min(usize::try_from(left).unwrap_or(usize::MAX));
                step.taken += here;
                step.data += here as u64;
                self.at = if left == here as u64 { At::DataEnd } else { At::Data(left - here as u64) };
                self.line = 0;
                continue;
            }
            step.taken += 1;
            self.line += 1;
            if self.line > LINE_LIMIT {
                return Err("a chunk's line or trailer without end");
            }
            self.at = match (self.at, byte) {
                (At::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                    let digit = char::from(byte).to_digit(16).unwrap_or_default();
                    let size = size.checked_mul(16).ok_or("a chunk size beyond 64 bits")?;
                    At::Size { size: size | u64::from(digit), digits: digits + 1 }
                }
                (At::Size { digits: 0, .. }, _) => return Err("an invalid chunk size"),
                (At::Size { size, .. }, b';' | b' ' | b'\t' | b'\r') | (At::Extension { size }, b'\r') => {
                    At::Extension { size }
                }
                (At::Size { size, .. } | At::Extension { size }, b'\n') => match size {
                    0 => At::Trailer { is_empty: true },
                    // No body is that long, and its length could overflow the count.
                    size if size > SIZE_LIMIT => return Err("a chunk size beyond 63 bits"),
                    size => At::Data(size),
                },
                (At::Size { .. }, _) => return Err("an invalid chunk size"),
                (At::Extension { size }, _) => At::Extension { size },
                (At::DataEnd, b'\r') => At::DataLf,
                (At::DataEnd | At::DataLf, b'\n') => At::Size { size: 0, digits: 0 },
                (At::DataEnd | At::DataLf, _) => return Err("a chunk that is longer than its size"),
                (At::Trailer { is_empty: true }, b'\n') => {
                    step.is_last = true;
                    return Ok(());
                }
                (At::Trailer { is_empty: true }, b'\r') | (At::Trailer { .. }, b'\n') => {
                    At::Trailer { is_empty: true }
                }
                (At::Trailer { .. }, _) => At::Trailer { is_empty: false },
                (At::Data(left), _) => At::Data(left),
            };
        }
        Ok(())
    }
}

const SIZE_LIMIT: u64 = u64::MAX >> 1;
const LINE_LIMIT: u32 = 256 << 10;
