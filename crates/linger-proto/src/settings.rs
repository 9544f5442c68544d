//! Settings as words: how a group of settings is shown, and read from a line or a file.
//!
//! [`ClosePolicy`](crate::ClosePolicy) is such a group, and tower-linger has others. Each lists its settings
//! once ([`Settings::places`]). What shows them, what reads them and what writes them goes through that list,
//! so none of the three can lack a setting. Reading and writing need the feature `serde`.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::config_error::ConfigError;
use crate::outcome::Release;

#[cfg(feature = "serde")]
mod error;
#[cfg(feature = "serde")]
mod map;
#[cfg(feature = "serde")]
mod read;

#[cfg(feature = "serde")]
pub use error::SettingsError;
#[cfg(feature = "serde")]
pub use map::{deserialize, serialize};
#[cfg(feature = "serde")]
pub use read::read_line;

/// A group of settings that are not checked yet: a builder.
pub trait Settings: Sized {
    /// What they are once they are checked.
    type Built;

    /// All settings, each as it is by default.
    fn defaults() -> Self;

    /// Every setting: its key and its place, in the order in which they are shown. Take `self` apart without
    /// `..`, so that the compiler asks for a setting that is missing here.
    fn places(&mut self) -> Vec<(&'static str, Place<'_>)>;

    /// Checks the settings against each other.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the first setting that makes no sense, and what would.
    fn build(self) -> Result<Self::Built, ConfigError>;
}

/// Where the value of one setting is, by its kind. An option is `None` while it is off.
#[derive(Debug)]
#[non_exhaustive]
pub enum Place<'a> {
    /// `30s`. It is always shown.
    Time(&'a mut Duration),
    /// `64MiB`. It is always shown.
    Bytes(&'a mut u64),
    /// `30s`, or off.
    OptionalTime(&'a mut Option<Duration>),
    /// Bytes per second, and the time before they count: `64KiB/s after 5s`, or off.
    Rate(&'a mut Option<(u64, Duration)>),
    /// A bound in time and one in bytes: `5s and 64KiB`, or off.
    TimeAndBytes(&'a mut Option<(Duration, u64)>),
    /// `3 round trips`, or off.
    RoundTrips(&'a mut Option<u32>),
    /// `448`, or off: without a bound. It is always shown, because the default may be a bound.
    Count(&'a mut Option<NonZeroUsize>),
    /// `true`, or off. Its key alone is shown in a line.
    Flag(&'a mut bool),
    /// `Close`, which is not shown because it is the default, or `Abort`.
    Release(&'a mut Release),
}

impl Place<'_> {
    /// What is to be shown of it; nothing for an option that is off.
    fn value(&self) -> Option<Value> {
        match self {
            Self::Time(time) => Some(Value::Time(**time)),
            Self::Bytes(bytes) => Some(Value::Bytes(**bytes)),
            Self::OptionalTime(time) => time.map(Value::Time),
            Self::Rate(rate) => rate.map(|(bytes, grace)| Value::Rate(bytes, grace)),
            Self::TimeAndBytes(bounds) => bounds.map(|(time, bytes)| Value::TimeAndBytes(time, bytes)),
            Self::RoundTrips(count) => count.map(Value::RoundTrips),
            Self::Count(count) => Some(Value::Count(**count)),
            Self::Flag(is_on) => is_on.then_some(Value::On),
            Self::Release(release) => match release {
                Release::Close => None,
                Release::Abort => Some(Value::Abort),
            },
        }
    }
}

/// A value that is shown. Its words are exact: what reads them gets the same value.
#[derive(Clone, Copy)]
enum Value {
    Time(Duration),
    Bytes(u64),
    Rate(u64, Duration),
    TimeAndBytes(Duration, u64),
    RoundTrips(u32),
    Count(Option<NonZeroUsize>),
    On,
    Abort,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => write!(f, "{time:?}"),
            Self::Bytes(bytes) => write!(f, "{}", Bytes(*bytes)),
            Self::Rate(bytes, grace) => write!(f, "{}/s after {grace:?}", Bytes(*bytes)),
            Self::TimeAndBytes(time, bytes) => write!(f, "{time:?} and {}", Bytes(*bytes)),
            Self::RoundTrips(count) => write!(f, "{count} round trips"),
            Self::Count(Some(count)) => write!(f, "{count}"),
            Self::Count(None) => f.write_str("off"),
            Self::On => f.write_str("true"),
            Self::Abort => f.write_str("Abort"),
        }
    }
}

/// Shows the settings in one line: those that always hold, and each option that is on.
///
/// # Errors
///
/// Those of the formatter.
pub fn write_line(settings: &mut impl Settings, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut separator = "";
    for (key, place) in settings.places() {
        match place.value() {
            None => continue,
            Some(Value::On) => write!(f, "{separator}{key}")?,
            Some(value) => write!(f, "{separator}{key} {value}")?,
        }
        separator = ", ";
    }
    Ok(())
}

/// A size in the largest unit that shows it exactly.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let exact = |(shift, _): &(u32, &str)| self.0 > 0 && self.0.trailing_zeros() >= *shift;
        match units.into_iter().find(exact) {
            Some((shift, unit)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn a_size_is_shown_exactly_in_its_largest_unit() {
        let sizes = [0, 1, 1 << 10, 3 << 19, 1 << 20, (1 << 20) + 1, 5 << 30].map(|it| Bytes(it).to_string());
        assert_eq!(sizes, ["0B", "1B", "1KiB", "1536KiB", "1MiB", "1048577B", "5GiB"]);
    }
}
