//! Limits as words, as those of a policy are.

use std::fmt;

use linger_proto::ConfigError;
use linger_proto::settings::{Place, Settings, write_line};

use super::{Limits, LimitsBuilder};

impl Settings for LimitsBuilder {
    type Built = Limits;

    fn defaults() -> Self {
        Limits::builder()
    }

    #[deny(unused_variables, reason = "a setting that is missing here would neither be shown nor read")]
    fn places(&mut self) -> Vec<(&'static str, Place<'_>)> {
        let Limits {
            max_connections,
            handshake_timeout,
            first_byte_timeout,
            header_read_timeout,
            idle_timeout,
            write_idle_timeout,
            keep_alive_hint,
        } = &mut self.limits;
        vec![
            ("max_connections", Place::Count(max_connections)),
            ("handshake_timeout", Place::Time(handshake_timeout)),
            ("first_byte_timeout", Place::Time(first_byte_timeout)),
            ("header_read_timeout", Place::Time(header_read_timeout)),
            ("idle_timeout", Place::Time(idle_timeout)),
            ("write_idle_timeout", Place::Time(write_idle_timeout)),
            ("keep_alive_hint", Place::OptionalTime(keep_alive_hint)),
        ]
    }

    fn build(self) -> Result<Limits, ConfigError> {
        Self::build(self)
    }
}

/// One line, in the words that a configuration is read from.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line(&mut self.to_builder(), f)
    }
}

#[cfg(feature = "serde")]
mod outside {
    use std::str::FromStr;

    use linger_proto::settings::{SettingsError, deserialize, read_line, serialize};
    use serde_core::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Limits, LimitsBuilder};

    /// Reads what `Display` prints, or a part of it: what is not named has its default.
    impl FromStr for Limits {
        type Err = SettingsError;

        fn from_str(line: &str) -> Result<Self, SettingsError> {
            read_line::<LimitsBuilder>(line)
        }
    }

    /// A map with what `Display` prints.
    impl Serialize for Limits {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serialize(&mut self.to_builder(), serializer)
        }
    }

    /// A map, or the line that `Display` prints: what is not named has its default.
    impl<'de> Deserialize<'de> for Limits {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserialize::<LimitsBuilder, D>(deserializer)
        }
    }
}
