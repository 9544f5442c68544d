//! The names of failures, for logs and metrics.

use std::io::ErrorKind as Kind;

use crate::outcome::Failure;

/// A name for each kind of error, and the list of all names.
macro_rules! names {
    ($($kind:ident => $name:literal),+ $(,)?) => {
        /// All names that [`Failure::as_str`] returns: there are no others.
        const NAMES: &[&str] = &[$($name,)+ OTHER];

        const fn name(kind: Kind) -> &'static str {
            match kind {
                $(Kind::$kind => $name,)+
                _ => OTHER,
            }
        }
    };
}

const OTHER: &str = "other";

// What sockets and TLS sessions report. The standard library may add kinds, which are "other" until they get
// a line here.
names! {
    AddrInUse => "addr_in_use",
    BrokenPipe => "broken_pipe",
    ConnectionAborted => "connection_aborted",
    ConnectionRefused => "connection_refused",
    ConnectionReset => "connection_reset",
    HostUnreachable => "host_unreachable",
    Interrupted => "interrupted",
    InvalidData => "invalid_data",
    InvalidInput => "invalid_input",
    NetworkDown => "network_down",
    NetworkUnreachable => "network_unreachable",
    NotConnected => "not_connected",
    OutOfMemory => "out_of_memory",
    PermissionDenied => "permission_denied",
    TimedOut => "timed_out",
    UnexpectedEof => "unexpected_eof",
    Unsupported => "unsupported",
    WouldBlock => "would_block",
    WriteZero => "write_zero",
}

impl Failure {
    /// Every name that [`as_str`](Self::as_str) returns in this version; later versions may add some.
    pub const NAMES: &[&str] = NAMES;

    /// The name of the error's [`kind`](Self::kind) in lower-case words joined by `_`, stable for logs and
    /// metrics; `other` for kinds that a connection does not usually fail with. It is one of
    /// [`NAMES`](Self::NAMES), so a metric may have it as a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        name(self.kind())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_kind_has_a_name_of_its_own_that_is_its_variants() {
        for kind in [Kind::ConnectionReset, Kind::BrokenPipe, Kind::TimedOut, Kind::UnexpectedEof] {
            let name = Failure::from_kind(kind).as_str();
            assert_eq!(name.replace('_', ""), format!("{kind:?}").to_lowercase());
        }
        assert_eq!(Failure::from_kind(Kind::StorageFull).as_str(), "other");
        assert_eq!(Failure::NAMES.iter().collect::<HashSet<_>>().len(), Failure::NAMES.len());
    }
}
