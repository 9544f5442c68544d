//! As much of HTTP/2 (RFC 9113) as a check needs to see how a server ends a connection.
//!
//! `restart` uses the crate h2. A check cannot use it, because a check sends invalid frames and needs the
//! codes of `RST_STREAM` and GOAWAY that follow a whole response, which h2 does not report.

use std::fmt;

use crate::response::Response;

mod frame;

use frame::{
    ACK, BLOCK, END_HEADERS, END_STREAM, FIRST_WINDOW, FRAME, INITIAL_WINDOW_SIZE, PADDED, PRIORITY, code,
    frame, kind, length,
};
pub(crate) use frame::{HEADER, NO_ERROR, PREFACE, error_name, headers};

/// Reads the server's frames. The client uses one stream, number 1.
pub(crate) struct Frames {
    /// The bytes of an incomplete frame.
    held: Vec<u8>,
    /// How many bytes of a payload to skip.
    skip: u32,
    /// The bytes of an incomplete field block.
    block: Vec<u8>,
    decoder: loona_hpack::Decoder<'static>,
    /// Answers to the server's frames, not sent yet.
    replies: Vec<u8>,
    /// Whether SETTINGS came, which must be the server's first frame (RFC 9113 §3.4).
    pub(crate) settings: bool,
    pub(crate) status: Option<u16>,
    pub(crate) body_bytes: u64,
    /// Whether the response is complete.
    pub(crate) ended: bool,
    /// The code of the stream's first `RST_STREAM`.
    pub(crate) reset: Option<u32>,
    /// The code of the last GOAWAY.
    pub(crate) goaway: Option<u32>,
    /// How many bytes of data may be sent on the connection, and on the stream below.
    window: i64,
    stream_window: i64,
    initial_window: i64,
    /// Whether the frames were invalid.
    pub(crate) is_garbled: bool,
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, status, ended, reset, goaway, is_garbled, .. } = self;
        let told = (settings, status, ended, reset, goaway, is_garbled);
        f.debug_tuple("Frames").field(&told).finish()
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            held: Vec::new(),
            skip: 0,
            block: Vec::new(),
            decoder: loona_hpack::Decoder::new(),
            replies: Vec::new(),
            settings: false,
            status: None,
            body_bytes: 0,
            ended: false,
            reset: None,
            goaway: None,
            window: FIRST_WINDOW,
            stream_window: FIRST_WINDOW,
            initial_window: FIRST_WINDOW,
            is_garbled: false,
        }
    }
}

impl Frames {
    pub(crate) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_garbled {
            if self.skip > 0 {
                let here = (self.skip as usize).min(bytes.len());
                self.skip -= u32::try_from(here).unwrap_or(self.skip);
                bytes = &bytes[here..];
                continue;
            }
            let wanted = match self.held.first_chunk::<HEADER>() {
                None => HEADER,
                Some(header) => HEADER + length(*header),
            };
            let here = (wanted - self.held.len()).min(bytes.len());
            self.held.extend_from_slice(&bytes[..here]);
            bytes = &bytes[here..];
            self.step();
        }
    }

    /// Whether the server has ended the stream.
    pub(crate) fn is_answered(&self) -> bool {
        self.ended || self.reset.is_some()
    }

    /// The response, as far as it has arrived.
    pub(crate) fn response(&self) -> Option<Response> {
        let response = |status| Response { status, body_bytes: self.body_bytes, complete: self.ended };
        self.status.map(response)
    }

    /// How many bytes of data may be sent now.
    pub(crate) fn room(&self) -> usize {
        usize::try_from(self.window.min(self.stream_window)).unwrap_or_default()
    }

    /// Takes the answers to the server's frames that have to be sent.
    pub(crate) fn replies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.replies)
    }

    /// A DATA frame of zeros, at most `bound` bytes and as long as flow control allows.
    pub(crate) fn data(&mut self, bound: u64, is_last: bool) -> Vec<u8> {
        let bytes = self.room().min(FRAME).min(usize::try_from(bound).unwrap_or(usize::MAX));
        let taken = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.window -= taken;
        self.stream_window -= taken;
        let flags = if is_last && bytes as u64 == bound { END_STREAM } else { 0 };
        frame(kind::DATA, flags, 1, &vec![0; bytes])
    }

    /// Handles the held frame once enough of it has arrived.
    fn step(&mut self) {
        let Some(header) = self.held.first_chunk::<HEADER>() else { return };
        let length = length(*header);
        let (kind, flags) = (header[3], header[4]);
        let stream = u32::from_be_bytes([header[5] & 0x7f, header[6], header[7], header[8]]);
        if !self.settings && kind != kind::SETTINGS {
            self.is_garbled = true;
            return;
        }
        if kind == kind::DATA {
            self.skip = u32::try_from(length).unwrap_or(u32::MAX);
            self.held.clear();
            if stream == 1 {
                self.body_bytes += length as u64;
                self.ended |= flags & END_STREAM != 0;
            }
            // Open the windows again.
            if length > 0 {
                let increment = u32::try_from(length).unwrap_or_default().to_be_bytes();
                self.replies.extend(frame(kind::WINDOW_UPDATE, 0, 0, &increment));
                self.replies.extend(frame(kind::WINDOW_UPDATE, 0, 1, &increment));
            }
            return;
        }
        if length > FRAME {
            // The client has not allowed frames this long (RFC 9113 §4.2).
            self.is_garbled = true;
        }
        if self.held.len() < HEADER + length || self.is_garbled {
            return;
        }
        let payload = self.held.split_off(HEADER);
        self.held.clear();
        self.frame(kind, flags, stream, &payload);
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        match kind {
            kind::SETTINGS => {
                self.settings = true;
                if flags & ACK == 0 {
                    self.settings(payload);
                    self.replies.extend(frame(kind::SETTINGS, ACK, 0, &[]));
                }
            }
            kind::PING if flags & ACK == 0 => self.replies.extend(frame(kind::PING, ACK, 0, payload)),
            kind::GOAWAY => self.goaway = payload.get(4..8).map(code),
            // The first one ends the stream; later ones answer frames that were still on the way.
            kind::RST_STREAM if stream == 1 => self.reset = self.reset.or(payload.get(..4).map(code)),
            kind::WINDOW_UPDATE => {
                let increment = i64::from(payload.get(..4).map_or(0, code) & 0x7fff_ffff);
                match stream {
                    0 => self.window += increment,
                    1 => self.stream_window += increment,
                    _ => {}
                }
            }
            kind::HEADERS if stream == 1 => {
                let padding = if flags & PADDED != 0 {
                    payload.first().map_or(0, |bytes| usize::from(*bytes))
                } else {
                    0
                };
                let begin = usize::from(flags & PADDED != 0) + if flags & PRIORITY != 0 { 5 } else { 0 };
                let end = payload.len().saturating_sub(padding).max(begin);
                self.block = payload.get(begin..end).unwrap_or_default().to_vec();
                self.ended |= flags & END_STREAM != 0;
                self.fields(flags);
            }
            kind::CONTINUATION if stream == 1 && self.block.len() < BLOCK => {
                self.block.extend_from_slice(payload);
                self.fields(flags);
            }
            _ => {}
        }
    }

    fn settings(&mut self, payload: &[u8]) {
        for setting in payload.chunks_exact(6) {
            let value = code(&setting[2..]);
            if setting[..2] == INITIAL_WINDOW_SIZE {
                self.stream_window += i64::from(value) - self.initial_window;
                self.initial_window = i64::from(value);
            }
        }
    }

    /// Reads a field block once it is complete. The first final status counts; trailers have none.
    fn fields(&mut self, flags: u8) {
        if flags & END_HEADERS == 0 {
            return;
        }
        let block = std::mem::take(&mut self.block);
        let Ok(fields) = self.decoder.decode(&block) else { return };
        let status = fields.iter().find(|(name, _)| name == b":status");
        let status = status.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse::<u16>().ok());
        if let Some(status) = status.filter(|status| *status >= 200) {
            self.status.get_or_insert(status);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], size: usize) -> Frames {
        let mut frames = Frames::default();
        bytes.chunks(size).for_each(|piece| frames.take(piece));
        frames
    }

    #[test]
    fn a_response_its_reset_and_a_goaway_are_read_however_they_are_cut() {
        let window = [&INITIAL_WINDOW_SIZE[..], &100_000_u32.to_be_bytes()].concat();
        let bytes = [
            frame(kind::SETTINGS, 0, 0, &window),
            headers(&[(":status", "103")], false),
            headers(&[(":status", "413"), ("server", "x")], false),
            frame(kind::DATA, END_STREAM, 1, b"too big"),
            frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 0]),
            frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 5]),
            frame(kind::PING, 0, 0, &[7; 8]),
            frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 11]),
        ]
        .concat();
        for size in [1, 5, bytes.len()] {
            let mut frames = read(&bytes, size);
            assert_eq!((frames.status, frames.body_bytes, frames.ended), (Some(413), 7, true));
            assert_eq!((frames.reset, frames.goaway), (Some(NO_ERROR), Some(11)));
            assert_eq!((frames.room(), frames.stream_window), (65_535, 100_000));
            assert!(frames.settings && !frames.is_garbled);
            let replies = frames.replies();
            assert_eq!(read(&replies, 3).held.len(), 0, "whole frames");
            assert!(replies.windows(8).any(|part| part == [7; 8]), "the PING is answered");
        }
        assert_eq!(error_name(11), "ENHANCE_YOUR_CALM");
        assert_eq!(error_name(99), "error 99");
    }

    #[test]
    fn what_is_not_http2_is_garbled() {
        assert!(read(b"HTTP/1.1 400 Bad Request\r\n\r\n", 4).is_garbled);
        let long = frame(kind::SETTINGS, 0, 0, &[]);
        assert!(read(&[&long[..], &[0xff; 100]].concat(), 7).is_garbled, "a frame of 16 MiB");
    }

    #[test]
    fn data_keeps_to_the_windows() {
        let mut frames = read(&frame(kind::SETTINGS, 0, 0, &[]), 9);
        let mut sent = 0;
        while frames.room() > 0 {
            sent += frames.data(1 << 20, true).len() - HEADER;
        }
        assert_eq!(sent, 65_535);
        frames.take(&frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 9]));
        assert_eq!(frames.room(), 0, "the stream's window is used up, too");
        frames.take(&frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 5]));
        assert_eq!(frames.data(100, true)[4], 0, "not the last");
        frames.take(&frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 5]));
        assert_eq!(frames.data(3, true)[4], END_STREAM);
    }
}
