//! Frames as bytes (RFC 9113 §4, §6).

use std::io::Write as _;

/// Frame types (RFC 9113 §6).
pub(super) mod kind {
    pub(in crate::http2) const DATA: u8 = 0;
    pub(in crate::http2) const HEADERS: u8 = 1;
    pub(in crate::http2) const RST_STREAM: u8 = 3;
    pub(in crate::http2) const SETTINGS: u8 = 4;
    pub(in crate::http2) const PING: u8 = 6;
    pub(in crate::http2) const GOAWAY: u8 = 7;
    pub(in crate::http2) const WINDOW_UPDATE: u8 = 8;
    pub(in crate::http2) const CONTINUATION: u8 = 9;
}

/// A request's HEADERS frame on stream 1. `fields` include the pseudo-fields.
pub(crate) fn headers(fields: &[(&str, &str)], is_last: bool) -> Vec<u8> {
    let mut encoder = loona_hpack::Encoder::new();
    let mut block = Vec::new();
    for (name, value) in fields {
        // This writes to memory, which cannot fail.
        let _ = encoder.encode_header_into((name.as_bytes(), value.as_bytes()), &mut block);
    }
    frame(kind::HEADERS, END_HEADERS | if is_last { END_STREAM } else { 0 }, 1, &block)
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER + payload.len());
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    // This writes to memory, which cannot fail.
    let _ = frame.write_all(&length[1..]);
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

pub(super) fn length(header: [u8; HEADER]) -> usize {
    usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2])
}

pub(super) fn code(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// The name of an error code (RFC 9113 §7).
pub(crate) fn error_name(code: u32) -> String {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    let name = usize::try_from(code).ok().and_then(|code| NAMES.get(code));
    name.map_or_else(|| format!("error {code}"), |name| (*name).to_owned())
}

/// The client's preface (RFC 9113 §3.4), with an empty SETTINGS frame.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
pub(crate) const NO_ERROR: u32 = 0;
/// Bytes of a frame's header.
pub(crate) const HEADER: usize = 9;
/// The most bytes of a frame's payload, without a setting that allows more (RFC 9113 §6.5.2).
pub(super) const FRAME: usize = 16 << 10;
/// The most bytes that are kept of a field block.
pub(super) const BLOCK: usize = 1 << 20;
pub(super) const FIRST_WINDOW: i64 = 65_535;
pub(super) const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const PRIORITY: u8 = 0x20;
