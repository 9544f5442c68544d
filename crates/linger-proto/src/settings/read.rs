//! From words to values.

use std::time::Duration;

use bytesize::ByteSize;

use super::{Place, Settings, SettingsError};
use crate::outcome::Release;

/// Reads what [`write_line`](super::write_line) shows: settings with a comma after each but the last. A
/// setting that the line does not name has its default.
///
/// # Errors
///
/// A [`SettingsError`] for the first thing that is wrong.
pub fn read_line<S: Settings>(line: &str) -> Result<S::Built, SettingsError> {
    let mut settings = S::defaults();
    let mut unread = Unread::of(&mut settings);
    for setting in line.split(',').map(str::trim).filter(|_| !line.trim().is_empty()) {
        let (key, words) = match setting.split_once(char::is_whitespace) {
            Some((key, words)) => (key, Some(words)),
            None => (setting, None),
        };
        match (unread.take(key)?, words) {
            ((_, Place::Flag(is_on)), None) => *is_on = true,
            ((key, place), words) => read(key, place, words.unwrap_or_default())?,
        }
    }
    Ok(settings.build()?)
}

/// The settings to which no value has been given yet.
pub(super) struct Unread<'a> {
    places: Vec<(&'static str, Option<Place<'a>>)>,
}

impl<'a> Unread<'a> {
    pub(super) fn of(settings: &'a mut impl Settings) -> Self {
        Self { places: settings.places().into_iter().map(|(key, place)| (key, Some(place))).collect() }
    }

    pub(super) fn take(&mut self, key: &str) -> Result<(&'static str, Place<'a>), SettingsError> {
        match self.places.iter_mut().find(|(known, _)| *known == key) {
            Some((key, place)) => {
                let key = *key;
                place.take().map(|place| (key, place)).ok_or(SettingsError::Twice { key })
            }
            None => Err(SettingsError::UnknownKey {
                key: key.to_owned(),
                known: self.places.iter().map(|(key, _)| *key).collect(),
            }),
        }
    }
}

/// Gives a setting its value.
pub(super) fn read(key: &'static str, place: Place<'_>, words: &str) -> Result<(), SettingsError> {
    let expected = place.expected();
    let unreadable = || SettingsError::Unreadable { key, words: words.to_owned(), expected };
    place.read(words.trim()).ok_or_else(unreadable)
}

impl Place<'_> {
    /// What its words may be.
    pub(super) const fn expected(&self) -> &'static str {
        match self {
            Self::Time(_) => "a duration with its unit, such as \"30s\" or \"500ms\"",
            Self::Bytes(_) => "a size, such as \"64MiB\", or a number of bytes",
            Self::OptionalTime(_) => "a duration with its unit, such as \"30s\", or \"off\"",
            Self::Rate(_) => "a rate and its grace, such as \"64KiB/s after 5s\", or \"off\"",
            Self::TimeAndBytes(_) => "a duration and a size, such as \"5s and 64KiB\", or \"off\"",
            Self::RoundTrips(_) => "a whole number, such as \"3 round trips\" or 3, or \"off\"",
            Self::Count(_) => "a whole number above zero, or \"off\"",
            Self::Flag(_) => "true or false",
            Self::Release(_) => "\"Close\" or \"Abort\"",
        }
    }

    fn read(self, words: &str) -> Option<()> {
        match self {
            Self::Time(place) => *place = duration(words)?,
            Self::Bytes(place) => *place = size(words)?,
            Self::OptionalTime(place) => set_option(place, words, duration)?,
            Self::Rate(place) => set_option(place, words, rate)?,
            Self::TimeAndBytes(place) => set_option(place, words, time_and_bytes)?,
            Self::RoundTrips(place) => set_option(place, words, round_trips)?,
            Self::Count(place) => set_option(place, words, |words| words.parse().ok())?,
            Self::Flag(place) => {
                *place = match words {
                    "true" => true,
                    _ if is_off(words) => false,
                    _ => return None,
                }
            }
            Self::Release(place) => {
                *place = match words.to_ascii_lowercase().as_str() {
                    "close" => Release::Close,
                    "abort" => Release::Abort,
                    _ => return None,
                }
            }
        }
        Some(())
    }
}

/// Also turns the option off: a file may have turned on what an environment variable does not want.
fn set_option<T>(place: &mut Option<T>, words: &str, read: impl Fn(&str) -> Option<T>) -> Option<()> {
    *place = if is_off(words) { None } else { Some(read(words)?) };
    Some(())
}

fn is_off(words: &str) -> bool {
    // YAML 1.1 reads `off` as `false`.
    ["off", "false"].contains(&words)
}

fn duration(words: &str) -> Option<Duration> {
    humantime::parse_duration(words).ok()
}

fn size(words: &str) -> Option<u64> {
    words.parse().ok().map(|ByteSize(bytes)| bytes)
}

fn rate(words: &str) -> Option<(u64, Duration)> {
    let (rate, grace) = words.split_once(" after ")?;
    Some((size(rate.trim().strip_suffix("/s")?)?, duration(grace)?))
}

fn time_and_bytes(words: &str) -> Option<(Duration, u64)> {
    let (time, bytes) = words.split_once(" and ")?;
    Some((duration(time)?, size(bytes.trim())?))
}

fn round_trips(words: &str) -> Option<u32> {
    let unit = |unit| words.strip_suffix(unit);
    unit("round trips").or_else(|| unit("round trip")).unwrap_or(words).trim().parse().ok()
}
