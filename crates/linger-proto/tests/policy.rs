//! A policy as its users see it: built, read, changed in one setting, and printed.

use std::time::Duration;

use linger_proto::{ClosePolicy, ClosePolicyBuilder, Release};

const SECOND: Duration = Duration::from_secs(1);
const BOUNDS: &str =
    "flush_idle_timeout 10s, flush_limit 60s, drain_idle_timeout 5s, drain_limit 30s, drain_limit_bytes 1GiB";

type Change = fn(ClosePolicyBuilder) -> ClosePolicyBuilder;

/// One change of each setting, and how the changed policy prints it.
fn changes() -> Vec<(Change, &'static str)> {
    let mut changes: Vec<(Change, &'static str)> = vec![
        (|builder| builder.flush_idle_timeout(7 * SECOND), "flush_idle_timeout 7s"),
        (|builder| builder.flush_limit(61 * SECOND), "flush_limit 61s"),
        (|builder| builder.drain_idle_timeout(SECOND / 2), "drain_idle_timeout 500ms"),
        (|builder| builder.drain_limit(40 * SECOND), "drain_limit 40s"),
        (|builder| builder.drain_limit_bytes(1_000), "drain_limit_bytes 1000B"),
        (|builder| builder.drain_min_rate(64 << 10, 6 * SECOND), ", drain_min_rate 64KiB/s after 6s"),
        (|builder| builder.await_close_notify(2 * SECOND, 3 << 20), ", await_close_notify 2s and 3MiB"),
        (|builder| builder.peer_closes_first(3 * SECOND), ", peer_closes_first 3s"),
        (ClosePolicyBuilder::without_half_close, ", without_half_close"),
        (ClosePolicyBuilder::without_drain, ", without_drain"),
        (|builder| builder.at_limit(Release::Abort), ", at_limit Abort"),
        (|builder| builder.write_idle_timeout(60 * SECOND), ", write_idle_timeout 60s"),
    ];
    if cfg!(target_os = "linux") {
        changes.push((|builder| builder.early_release(4), ", early_release 4 round trips"));
        changes.push((|builder| builder.orphan_timeout(9 * SECOND), ", orphan_timeout 9s"));
    }
    changes
}

#[test]
fn a_policy_taken_back_to_its_builder_is_built_the_same_again() {
    for (change, printed) in changes() {
        let policy = change(ClosePolicy::builder()).build().expect(printed);
        assert_eq!(policy.to_builder().build(), Ok(policy), "{printed}");
        assert_ne!(policy, ClosePolicy::default(), "{printed} differs from the default");
    }
}

#[test]
fn one_changed_setting_leaves_all_others_as_they_were() {
    let options = |builder: ClosePolicyBuilder| builder.drain_min_rate(1, SECOND).write_idle_timeout(SECOND);
    let policy = options(ClosePolicy::builder()).drain_limit_bytes(64 << 20).build().expect("makes sense");
    let changed = policy.to_builder().drain_limit(120 * SECOND).build().expect("makes sense");
    assert_eq!(changed.drain_limit(), 120 * SECOND);
    assert_eq!(changed.to_builder().drain_limit(policy.drain_limit()).build(), Ok(policy));
}

#[test]
fn a_change_of_one_setting_is_checked_against_those_that_were_there() {
    let policy = ClosePolicy::builder().peer_closes_first(20 * SECOND).build().expect("makes sense");
    let error = policy.to_builder().drain_limit(10 * SECOND).build().expect_err("shorter than a part of it");
    assert!(error.to_string().starts_with("peer_closes_first (20s) is over drain_limit (10s)"), "{error}");
}

#[test]
fn each_getter_says_what_was_set() {
    let policy = ClosePolicy::builder()
        .flush_idle_timeout(SECOND)
        .flush_limit(2 * SECOND)
        .drain_idle_timeout(3 * SECOND)
        .drain_limit(20 * SECOND)
        .drain_limit_bytes(5)
        .drain_min_rate(6, 7 * SECOND)
        .await_close_notify(8 * SECOND, 9)
        .peer_closes_first(10 * SECOND)
        .at_limit(Release::Abort)
        .write_idle_timeout(11 * SECOND)
        .build()
        .expect("makes sense");
    assert_eq!(policy.flush_idle_timeout(), SECOND);
    assert_eq!(policy.flush_limit(), 2 * SECOND);
    assert_eq!(policy.drain_idle_timeout(), 3 * SECOND);
    assert_eq!(policy.drain_limit(), 20 * SECOND);
    assert_eq!(policy.drain_limit_bytes(), 5);
    assert_eq!(policy.drain_min_rate(), Some((6, 7 * SECOND)));
    assert_eq!(policy.await_close_notify(), Some((8 * SECOND, 9)));
    assert_eq!(policy.peer_closes_first(), Some(10 * SECOND));
    assert_eq!(policy.at_limit(), Release::Abort);
    assert_eq!(policy.write_idle_timeout(), Some(11 * SECOND));
    assert!(!policy.without_half_close() && !policy.without_drain());
    assert_eq!((policy.early_release(), policy.orphan_timeout()), (None, None));

    let shared = ClosePolicy::builder().without_half_close().build().expect("makes sense");
    assert!(shared.without_half_close() && !shared.without_drain());
    let undrained = ClosePolicy::builder().without_drain().build().expect("makes sense");
    assert!(undrained.without_drain() && !undrained.without_half_close());
}

#[cfg(target_os = "linux")]
#[test]
fn what_only_linux_can_do_is_read_back_there() {
    let policy = ClosePolicy::builder().early_release(4).orphan_timeout(SECOND).build().expect("makes sense");
    assert_eq!((policy.early_release(), policy.orphan_timeout()), (Some(4), Some(SECOND)));
}

#[test]
fn the_default_prints_its_bounds_and_no_option() {
    assert_eq!(ClosePolicy::default().to_string(), BOUNDS);
    assert_eq!(ClosePolicy::default().write_idle_timeout(), None, "off by default");
}

#[test]
fn each_changed_setting_is_printed_with_its_unit_in_one_line() {
    for (change, printed) in changes() {
        let line = change(ClosePolicy::builder()).build().expect(printed).to_string();
        assert!(line.contains(printed), "{line:?} lacks {printed:?}");
        assert!(!line.contains('\n'), "{line:?} is more than a line");
        assert_eq!(line.starts_with(BOUNDS), printed.starts_with(','), "{line:?}");
    }
}

#[test]
fn options_are_printed_in_the_order_of_the_table_of_defaults() {
    let policy = ClosePolicy::builder()
        .write_idle_timeout(SECOND)
        .peer_closes_first(SECOND)
        .drain_min_rate(1_500, SECOND)
        .build()
        .expect("makes sense");
    let options = ", drain_min_rate 1500B/s after 1s, peer_closes_first 1s, write_idle_timeout 1s";
    assert_eq!(policy.to_string(), format!("{BOUNDS}{options}"));
}

#[test]
fn the_fin_waits_for_the_peers_turn_and_for_the_last_descriptor() {
    let holds = |change: Change| change(ClosePolicy::builder()).build().map(|policy| policy.holds_fin_back());
    assert_eq!(holds(|it| it), Ok(false));
    assert_eq!(holds(ClosePolicyBuilder::without_drain), Ok(false));
    assert_eq!(holds(|it| it.peer_closes_first(SECOND)), Ok(true));
    assert_eq!(holds(ClosePolicyBuilder::without_half_close), Ok(true));
}

/// With a turn for the peer, the flush's limit applies twice.
#[test]
fn the_longest_close_is_the_sum_of_its_limits() {
    let limits = || ClosePolicy::builder().flush_limit(11 * SECOND).drain_limit(20 * SECOND);
    assert_eq!(limits().build().map(|policy| policy.longest()), Ok(31 * SECOND));
    let with_turn = limits().peer_closes_first(3 * SECOND).build();
    assert_eq!(with_turn.map(|policy| policy.longest()), Ok((11 + 3 + 11 + 20) * SECOND));
}

#[test]
fn no_time_is_longer_than_a_day() {
    let limit = |seconds| ClosePolicy::builder().drain_limit(seconds * SECOND).build();
    assert!(limit(86_400).is_ok());
    assert!(limit(86_401).is_err());
}
