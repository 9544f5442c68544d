//! Points in time.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

/// The time that the connections span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The first packet.
    pub from: At,
    /// The last packet.
    pub to: At,
}

/// A point in time, since 1970. It prints in RFC 3339, UTC, with microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At(pub Duration);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A damaged file may have any time. The last one with a year of four digits is the latest that can be
        // written.
        const LAST: Duration = Duration::from_secs(253_402_300_799);
        let time = SystemTime::UNIX_EPOCH + self.0.min(LAST);
        write!(f, "{}", humantime::format_rfc3339_micros(time))
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
