//! How a close ended.

use std::error::Error;
use std::fmt;
use std::io;

/// How a close ended. Each close has exactly one outcome.
///
/// The first group is what the network did to the connection; a middlebox can forge any of it, and nobody can
/// tell. The second group is our own bounds, the third our own decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The peer's FIN, or its `close_notify` where the policy waits for it.
    PeerClosed {
        /// Whether the peer's `close_notify` was **read**. Usually we drain below TLS and do not look for it,
        /// so `false` is normal, and on plain connections it is the only value.
        close_notify: bool,
    },
    /// A RST: seen by a read (`ECONNRESET`), or by a write as `EPIPE`.
    PeerReset,
    /// The kernel gave up after an ICMP error.
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
    /// The peer had announced its last request, and nothing of it was left to read: released right after the
    /// FIN. The kernel sends again what is lost.
    PeerDone,
    /// By policy only our descriptor was closed. The FIN follows when the last one is.
    LeftOpen,
    /// Too many connections lingered at once, and this was the oldest.
    Evicted,
    /// Everything was acknowledged and the peer was quiet: early release, where the policy allows it.
    Acknowledged,
    /// The server's shutdown deadline came first: it cut the connection while it was served, or the close.
    ShutdownCut,
    /// The connection failed while it was served, or a handler aborted it: it was ended in a way that does
    /// not look clean. [`CloseReport::release`](crate::CloseReport::release) says whether that was a RST, or
    /// a FIN without `close_notify` behind a response whose framing shows that it is cut.
    Aborted,
    /// The TLS handshake took too long, or was given up: the socket was closed. There was no message to save.
    HandshakeTimeout,
    /// The close's future and its runtime were gone: one synchronous best effort was made.
    Cancelled,
}

/// One line for each outcome: everything that depends on which one it is. The compiler asks for a line for
/// each variant.
macro_rules! outcomes {
    ($(
        $variant:ident $({ $flag:ident })? => $name:literal, $code:literal, $ended_by:ident, $if_cut:ident;
    )*) => {
        impl Outcome {
            /// Every outcome of this version, in the order of their declaration; later versions may add some.
            pub const ALL: &[Self] = &[$(Self::$variant $({ $flag: false })?),*];

            const fn kind(self) -> Kind {
                use {EndedBy::*, IfCut::*};
                match self {
                    $(Self::$variant { .. } => {
                        Kind { name: $name, code: $code, ended_by: $ended_by, if_cut: $if_cut }
                    })*
                }
            }
        }
    };
}

outcomes! {
    PeerClosed { close_notify } => "peer_closed", 'P', Connection, ReportCut;
    PeerReset => "peer_reset", 'R', Connection, ReportThis;
    Unreachable => "unreachable", 'U', Connection, ReportThis;
    KernelTimeout => "kernel_timeout", 'K', Connection, ReportThis;
    LocalAbort => "local_abort", 'L', Connection, ReportThis;
    Failed => "failed", 'E', Connection, ReportThis;

    FlushTimeout => "flush_timeout", 'F', Limit, ReportThis;
    DrainIdle => "drain_idle", 'I', Limit, ReportCut;
    DrainDeadline => "drain_deadline", 'T', Limit, ReportCut;
    DrainLimit => "drain_limit", 'B', Limit, ReportCut;
    DrainRate => "drain_rate", 'S', Limit, ReportCut;

    Undrained => "undrained", 'N', Decision, ReportCut;
    PeerDone => "peer_done", 'X', Decision, ReportCut;
    LeftOpen => "left_open", 'O', Decision, ReportCut;
    Evicted => "evicted", 'V', Limit, ReportThis;
    Acknowledged => "acknowledged", 'Q', Decision, ReportCut;
    ShutdownCut => "shutdown_cut", 'D', Limit, ReportCut;
    Aborted => "aborted", 'A', Decision, ReportCut;
    HandshakeTimeout => "handshake_timeout", 'H', Decision, ReportCut;
    Cancelled => "cancelled", 'C', Decision, ReportThis;
}

struct Kind {
    name: &'static str,
    /// The first character of [`CloseReport::line`](crate::CloseReport::line).
    code: char,
    ended_by: EndedBy,
    if_cut: IfCut,
}

enum EndedBy {
    /// The connection itself is gone.
    Connection,
    /// One of our own bounds, while the peer could still have sent more.
    Limit,
    Decision,
}

/// What the close of a connection that was cut reports when it ends in this way.
enum IfCut {
    /// What cut the connection.
    ReportCut,
    /// This outcome, because the peer may not have been shown the cut.
    ReportThis,
}

impl Outcome {
    /// The outcome's name in lower-case words joined by `_`, stable for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.kind().name
    }

    /// The first character of [`CloseReport::line`](crate::CloseReport::line).
    pub(crate) const fn code(self) -> char {
        self.kind().code
    }

    /// Whether one of our own bounds ended the close, while the peer could still have sent more.
    #[must_use]
    pub const fn is_limit(self) -> bool {
        match self.kind().ended_by {
            EndedBy::Limit => true,
            EndedBy::Connection | EndedBy::Decision => false,
        }
    }

    /// Whether the connection itself is gone, so that there is nothing left to read before its socket is
    /// released.
    #[must_use]
    pub const fn is_connection_over(self) -> bool {
        match self.kind().ended_by {
            EndedBy::Connection => true,
            EndedBy::Limit | EndedBy::Decision => false,
        }
    }

    /// The outcome to report if a close ended in this way and its connection had been cut because of `cut`.
    pub(crate) const fn of_cut(self, cut: Self) -> Self {
        match self.kind().if_cut {
            IfCut::ReportCut => cut,
            IfCut::ReportThis => self,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the socket has to be released. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Release {
    /// Read until it would block, then close the descriptor.
    Close,
    /// Zero `SO_LINGER`, then close: a RST. It throws away what the peer has not read yet.
    Abort,
}

/// An I/O failure, reduced to what can be copied and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_outcome_has_the_name_of_its_variant_and_a_letter_of_its_own() {
        let mut codes = HashSet::new();
        for outcome in Outcome::ALL {
            let variant = format!("{outcome:?}");
            let words = variant.split(' ').next().unwrap_or_default();
            assert_eq!(outcome.as_str().replace('_', ""), words.to_lowercase());
            assert!(codes.insert(outcome.code()), "{outcome} shares its letter");
        }
    }
}
