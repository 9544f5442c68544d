//! How a close ended.

use std::error::Error;
use std::fmt;
use std::io;

/// The one final answer for a connection.
///
/// The first group is how TCP connections end by the network's doing; a middlebox can forge any of it, and
/// nobody can tell, so neither does this. The second group is our own bounds, the third our own decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The peer's FIN, or its `close_notify` where the policy waits for it.
    PeerClosed {
        /// Whether the peer's `close_notify` was **read**. Usually we drain below TLS and do not look for
        /// it, so
        /// `false` is a normal value, on plain connections the only one.
        close_notify: bool,
    },
    /// A RST: seen by a read (`ECONNRESET`), or by a write as `EPIPE`.
    PeerReset,
    /// ICMP said so, and the kernel gave up.
    Unreachable,
    /// A retransmission, user or keepalive timeout of the kernel (`ETIMEDOUT`).
    KernelTimeout,
    /// Something on this host destroyed the socket (`ss -K`: `ECONNABORTED`).
    LocalAbort,
    /// Any other failure; [`CloseReport::failure`](crate::CloseReport::failure) has it.
    Failed,

    /// Our own bytes could not be flushed in time, or a write made no progress for the policy's
    /// `write_idle_timeout`.
    FlushTimeout,
    /// The peer sent nothing for the drain's idle timeout.
    DrainIdle,
    /// The drain reached its total time.
    DrainDeadline,
    /// The drain reached its byte limit.
    DrainLimit,
    /// The peer sent, but more slowly than the drain's minimum rate.
    DrainRate,

    /// The policy has no drain: released right after the FIN.
    Undrained,
    /// By policy our descriptor was closed, and the FIN left to the last one.
    LeftOpen,
    /// Too many connections lingered at once, and this was the oldest.
    Evicted,
    /// Everything was acknowledged and the peer was quiet: early release, where the policy allows it.
    Acknowledged,
    /// The server's shutdown deadline came first: it cut the connection while it was served, or the close.
    ShutdownCut,
    /// The connection failed while it was served, or a handler wants it so: it was ended in a way that does
    /// not look clean. [`CloseReport::release`](crate::CloseReport::release) says whether by a RST, or by a
    /// FIN without
    /// `close_notify` behind a response whose framing shows that it is cut.
    Aborted,
    /// The TLS handshake took too long, or was given up: the socket was closed. There was no message to save.
    HandshakeTimeout,
    /// The close's future and its runtime were gone: one synchronous best effort was made.
    Cancelled,
}

impl Outcome {
    /// The outcome's name in lower-case words joined by `_`, stable for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PeerClosed { .. } => "peer_closed",
            Self::PeerReset => "peer_reset",
            Self::Unreachable => "unreachable",
            Self::KernelTimeout => "kernel_timeout",
            Self::LocalAbort => "local_abort",
            Self::Failed => "failed",
            Self::FlushTimeout => "flush_timeout",
            Self::DrainIdle => "drain_idle",
            Self::DrainDeadline => "drain_deadline",
            Self::DrainLimit => "drain_limit",
            Self::DrainRate => "drain_rate",
            Self::Acknowledged => "acknowledged",
            Self::Undrained => "undrained",
            Self::LeftOpen => "left_open",
            Self::Evicted => "evicted",
            Self::ShutdownCut => "shutdown_cut",
            Self::Aborted => "aborted",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::Cancelled => "cancelled",
        }
    }

    /// The first character of [`CloseReport::line`](crate::CloseReport::line).
    pub(crate) const fn code(self) -> char {
        match self {
            Self::PeerClosed { .. } => 'P',
            Self::PeerReset => 'R',
            Self::Unreachable => 'U',
            Self::KernelTimeout => 'K',
            Self::LocalAbort => 'L',
            Self::Failed => 'E',
            Self::FlushTimeout => 'F',
            Self::DrainIdle => 'I',
            Self::DrainDeadline => 'T',
            Self::DrainLimit => 'B',
            Self::DrainRate => 'S',
            Self::Acknowledged => 'Q',
            Self::Undrained => 'N',
            Self::LeftOpen => 'O',
            Self::Evicted => 'V',
            Self::ShutdownCut => 'D',
            Self::Aborted => 'A',
            Self::HandshakeTimeout => 'H',
            Self::Cancelled => 'C',
        }
    }

    /// Whether one of our own bounds ended the close, while the peer could still have sent more.
    #[must_use]
    pub const fn is_limit(self) -> bool {
        matches!(
            self,
            Self::FlushTimeout
                | Self::DrainIdle
                | Self::DrainDeadline
                | Self::DrainLimit
                | Self::DrainRate
                | Self::Evicted
                | Self::ShutdownCut
        )
    }

    /// Whether the connection itself is gone, so that there is nothing left to read before its socket is
    /// released.
    #[must_use]
    pub const fn is_connection_over(self) -> bool {
        matches!(
            self,
            Self::PeerClosed { .. }
                | Self::PeerReset
                | Self::Unreachable
                | Self::KernelTimeout
                | Self::LocalAbort
                | Self::Failed
        )
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the socket has to be released. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Read until it would block, then close the descriptor.
    Close,
    /// Zero `SO_LINGER`, then close: a RST. It throws away what the peer has not read yet.
    Abort,
}

/// An I/O failure, reduced to what can be copied and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    kind: io::ErrorKind,
    os_code: Option<i32>,
}

impl Failure {
    /// A failure that no system call reported, by its kind alone.
    #[must_use]
    pub const fn from_kind(kind: io::ErrorKind) -> Self {
        Self { kind, os_code: None }
    }

    /// The error's kind.
    #[must_use]
    pub const fn kind(self) -> io::ErrorKind {
        self.kind
    }

    /// The system's number (`errno`), where a system call failed.
    #[must_use]
    pub const fn os_code(self) -> Option<i32> {
        self.os_code
    }

    /// Whether the connection is over with this failure. A kernel's error always ends it; a failure above the
    /// kernel (a TLS record that makes no sense) leaves a socket behind that still has to be closed properly.
    #[must_use]
    pub const fn is_final(self) -> bool {
        use io::ErrorKind as Kind;
        self.os_code.is_some()
            || matches!(
                self.kind,
                Kind::ConnectionReset
                    | Kind::ConnectionAborted
                    | Kind::NotConnected
                    | Kind::BrokenPipe
                    | Kind::WriteZero
            )
    }

    /// The outcome that this failure means when it ends a close.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        use io::ErrorKind as Kind;
        match self.kind {
            _ if cfg!(target_os = "linux") && matches!(self.os_code, Some(ENOPROTOOPT)) => {
                Outcome::Unreachable
            }
            Kind::ConnectionReset | Kind::BrokenPipe | Kind::NotConnected => Outcome::PeerReset,
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::ConnectionRefused => {
                Outcome::Unreachable
            }
            Kind::TimedOut => Outcome::KernelTimeout,
            Kind::ConnectionAborted => Outcome::LocalAbort,
            _ => Outcome::Failed,
        }
    }
}

/// Linux reports ICMP's "protocol unreachable" as this; the standard library has no kind for it.
const ENOPROTOOPT: i32 = 92;

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        Self { kind: error.kind(), os_code: error.raw_os_error() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.os_code {
            Some(code) => write!(f, "{}", io::Error::from_raw_os_error(code)),
            None => write!(f, "{}", self.kind),
        }
    }
}

impl Error for Failure {}
