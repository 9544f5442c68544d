//! Reads and counts what arrives on a connection, without keeping it.

use crate::http2::Frames;
use crate::response::{Head, Reader};
use crate::websocket::Closing;

/// Everything that arrived.
#[derive(Debug)]
pub(crate) struct Received {
    /// Beyond this many bytes, the data counts as endless.
    pub(crate) limit: u64,
    /// How many bytes of data arrived.
    pub(crate) bytes: u64,
    /// The first few of them, which tell TLS records.
    pub(crate) prefix: Vec<u8>,
    /// The first HTTP/1 response.
    pub(crate) http1: Reader,
    /// What follows the response to an upgrade.
    pub(crate) websocket: Closing,
    /// The frames of an HTTP/2 connection.
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

    /// Whether more has arrived than the limit.
    pub(crate) fn is_endless(&self) -> bool {
        self.bytes > self.limit
    }

    /// Forgets the last response, so that the next one can be read.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.http2.is_some(), self.limit);
    }

    /// Whether the response states a length beyond the limit.
    pub(crate) fn states_too_much(&self) -> bool {
        self.http1.head().and_then(Head::length).is_some_and(|length| length > self.limit)
    }
}

/// How many bytes [`Received::prefix`] has at most.
const PREFIX: usize = 16;
/// The most bytes that are read of a connection: far more than a check needs.
pub(crate) const LIMIT: u64 = 256 << 20;
