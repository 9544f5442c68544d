//! A policy that comes from outside: from a file, from environment variables, or from one line.

#![cfg(feature = "serde")]

use std::collections::BTreeMap;
use std::time::Duration;

use linger_proto::settings::SettingsError;
use linger_proto::{ClosePolicy, ClosePolicyBuilder, ConfigError, Release};

const SECOND: Duration = Duration::from_secs(1);

type Change = fn(ClosePolicyBuilder) -> ClosePolicyBuilder;

fn built(change: Change) -> ClosePolicy {
    change(ClosePolicy::builder()).build().expect("makes sense")
}

/// What each setting may be in TOML, and the call of the builder that does the same.
fn settings() -> Vec<(&'static str, &'static [&'static str], Change)> {
    let mut settings: Vec<(&str, &[&str], Change)> = vec![
        ("flush_idle_timeout", &["'7s'", "'7000ms'", "'7 sec'", "'  7s '"], |it| {
            it.flush_idle_timeout(7 * SECOND)
        }),
        ("flush_limit", &["'2min'", "'1m 60s'", "'120s'"], |it| it.flush_limit(120 * SECOND)),
        ("drain_idle_timeout", &["'1.5s'", "'1s 500ms'"], |it| it.drain_idle_timeout(3 * SECOND / 2)),
        ("drain_limit", &["'1h'", "'3600s'"], |it| it.drain_limit(3600 * SECOND)),
        ("drain_limit_bytes", &["'64MiB'", "67108864", "'67108864'", "'67108864B'", "'0.0625 GiB'"], |it| {
            it.drain_limit_bytes(64 << 20)
        }),
        ("drain_min_rate", &["'64KiB/s after 5s'", "'65536/s after 5000ms'"], |it| {
            it.drain_min_rate(64 << 10, 5 * SECOND)
        }),
        ("await_close_notify", &["'5s and 64kB'", "'5s and 64000'"], |it| {
            it.await_close_notify(5 * SECOND, 64_000)
        }),
        ("peer_closes_first", &["'2s'"], |it| it.peer_closes_first(2 * SECOND)),
        ("without_half_close", &["true", "'true'"], ClosePolicyBuilder::without_half_close),
        ("without_drain", &["true", "'true'"], ClosePolicyBuilder::without_drain),
        ("at_limit", &["'Abort'", "'abort'"], |it| it.at_limit(Release::Abort)),
        ("write_idle_timeout", &["'60s'", "'1min'"], |it| it.write_idle_timeout(60 * SECOND)),
    ];
    if cfg!(target_os = "linux") {
        settings.push(("early_release", &["'3 round trips'", "3", "'3'"], |it| it.early_release(3)));
        settings.push(("orphan_timeout", &["'9s'"], |it| it.orphan_timeout(9 * SECOND)));
    }
    settings
}

#[test]
fn each_setting_is_read_in_each_of_its_forms() {
    for (key, forms, change) in settings() {
        for form in forms {
            let read: Result<ClosePolicy, _> = toml::from_str(&format!("{key} = {form}"));
            assert_eq!(read, Ok(built(change)), "{key} = {form}");
        }
    }
}

/// A later source turns off what an earlier one turned on.
#[test]
fn each_option_can_be_turned_off() {
    for (key, _, change) in settings() {
        let default = ClosePolicy::default().to_string();
        if default.contains(key) {
            continue;
        }
        assert_ne!(built(change), ClosePolicy::default());
        let off: &[&str] = if key == "at_limit" { &["'Close'"] } else { &["'off'", "false", "'false'"] };
        for form in off {
            let read: Result<ClosePolicy, _> = toml::from_str(&format!("{key} = {form}"));
            assert_eq!(read, Ok(ClosePolicy::default()), "{key} = {form}");
        }
    }
}

/// `std::env::vars` gives nothing but strings.
#[test]
fn environment_variables_are_read_as_a_map_of_strings() {
    let variables = BTreeMap::from([("drain_limit", "10s"), ("without_drain", "true")]);
    let json = serde_json::to_string(&variables).expect("strings");
    let read: ClosePolicy = serde_json::from_str(&json).expect("it is read");
    assert_eq!(read, built(|it| it.drain_limit(10 * SECOND).without_drain()));
}

#[test]
fn a_line_may_name_some_settings_only_and_in_any_order() {
    let expected = built(|it| it.drain_limit(10 * SECOND).without_drain().at_limit(Release::Abort));
    assert_eq!("without_drain, at_limit Abort, drain_limit 10s".parse(), Ok(expected));
    assert_eq!("  at_limit\tAbort ,without_drain true,drain_limit 10s".parse(), Ok(expected));
    assert_eq!("".parse(), Ok(ClosePolicy::default()));
    assert_eq!("without_drain off".parse(), Ok(ClosePolicy::default()));
}

#[test]
fn only_what_differs_from_the_default_is_written_beside_the_bounds() {
    let toml = toml::to_string(&built(|it| it.without_drain().write_idle_timeout(60 * SECOND)));
    let expected = [
        r#"flush_idle_timeout = "10s""#,
        r#"flush_limit = "60s""#,
        r#"drain_idle_timeout = "5s""#,
        r#"drain_limit = "30s""#,
        r#"drain_limit_bytes = "1GiB""#,
        "without_drain = true",
        "write_idle_timeout = \"60s\"\n",
    ];
    assert_eq!(toml, Ok(expected.join("\n")));
}

const DURATION: &str = r#"a duration with its unit, such as "30s" or "500ms""#;

/// What is wrong in TOML, and the message about it.
fn mistakes() -> Vec<(&'static str, String)> {
    let size = r#"a size, such as "64MiB", or a number of bytes"#;
    let rate = r#"a rate and its grace, such as "64KiB/s after 5s", or "off""#;
    let bounds = r#"a duration and a size, such as "5s and 64KiB", or "off""#;
    let count = r#"a whole number, such as "3 round trips" or 3, or "off""#;
    let unreadable = [
        ("drain_limit = 30", r#"drain_limit is "30""#, DURATION),
        ("drain_limit = '30'", r#"drain_limit is "30""#, DURATION),
        ("drain_limit = 1.5", r#"drain_limit is "1.5""#, DURATION),
        ("drain_limit = '30 apples'", r#"drain_limit is "30 apples""#, DURATION),
        ("drain_limit = 'off'", r#"drain_limit is "off""#, DURATION),
        ("drain_limit = ''", r#"drain_limit is """#, DURATION),
        ("drain_limit = '-1s'", r#"drain_limit is "-1s""#, DURATION),
        ("drain_limit_bytes = 'much'", r#"drain_limit_bytes is "much""#, size),
        ("drain_limit_bytes = -1", r#"drain_limit_bytes is "-1""#, size),
        ("drain_limit_bytes = '64 MiBs'", r#"drain_limit_bytes is "64 MiBs""#, size),
        ("drain_min_rate = '64KiB/s'", r#"drain_min_rate is "64KiB/s""#, rate),
        ("drain_min_rate = '64KiB after 5s'", r#"drain_min_rate is "64KiB after 5s""#, rate),
        ("await_close_notify = '5s'", r#"await_close_notify is "5s""#, bounds),
        ("early_release = 'soon'", r#"early_release is "soon""#, count),
        ("without_drain = 'yes'", r#"without_drain is "yes""#, "true or false"),
        ("at_limit = 'reset'", r#"at_limit is "reset""#, r#""Close" or "Abort""#),
    ];
    let senseless = [
        // What can be read, and makes no sense: the builder's errors.
        ("drain_limit = '0s'", "drain_limit is zero: give it more than zero, or leave it at its default"),
        ("drain_limit = '2 days'", "drain_limit is 172800s: give it at most 86400s (a day)"),
        (
            "drain_idle_timeout = '1min'",
            "drain_idle_timeout (60s) is over drain_limit (30s): \
             lower drain_idle_timeout or raise drain_limit",
        ),
        (
            "without_drain = true\ndrain_min_rate = '1KiB/s after 1s'",
            "drain_min_rate has no effect with without_drain: leave one of them out",
        ),
    ];
    let unreadable = unreadable.map(|(toml, what, fix)| (toml, format!("{what}: give it {fix}")));
    unreadable.into_iter().chain(senseless.map(|(toml, message)| (toml, message.to_owned()))).collect()
}

#[test]
fn each_mistake_is_one_line_that_names_the_key_and_the_fix() {
    for (toml, message) in mistakes() {
        let error = toml::from_str::<ClosePolicy>(toml).expect_err(toml);
        assert_eq!(error.message(), message, "{toml}");
        assert!(!message.contains('\n'));
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_keys_that_there_are() {
    let error = toml::from_str::<ClosePolicy>("drain_limt = '30s'").expect_err("a typo");
    let expected = "there is no setting \"drain_limt\": use one of flush_idle_timeout, flush_limit, ";
    assert!(error.message().starts_with(expected), "{error}");
    for (key, _, _) in settings() {
        assert!(
            error.message().contains(&format!(", {key}")) || key == "flush_idle_timeout",
            "{key}: {error}"
        );
    }
    // Whatever its value is.
    let error = toml::from_str::<ClosePolicy>("drain = { limit = '30s' }").expect_err("no such key");
    assert!(error.message().starts_with("there is no setting \"drain\": use one of"), "{error}");
    let error = "drain_limit=30s".parse::<ClosePolicy>().expect_err("no such key");
    assert!(error.to_string().starts_with("there is no setting \"drain_limit=30s\": use one of"), "{error}");
    assert!("drain_limit 30s,".parse::<ClosePolicy>().is_err());
}

#[test]
fn a_value_of_another_kind_is_refused_with_the_key() {
    let error = toml::from_str::<ClosePolicy>("drain_limit = ['30s']").expect_err("a list");
    let expected = format!("invalid type: sequence, expected {DURATION} for drain_limit");
    assert_eq!(error.message(), expected);
    let error = serde_json::from_str::<ClosePolicy>("[]").expect_err("a list");
    let expected = "invalid type: sequence, expected settings by their keys, or one line of them";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[test]
fn numbers_and_booleans_are_read_where_they_make_sense_and_refused_with_the_key_elsewhere() {
    let bytes = serde_json::from_str::<ClosePolicy>(r#"{"drain_limit_bytes": 67108864}"#);
    assert_eq!(bytes.ok(), Some(built(|it| it.drain_limit_bytes(64 << 20))));
    for toml in ["drain_limit = 10", "drain_limit = 1.5", "drain_limit = true", "drain_limit_bytes = -1"] {
        let error = toml::from_str::<ClosePolicy>(toml).expect_err("no such value");
        let (key, _) = toml.split_once(" = ").expect("it is a setting");
        assert!(error.message().starts_with(&format!("{key} is ")), "{toml}: {error}");
    }
    let error = serde_json::from_str::<ClosePolicy>(r#"{"drain_limit": 10}"#).expect_err("no unit");
    assert!(error.to_string().starts_with("drain_limit is \"10\": give it"), "{error}");
}

#[test]
fn a_key_that_is_no_text_is_refused_with_what_it_should_be() {
    use serde_core::de::{IntoDeserializer, value};
    let map = value::MapDeserializer::<_, value::Error>::new([(7u64, "30s")].into_iter());
    let error = <ClosePolicy as serde_core::Deserialize>::deserialize(map.into_deserializer());
    let expected = "invalid type: integer `7`, expected the key of a setting";
    assert_eq!(error.map_err(|error| error.to_string()), Err(expected.to_owned()));
}

#[test]
fn a_setting_that_is_given_twice_is_refused() {
    let twice = Err(SettingsError::Twice { key: "drain_limit" });
    assert_eq!("drain_limit 10s, without_drain, drain_limit 10s".parse::<ClosePolicy>(), twice);
    let json = r#"{"drain_limit": "10s", "drain_limit": "20s"}"#;
    let error = serde_json::from_str::<ClosePolicy>(json).expect_err("twice");
    assert!(error.to_string().starts_with("drain_limit is set twice: leave one of them out"), "{error}");
}

#[test]
fn a_line_reports_the_builders_errors_as_such() {
    let error = ConfigError::ZeroTime { field: "drain_limit" };
    assert_eq!("drain_limit 0s".parse::<ClosePolicy>(), Err(SettingsError::Invalid(error)));
    let unreadable = SettingsError::Unreadable { key: "drain_limit", words: "30".into(), expected: DURATION };
    assert_eq!("drain_limit 30".parse::<ClosePolicy>(), Err(unreadable));
    assert!("without_drain, without_drain".parse::<ClosePolicy>().is_err());
}

/// The documentation of `ClosePolicy` has one table with every key, and values that can be read.
#[test]
fn the_table_of_keys_has_every_key_and_what_it_may_be() {
    let source = include_str!("../src/policy.rs");
    let (_, section) = source.split_once("/// # Configuration from outside").expect("the section");
    let mut documented = Vec::new();
    for row in section.lines().filter_map(|line| line.strip_prefix("/// | `")) {
        let mut code = row.split('`').step_by(2);
        let key = code.next().expect("a key");
        for value in code {
            let read = toml::from_str::<ClosePolicy>(&format!("{key} = {value}"));
            let needs_linux =
                ["early_release", "orphan_timeout"].contains(&key) && !cfg!(target_os = "linux");
            assert_eq!(read.is_ok(), !needs_linux || value.contains("off"), "{key} = {value}: {read:?}");
        }
        documented.push(key);
    }
    let error = "x 1".parse::<ClosePolicy>().expect_err("no such key");
    let SettingsError::UnknownKey { known, .. } = error else { panic!("{error}") };
    assert_eq!(documented, known);
}
