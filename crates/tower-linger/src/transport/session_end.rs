//! How a session ended, as an error tells it.

use std::io;

use linger_proto::Alert;

/// What an error of a read or a write says about the end of a session. Exhaustive: a new variant is a
/// breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// The peer's FIN came without its closure alert.
    Truncated,
    /// The peer has sent a fatal alert.
    AlertReceived,
    /// What the peer has sent is refused, and a fatal alert tells it so.
    AlertSent,
}

impl SessionEnd {
    pub(super) fn by_kind(error: &io::Error) -> Option<Self> {
        match error.kind() {
            // A socket's own error has a number.
            io::ErrorKind::UnexpectedEof if error.raw_os_error().is_none() => Some(Self::Truncated),
            io::ErrorKind::InvalidData => Some(Self::AlertSent),
            _ => None,
        }
    }

    pub(crate) fn fatal_alert(self) -> Option<Alert> {
        match self {
            Self::Truncated => None,
            Self::AlertReceived => Some(Alert::Received),
            Self::AlertSent => Some(Alert::Sent),
        }
    }
}
