//! What can be wrong with settings that are read.

use std::error::Error;
use std::fmt;

use crate::config_error::ConfigError;

/// Settings that cannot be read, or that make no sense. Each is one line that names the key and the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingsError {
    /// There is no such setting.
    UnknownKey {
        /// What stands there.
        key: String,
        /// The settings that there are.
        known: Vec<&'static str>,
    },
    /// Two values for one setting.
    Twice {
        /// The setting.
        key: &'static str,
    },
    /// The value cannot be read: a duration without a unit, for example.
    Unreadable {
        /// The setting.
        key: &'static str,
        /// What stands there.
        words: String,
        /// What could stand there.
        expected: &'static str,
    },
    /// The values can be read, and make no sense.
    Invalid(ConfigError),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { key, known } => {
                write!(f, "there is no setting {key:?}: use one of {}", known.join(", "))
            }
            Self::Twice { key } => write!(f, "{key} is set twice: leave one of them out"),
            Self::Unreadable { key, words, expected } => write!(f, "{key} is {words:?}: give it {expected}"),
            Self::Invalid(error) => error.fmt(f),
        }
    }
}

impl Error for SettingsError {}

impl From<ConfigError> for SettingsError {
    fn from(error: ConfigError) -> Self {
        Self::Invalid(error)
    }
}
