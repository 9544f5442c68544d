//! A policy as words.

use std::fmt;

use super::{ClosePolicy, ClosePolicyBuilder};
use crate::config_error::ConfigError;
use crate::settings::{Place, Settings, write_line};

impl Settings for ClosePolicyBuilder {
    type Built = ClosePolicy;

    fn defaults() -> Self {
        ClosePolicy::builder()
    }

    #[deny(unused_variables, reason = "a setting that is missing here would neither be shown nor read")]
    fn places(&mut self) -> Vec<(&'static str, Place<'_>)> {
        let ClosePolicy {
            flush_idle_timeout,
            flush_limit,
            drain_idle_timeout,
            drain_limit,
            drain_limit_bytes,
            drain_min_rate,
            await_close_notify,
            peer_closes_first,
            without_half_close,
            without_drain,
            early_release,
            at_limit,
            orphan_timeout,
            write_idle_timeout,
        } = &mut self.policy;
        vec![
            ("flush_idle_timeout", Place::Time(flush_idle_timeout)),
            ("flush_limit", Place::Time(flush_limit)),
            ("drain_idle_timeout", Place::Time(drain_idle_timeout)),
            ("drain_limit", Place::Time(drain_limit)),
            ("drain_limit_bytes", Place::Bytes(drain_limit_bytes)),
            ("drain_min_rate", Place::Rate(drain_min_rate)),
            ("await_close_notify", Place::TimeAndBytes(await_close_notify)),
            ("peer_closes_first", Place::OptionalTime(peer_closes_first)),
            ("without_half_close", Place::Flag(without_half_close)),
            ("without_drain", Place::Flag(without_drain)),
            ("early_release", Place::RoundTrips(early_release)),
            ("at_limit", Place::Release(at_limit)),
            ("orphan_timeout", Place::OptionalTime(orphan_timeout)),
            ("write_idle_timeout", Place::OptionalTime(write_idle_timeout)),
        ]
    }

    fn build(self) -> Result<ClosePolicy, ConfigError> {
        Self::build(self)
    }
}

impl fmt::Display for ClosePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line(&mut self.to_builder(), f)
    }
}

#[cfg(feature = "serde")]
mod outside {
    use std::str::FromStr;

    use serde_core::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::policy::{ClosePolicy, ClosePolicyBuilder};
    use crate::settings::{SettingsError, deserialize, read_line, serialize};

    /// Reads what `Display` prints, or a part of it: what is not named has its default.
    impl FromStr for ClosePolicy {
        type Err = SettingsError;

        fn from_str(line: &str) -> Result<Self, SettingsError> {
            read_line::<ClosePolicyBuilder>(line)
        }
    }

    /// A map with what `Display` prints.
    impl Serialize for ClosePolicy {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serialize(&mut self.to_builder(), serializer)
        }
    }

    /// A map, or the line that `Display` prints: what is not named has its default.
    impl<'de> Deserialize<'de> for ClosePolicy {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserialize::<ClosePolicyBuilder, D>(deserializer)
        }
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use std::time::Duration;

    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;
    use crate::outcome::Release;
    use crate::policy::LONGEST;
    use crate::policy::check::check;

    fn time() -> impl Strategy<Value = Duration> {
        let longest = u64::try_from(LONGEST.as_nanos()).expect("a day");
        // Whole units too: by nanoseconds alone they would not come up.
        let units = (1..=86_400u64, prop::sample::select(vec![1, 1_000, 1_000_000, 1_000_000_000]));
        prop_oneof![
            (1..=longest).prop_map(Duration::from_nanos),
            units.prop_map(|(count, unit)| Duration::from_nanos(count * unit)),
        ]
    }

    fn size() -> impl Strategy<Value = u64> {
        (1..=u64::MAX, 0..64u32).prop_map(|(bytes, zeros)| (bytes << zeros).max(1))
    }

    /// Which options may be together.
    #[derive(Debug, Clone, Copy)]
    enum Kind {
        Drains,
        WithoutDrain,
        WithoutHalfClose,
    }

    /// Any policy that makes sense. Each field is named, so the compiler asks for one that is new.
    fn policy() -> impl Strategy<Value = ClosePolicy> {
        let kind = prop::sample::select(vec![Kind::Drains, Kind::WithoutDrain, Kind::WithoutHalfClose]);
        let bounds = (time(), time(), time(), time(), size());
        let drain = (of((size(), time())), of((time(), size())), of(time()), of(1..=u32::MAX));
        let others = (any::<bool>(), of(time()), of(time()));
        (kind, bounds, drain, others).prop_map(|(kind, bounds, drain, others)| {
            let (flush_idle, flush, drain_idle, drain_limit, drain_limit_bytes) = bounds;
            let (rate, wait, first, early) = drain;
            let (aborts, orphan, write_idle) = others;
            let drains = matches!(kind, Kind::Drains);
            let linux = cfg!(target_os = "linux");
            ClosePolicy {
                flush_idle_timeout: flush_idle.min(flush),
                flush_limit: flush,
                drain_idle_timeout: drain_idle.min(drain_limit),
                drain_limit,
                drain_limit_bytes,
                drain_min_rate: rate.map(|(bytes, grace)| (bytes, grace.min(drain_limit))).filter(|_| drains),
                await_close_notify: wait
                    .map(|(limit, bytes)| (limit.min(drain_limit), bytes))
                    .filter(|_| drains),
                peer_closes_first: first
                    .map(|grace| grace.min(drain_limit))
                    .filter(|_| !matches!(kind, Kind::WithoutHalfClose)),
                without_half_close: matches!(kind, Kind::WithoutHalfClose),
                without_drain: matches!(kind, Kind::WithoutDrain),
                early_release: early.filter(|_| drains && linux),
                at_limit: if aborts { Release::Abort } else { Release::Close },
                orphan_timeout: orphan.filter(|_| linux),
                write_idle_timeout: write_idle,
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 2_000 }, ..ProptestConfig::default() })]

        #[test]
        fn every_policy_is_read_as_it_was_written(policy in policy()) {
            prop_assert_eq!(check(&policy), Ok(()));
            let line = policy.to_string();
            prop_assert_eq!(line.parse(), Ok(policy), "{}", line);
            let toml = toml::to_string(&policy).expect("a map");
            prop_assert_eq!(toml::from_str(&toml), Ok(policy), "{}", toml);
            let json = serde_json::to_string(&policy).expect("a map");
            prop_assert_eq!(serde_json::from_str::<ClosePolicy>(&json).expect("it is read"), policy);
            let line = serde_json::to_string(&line).expect("a string");
            prop_assert_eq!(serde_json::from_str::<ClosePolicy>(&line).expect("it is read"), policy);
        }
    }
}
