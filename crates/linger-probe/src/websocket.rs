//! Looks for the server's Close frame on a WebSocket (RFC 6455 §5.5.1).

/// Looks for a Close frame among a server's frames.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    /// The bytes of an incomplete header or Close frame.
    held: Vec<u8>,
    /// How many bytes of a payload to skip.
    skip: u64,
    close: Option<Close>,
}

/// A Close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Close {
    /// The close code, which is optional.
    pub(crate) code: Option<u16>,
}

impl Closing {
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        while self.close.is_none() && !bytes.is_empty() {
            if self.skip > 0 {
                let here = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
                self.skip -= here as u64;
                bytes = &bytes[here..];
                continue;
            }
            self.held.push(bytes[0]);
            bytes = &bytes[1..];
            let Some((opcode, header, payload)) = frame(&self.held) else { continue };
            if opcode != CLOSE {
                self.skip = payload;
                self.held.clear();
            } else if self.held.len() as u64 >= header as u64 + payload.min(2) {
                let code = self.held[header..].first_chunk().map(|code| u16::from_be_bytes(*code));
                self.close = Some(Close { code });
            }
        }
    }

    /// The Close frame, if one came.
    pub(crate) fn close(&self) -> Option<Close> {
        self.close
    }
}

/// The opcode, header length and payload length of a frame (RFC 6455 §5.2). A server's frames have no mask.
fn frame(bytes: &[u8]) -> Option<(u8, usize, u64)> {
    let [first, second, rest @ ..] = bytes else { return None };
    let (header, payload) = match second & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*rest.first_chunk()?)),
        short => (2, u64::from(short)),
    };
    Some((first & 0x0f, header, payload))
}

const CLOSE: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_is_found_with_a_code_a_reason_or_nothing() {
        let ping = [0x89, 3, 1, 2, 3];
        let long = [&[0x82, 126, 1, 0][..], &[0x88; 256]].concat();
        let cases: [(&[u8], _); 4] = [
            (&[0x88, 0], Some(Close { code: None })),
            (&[0x88, 2, 0x03, 0xe8], Some(Close { code: Some(1000) })),
            (&[0x88, 5, 0x03, 0xe9, b'b', b'y', b'e'], Some(Close { code: Some(1001) })),
            (&[0x81, 2, 0x88, 0], None),
        ];
        for (close, expected) in cases {
            let bytes = [&ping[..], &long, close].concat();
            for size in [1, 3, bytes.len()] {
                let mut closing = Closing::default();
                bytes.chunks(size).for_each(|piece| closing.take(piece));
                assert_eq!(closing.close(), expected, "{close:?} in pieces of {size}");
            }
        }
    }
}
