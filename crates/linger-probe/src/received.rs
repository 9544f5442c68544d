//! What arrived on a connection: looked at as it comes, counted, and not kept.

use crate::http2::Frames;
use crate::response::{Head, Reader};
use crate::websocket::Closing;

/// Everything that arrived.
#[derive(Debug)]
pub(crate) struct Received {
    /// Beyond so many bytes, what comes has no end.
    pub(crate) limit: u64,
    /// Bytes of data.
    pub(crate) bytes: u64,
    /// The first of them, for what is told by a few bytes.
    pub(crate) prefix: Vec<u8>,
    /// The first response of HTTP/1.
    pub(crate) http1: Reader,
    /// Behind the response to an upgrade.
    pub(crate) websocket: Closing,
    /// The frames, on a connection of HTTP/2.
    pub(crate) http2: Option<Box<Frames>>,
}

impl Received {
    pub(crate) fn new(http2: bool, limit: u64) -> Self {
        Self {
            limit,
            bytes: 0,
            prefix: Vec::new(),
            http1: Reader::new(),
            websocket: Closing::default(),
            http2: http2.then(Box::default),
        }
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let room = PREFIX.saturating_sub(self.prefix.len()).min(bytes.len());
        self.prefix.extend_from_slice(&bytes[..room]);
        if let Some(frames) = &mut self.http2 {
            frames.take(bytes);
            return;
        }
        let before = self.http1.extra();
        self.http1.take(bytes);
        if self.http1.head().is_some_and(|head| head.status == 101) {
            let behind = usize::try_from(self.http1.extra() - before).unwrap_or(bytes.len());
            self.websocket.take(&bytes[bytes.len() - behind..]);
        }
    }

    /// Whether it is more than any answer should be.
    pub(crate) fn is_endless(&self) -> bool {
        self.bytes > self.limit
    }

    /// Makes ready for the next response on the same connection.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.http2.is_some(), self.limit);
    }

    /// Whether its response states a length that is more than is taken.
    pub(crate) fn states_too_much(&self) -> bool {
        self.http1.head().and_then(Head::length).is_some_and(|length| length > self.limit)
    }
}

const PREFIX: usize = 16;
/// Of what is taken on a connection. It is far more than a check has use for; a server that sends on has no
/// end.
pub(crate) const LIMIT: u64 = 256 << 20;
