//! What is sent: bytes that are known by their place, so that one that is lost, doubled or moved is noticed.

use std::sync::LazyLock;

/// Prime, so that it shares no factor with any buffer.
const PERIOD: u64 = 251;

/// Most bytes that are filled in or compared at once.
pub(crate) const LONGEST: usize = 64 << 10;

static PATTERN: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..LONGEST as u64 + PERIOD).map(|place| (place % PERIOD) as u8).collect());

/// The bytes of one direction of a connection: a head, and then a pattern without end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Content {
    pub(crate) head: &'static [u8],
}

impl Content {
    /// Fills the buffer, at most the longest piece of it, with what stands at this place. Returns how much.
    pub(crate) fn fill(self, from: u64, buffer: &mut [u8]) -> usize {
        let length = buffer.len().min(LONGEST);
        let pattern = pattern(from, length);
        buffer[..length].copy_from_slice(pattern);
        self.each_of_head(from, length, |place, byte| buffer[place] = byte);
        length
    }

    /// Whether this is what stands at that place.
    pub(crate) fn is(self, from: u64, bytes: &[u8]) -> bool {
        bytes
            .chunks(LONGEST)
            .scan(from, |from, bytes| {
                let is_same = if *from >= self.head.len() as u64 {
                    bytes == pattern(*from, bytes.len())
                } else {
                    let mut expected = vec![0; bytes.len()];
                    self.fill(*from, &mut expected);
                    bytes == expected
                };
                *from += bytes.len() as u64;
                Some(is_same)
            })
            .all(|is_same| is_same)
    }

    fn each_of_head(self, from: u64, length: usize, mut act: impl FnMut(usize, u8)) {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let head = self.head.iter().skip(from).take(length);
        head.enumerate().for_each(|(place, byte)| act(place, *byte));
    }
}

fn pattern(from: u64, length: usize) -> &'static [u8] {
    let start = usize::try_from(from % PERIOD).unwrap_or(0);
    &PATTERN[start..start + length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_known_by_its_place() {
        let content = Content { head: b"GET / HTTP/1.1\r\n\r\n" };
        let mut bytes = vec![0; 100_000];
        let mut filled = 0;
        while filled < bytes.len() {
            filled += content.fill(filled as u64, &mut bytes[filled..]);
        }
        assert!(content.is(0, &bytes) && content.is(5, &bytes[5..]) && content.is(70_000, &bytes[70_000..]));
        assert!(!content.is(1, &bytes) && !content.is(0, &bytes[1..]) && !content.is(50, &bytes[52..]));
        bytes[99_999] ^= 1;
        assert!(!content.is(0, &bytes));
    }
}
