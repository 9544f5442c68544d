//! Settings as a map from keys to words, in every format that has maps.

use std::fmt;
use std::marker::PhantomData;

use serde_core::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_core::ser::{SerializeMap, Serializer};

use super::read::{Unread, read};
use super::{Place, Settings, Value, read_line};

/// Writes a map with the words of [`write_line`](super::write_line).
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<S: Serializer>(settings: &mut impl Settings, serializer: S) -> Result<S::Ok, S::Error> {
    let places = settings.places();
    let shown = places.iter().filter_map(|(key, place)| place.value().map(|value| (key, value)));
    let mut map = serializer.serialize_map(Some(shown.clone().count()))?;
    for (key, value) in shown {
        match value {
            Value::On => map.serialize_entry(key, &true)?,
            Value::Time(_)
            | Value::Bytes(_)
            | Value::Rate(..)
            | Value::TimeAndBytes(..)
            | Value::RoundTrips(_)
            | Value::Count(_)
            | Value::Abort => map.serialize_entry(key, &value.to_string())?,
        }
    }
    map.end()
}

/// Reads a map from keys to words, or the line of them. A setting that is not in there has its default.
///
/// A value that is all digits may be a number, and `true` and `false` may be booleans. The format must tell
/// what stands in it, as TOML, JSON and YAML do.
///
/// # Errors
///
/// A [`SettingsError`](super::SettingsError) as a custom error of the format, and the format's own.
pub fn deserialize<'de, S: Settings, D: Deserializer<'de>>(deserializer: D) -> Result<S::Built, D::Error> {
    deserializer.deserialize_any(Group(PhantomData::<S>))
}

struct Group<S>(PhantomData<S>);

impl<'de, S: Settings> Visitor<'de> for Group<S> {
    type Value = S::Built;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings by their keys, or one line of them")
    }

    fn visit_str<E: Error>(self, line: &str) -> Result<S::Built, E> {
        read_line::<S>(line).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<S::Built, A::Error> {
        let mut settings = S::defaults();
        let mut unread = Unread::of(&mut settings);
        while let Some(words) = map.next_key_seed(Key(&mut unread))? {
            map.next_value_seed(words)?;
        }
        settings.build().map_err(A::Error::custom)
    }
}

/// A key. It is looked up where it is read, so that a format can say where an unknown one stands.
struct Key<'u, 'a>(&'u mut Unread<'a>);

impl<'de, 'a> DeserializeSeed<'de> for Key<'_, 'a> {
    type Value = Words<'a>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Words<'a>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'a> Visitor<'_> for Key<'_, 'a> {
    type Value = Words<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key of a setting")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Words<'a>, E> {
        let (key, place) = self.0.take(key).map_err(E::custom)?;
        Ok(Words { key, place })
    }
}

/// One value, which may be a string, a number or a boolean.
struct Words<'a> {
    key: &'static str,
    place: Place<'a>,
}

impl<'de> DeserializeSeed<'de> for Words<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Words<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.place.expected(), self.key)
    }

    fn visit_str<E: Error>(self, words: &str) -> Result<(), E> {
        read(self.key, self.place, words).map_err(E::custom)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.visit_str(if value { "true" } else { "false" })
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.visit_str(&value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.visit_str(&value.to_string())
    }
}
