//! What is noticed of a connection while it is served.

use std::io;
use std::task::Poll;

use linger_proto::{Failure, Start};
use tokio::io::ReadBuf;

/// What passed by that the close has to know.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) start: Start,
    /// The service asked for the half-close, was told that it is done, and it is not sent yet.
    pub(crate) owes_half_close: bool,
}

impl Seen {
    /// What the close begins with.
    pub(crate) fn into_start(self) -> Start {
        self.start
    }

    /// A TLS handshake that failed: its alert was the last message.
    #[cfg(feature = "rustls")]
    pub(crate) fn failed_handshake(error: &io::Error) -> Self {
        let mut seen = Self::default();
        seen.start.fatal_alert = true;
        seen.note(error);
        seen
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn pass(&mut self, error: io::Error) -> io::Error {
        self.note(&error);
        error
    }

    /// Notes a read that brought no bytes: a failure or, where there was room for some, the end of the peer's data.
    #[cold]
    #[inline(never)]
    pub(crate) fn note_read(&mut self, result: io::Result<()>, into: &ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &result {
            Ok(()) => self.start.peer_ended |= into.remaining() > 0,
            Err(error) => self.note(error),
        }
        Poll::Ready(result)
    }

    /// Keeps the first failure: the kernel reports each only once.
    pub(crate) fn note(&mut self, error: &io::Error) {
        match error.kind() {
            // rustls' word for a FIN without a close_notify. The drain will see that FIN again.
            io::ErrorKind::UnexpectedEof if error.raw_os_error().is_none() => {}
            kind => {
                self.start.fatal_alert |= kind == io::ErrorKind::InvalidData;
                self.start.failure.get_or_insert(Failure::from(error));
            }
        }
    }
}
