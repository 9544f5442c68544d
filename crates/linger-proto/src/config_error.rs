//! What can be wrong with a policy.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::policy::LONGEST;

/// A setting of a [`ClosePolicy`](crate::ClosePolicy) that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A time of zero would end the close before it began.
    ZeroTime {
        /// The setting.
        field: &'static str,
    },
    /// A limit of zero bytes would end the close at the peer's first byte, with a reset.
    ZeroBytes {
        /// The setting.
        field: &'static str,
    },
    /// Two settings of which one leaves the other without effect.
    Exclusive {
        /// The setting.
        field: &'static str,
        /// The one that it leaves without effect.
        other: &'static str,
    },
    /// Zero round trips: the early release would not wait for any silence.
    ZeroRoundTrips {
        /// The setting.
        field: &'static str,
    },
    /// A time of more than a day, which is most likely a mistake in the unit.
    TooLong {
        /// The setting.
        field: &'static str,
        /// Its value.
        time: Duration,
    },
    /// This system cannot do it.
    Unsupported {
        /// The setting.
        field: &'static str,
    },
    /// The TLS library cannot do it.
    UnsupportedBy {
        /// The setting.
        field: &'static str,
        /// The library, and where it cannot.
        library: &'static str,
    },
    /// A part that is longer than its whole could never be reached.
    OverTotal {
        /// The setting.
        field: &'static str,
        /// Its value.
        time: Duration,
        /// The setting that bounds it.
        total_field: &'static str,
        /// The value of that.
        total: Duration,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroTime { field } => {
                write!(f, "{field} is zero: give it more than zero, or leave it at its default")
            }
            Self::ZeroBytes { field } => {
                write!(f, "{field} is zero: give it at least 1 byte, or leave it at its default")
            }
            Self::Exclusive { field, other } => {
                write!(f, "{other} has no effect with {field}: leave one of them out")
            }
            Self::ZeroRoundTrips { field } => {
                write!(f, "{field} is zero round trips: give it at least 1, or leave it out")
            }
            Self::TooLong { field, time } => {
                write!(f, "{field} is {time:?}: give it at most {LONGEST:?} (a day)")
            }
            Self::Unsupported { field } => write!(f, "{field} needs Linux: leave it out on this system"),
            Self::UnsupportedBy { field, library } => {
                write!(f, "{library} cannot do {field}: leave it out, or use another library")
            }
            Self::OverTotal { field, time, total_field, total } => {
                write!(
                    f,
                    "{field} ({time:?}) is over {total_field} ({total:?}): lower {field} or raise {total_field}"
                )
            }
        }
    }
}

impl Error for ConfigError {}
