//! Whether a policy's settings make sense, each for itself and against each other.

use super::{ClosePolicy, LONGEST};
use crate::config_error::ConfigError;

/// The first setting that makes no sense, if there is one.
pub(super) fn check(policy: &ClosePolicy) -> Result<(), ConfigError> {
    check_times_and_bytes(policy)?;
    check_exclusive(policy)?;
    if policy.early_release == Some(0) {
        return Err(ConfigError::ZeroRoundTrips { field: "early_release" });
    }
    let linux_only = [
        ("early_release", policy.early_release.is_some()),
        ("orphan_timeout", policy.orphan_timeout.is_some()),
    ];
    match linux_only.into_iter().find(|(_, wanted)| *wanted) {
        Some((field, _)) if !cfg!(target_os = "linux") => Err(ConfigError::Unsupported { field }),
        _ => Ok(()),
    }
}

fn check_times_and_bytes(policy: &ClosePolicy) -> Result<(), ConfigError> {
    let rate = policy.drain_min_rate;
    let wait = policy.await_close_notify;
    // Each time, and what bounds it besides the day that is too long for any.
    let flush = ("flush_limit", policy.flush_limit);
    let drain = ("drain_limit", policy.drain_limit);
    let times = [
        ("flush_idle_timeout", Some(policy.flush_idle_timeout), Some(flush)),
        (flush.0, Some(flush.1), None),
        ("drain_idle_timeout", Some(policy.drain_idle_timeout), Some(drain)),
        (drain.0, Some(drain.1), None),
        ("drain_min_rate.grace", rate.map(|(_, grace)| grace), Some(drain)),
        ("await_close_notify.limit", wait.map(|(limit, _)| limit), Some(drain)),
        ("peer_closes_first", policy.peer_closes_first, Some(drain)),
        ("orphan_timeout", policy.orphan_timeout, None),
        ("write_idle_timeout", policy.write_idle_timeout, None),
    ];
    for (field, time, _) in times {
        match time {
            Some(time) if time.is_zero() => return Err(ConfigError::ZeroTime { field }),
            Some(time) if time > LONGEST => return Err(ConfigError::TooLong { field, time }),
            _ => {}
        }
    }
    let bytes = [
        ("drain_limit_bytes", Some(policy.drain_limit_bytes)),
        ("drain_min_rate.bytes_per_second", rate.map(|(bytes_per_second, _)| bytes_per_second)),
        ("await_close_notify.limit_bytes", wait.map(|(_, limit_bytes)| limit_bytes)),
    ];
    if let Some((field, _)) = bytes.into_iter().find(|(_, limit)| *limit == Some(0)) {
        return Err(ConfigError::ZeroBytes { field });
    }
    for (field, time, total) in times {
        if let (Some(time), Some((total_field, total))) = (time, total) {
            if time > total {
                return Err(ConfigError::OverTotal { field, time, total_field, total });
            }
        }
    }
    Ok(())
}

/// Rejects an option together with one that makes it meaningless, instead of ignoring it.
fn check_exclusive(policy: &ClosePolicy) -> Result<(), ConfigError> {
    let without_half_close = ("without_half_close", policy.without_half_close);
    let without_drain = ("without_drain", policy.without_drain);
    let early_release = ("early_release", policy.early_release.is_some());
    let await_notify = ("await_close_notify", policy.await_close_notify.is_some());
    let min_rate = ("drain_min_rate", policy.drain_min_rate.is_some());
    let peer_first = ("peer_closes_first", policy.peer_closes_first.is_some());
    let need_half_close = [without_drain, early_release, await_notify, min_rate, peer_first];
    let need_drain = [early_release, await_notify, min_rate];
    for ((field, set), others) in [(without_half_close, &need_half_close[..]), (without_drain, &need_drain)] {
        if let Some((other, _)) = others.iter().find(|(_, other_set)| set && *other_set) {
            return Err(ConfigError::Exclusive { field, other });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_defaults_pass_their_own_checks() {
        assert_eq!(ClosePolicy::builder().build(), Ok(ClosePolicy::default()));
        assert_eq!(ClosePolicy::default().longest(), 90 * SECOND);
    }

    #[test]
    fn a_write_idle_timeout_of_a_day_is_the_longest_and_has_no_total_to_stay_under() {
        let longest = ClosePolicy::builder().write_idle_timeout(LONGEST).build();
        assert_eq!(longest.map(|policy| policy.write_idle_timeout()), Ok(Some(LONGEST)));
        assert_eq!(longest.map(|policy| policy.longest()), Ok(90 * SECOND), "it does not lengthen the close");
    }

    #[test]
    fn each_nonsense_setting_is_named_together_with_its_fix() {
        let build = ClosePolicy::builder;
        let cases = [
            (
                build().flush_idle_timeout(Duration::ZERO),
                "flush_idle_timeout is zero: give it more than zero",
            ),
            (build().flush_limit(Duration::ZERO), "flush_limit is zero: give it more than zero"),
            (
                build().drain_idle_timeout(Duration::ZERO),
                "drain_idle_timeout is zero: give it more than zero",
            ),
            (build().drain_limit(Duration::ZERO), "drain_limit is zero: give it more than zero"),
            (build().drain_limit_bytes(0), "drain_limit_bytes is zero: give it at least 1 byte"),
            (build().await_close_notify(Duration::ZERO, 1), "await_close_notify.limit is zero"),
            (build().await_close_notify(SECOND, 0), "await_close_notify.limit_bytes is zero"),
            (build().drain_min_rate(0, SECOND), "drain_min_rate.bytes_per_second is zero"),
            (build().drain_min_rate(1, Duration::ZERO), "drain_min_rate.grace is zero"),
            (build().peer_closes_first(Duration::ZERO), "peer_closes_first is zero"),
            (build().orphan_timeout(Duration::ZERO), "orphan_timeout is zero"),
            (build().early_release(0), "early_release is zero round trips: give it at least 1"),
            (
                build().write_idle_timeout(Duration::ZERO),
                "write_idle_timeout is zero: give it more than zero",
            ),
            (
                build().write_idle_timeout(LONGEST + Duration::from_nanos(1)),
                "write_idle_timeout is 86400.000000001s: give it at most 86400s (a day)",
            ),
            (
                build().drain_limit(Duration::MAX),
                "drain_limit is 18446744073709551615.999999999s: give it at most",
            ),
            (
                build().flush_limit(SECOND),
                "flush_idle_timeout (10s) is over flush_limit (1s): lower flush_idle_timeout or raise flush_limit",
            ),
            (build().drain_idle_timeout(31 * SECOND), "drain_idle_timeout (31s) is over drain_limit (30s)"),
            (
                build().await_close_notify(31 * SECOND, 1),
                "await_close_notify.limit (31s) is over drain_limit (30s)",
            ),
            (
                build().without_half_close().without_drain(),
                "without_drain has no effect with without_half_close: leave one of them out",
            ),
            (
                build().without_drain().drain_min_rate(1, SECOND),
                "drain_min_rate has no effect with without_drain",
            ),
        ];
        for (builder, message) in cases {
            let error = builder.build().expect_err(message).to_string();
            assert!(error.starts_with(message), "{error:?} does not start with {message:?}");
        }
    }
}
