//! One TCP segment, and the order of sequence numbers.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use crate::transcript::Side;

/// What matters of one TCP segment.
#[derive(Debug)]
pub(crate) struct Segment<'a> {
    /// When it was captured, since 1970.
    pub(crate) at: Duration,
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only the test capture reads it"))]
    pub(crate) client: SocketAddr,
    pub(crate) side: Side,
    pub(crate) seq: u32,
    pub(crate) ack: Option<u32>,
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    pub(crate) payload: Cow<'a, [u8]>,
    /// Payload bytes that the capture cut off.
    pub(crate) missing: usize,
}

impl Segment<'_> {
    pub(crate) fn len(&self) -> usize {
        self.payload.len() + self.missing
    }

    /// The sequence number of the first byte of the payload: a SYN takes one itself.
    pub(crate) fn data_seq(&self) -> u32 {
        self.seq.wrapping_add(u32::from(self.syn))
    }

    /// The sequence number after the payload.
    pub(crate) fn end(&self) -> u32 {
        // A segment is at most 64 KiB: IP's length field holds no more.
        self.data_seq().wrapping_add(u32::try_from(self.len()).unwrap_or(u32::MAX))
    }

    pub(crate) fn into_owned(self) -> Segment<'static> {
        Segment { payload: Cow::Owned(self.payload.into_owned()), ..self }
    }
}

/// Whether `a` comes before `b` in sequence space, which wraps around (RFC 9293 §3.4).
pub(crate) fn is_before(a: u32, b: u32) -> bool {
    (1..1 << 31).contains(&b.wrapping_sub(a))
}
