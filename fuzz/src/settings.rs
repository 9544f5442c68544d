//! Policies from configuration: what is read is shown so that it is read back equal, and an error names the
//! setting.

use std::time::Duration;

use linger_proto::settings::SettingsError;
use linger_proto::{ClosePolicy, ConfigError};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a policy from text, as one line, TOML or JSON.
pub fn read(text: &str) {
    match text.parse::<ClosePolicy>() {
        Ok(policy) => check(&policy),
        Err(error) => named(&error),
    }
    match toml::from_str::<ClosePolicy>(text) {
        Ok(policy) => check(&policy),
        Err(error) => one_line(error.message()),
    }
    match serde_json::from_str::<ClosePolicy>(text) {
        Ok(policy) => check(&policy),
        Err(error) => one_line(&error.to_string()),
    }
}

fn check(policy: &ClosePolicy) {
    let line = policy.to_string();
    one_line(&line);
    assert_eq!(line.parse().as_ref(), Ok(policy), "{line}");
    let toml = toml::to_string(policy).expect("its words are strings");
    assert_eq!(toml::from_str(&toml).as_ref(), Ok(policy), "{toml}");
    let json = serde_json::to_string(policy).expect("its words are strings");
    assert_eq!(&serde_json::from_str::<ClosePolicy>(&json).expect("its own words"), policy, "{json}");
    assert_eq!(policy.to_builder().build().as_ref(), Ok(policy), "what is read was checked");
    let times = [
        policy.flush_idle_timeout(),
        policy.flush_limit(),
        policy.drain_idle_timeout(),
        policy.drain_limit(),
        policy.peer_closes_first().unwrap_or(DAY),
        policy.orphan_timeout().unwrap_or(DAY),
        policy.write_idle_timeout().unwrap_or(DAY),
    ];
    assert!(times.into_iter().all(|time| !time.is_zero() && time <= DAY), "{line}");
    assert!(policy.longest() <= 4 * DAY, "{line}");
    assert!(policy.drain_limit_bytes() > 0, "{line}");
}

/// The error says what it is about, in one line.
fn named(error: &SettingsError) {
    let text = error.to_string();
    one_line(&text);
    let known = match "no_such_setting 1".parse::<ClosePolicy>() {
        Err(SettingsError::UnknownKey { known, .. }) => known,
        other => panic!("{other:?}"),
    };
    let about = match error {
        SettingsError::UnknownKey { key, .. } => format!("{key:?}"),
        SettingsError::Twice { key } | SettingsError::Unreadable { key, .. } => (*key).to_owned(),
        SettingsError::Invalid(
            ConfigError::ZeroTime { field }
            | ConfigError::ZeroBytes { field }
            | ConfigError::Exclusive { field, .. }
            | ConfigError::ZeroRoundTrips { field }
            | ConfigError::TooLong { field, .. }
            | ConfigError::OverTotal { field, .. },
        ) => (*field).to_owned(),
        other => panic!("{other:?} on Linux"),
    };
    assert!(text.contains(&about), "{text} does not name {about}");
    if !matches!(error, SettingsError::UnknownKey { .. }) {
        let setting = about.split('.').next().unwrap_or_default();
        assert!(known.contains(&setting), "{setting} is no setting");
    }
}

fn one_line(text: &str) {
    assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
}
