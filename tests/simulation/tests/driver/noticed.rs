//! The rules can be broken: each fault that is built in is noticed, and soon.

use tower_linger_simulation::Choices;
use tower_linger_simulation::driver::{Broken, Options, Sabotage, run, shrink};

/// Plays seeds with the fault until one breaks a rule.
fn first_broken(sabotage: Sabotage) -> (u64, Box<Broken>) {
    let options = Options { sabotage, ..Options::default() };
    let broken = (0..MOST_SEEDS).find_map(|seed| Some((seed, run(Choices::of_seed(seed), options).err()?)));
    broken.unwrap_or_else(|| panic!("{sabotage:?} is not noticed within {MOST_SEEDS} seeds"))
}

/// So many seeds notice each of them.
const MOST_SEEDS: u64 = 200;

/// The fault is noticed, and by the rule that it breaks.
fn is_noticed(sabotage: Sabotage, rule: &str) {
    let (seed, broken) = first_broken(sabotage);
    println!("{sabotage:?}: seed {seed}: {}", broken.what);
    assert!(broken.what.contains(rule), "{sabotage:?} breaks another rule: {}", broken.what);
}

#[test]
fn a_lost_report_is_noticed() {
    is_noticed(Sabotage::LostReport, "there are 0 reports, not 1");
}

#[test]
fn a_second_fin_is_noticed() {
    is_noticed(Sabotage::SecondFin, "there is a second FIN");
}

#[test]
fn a_missing_drain_is_noticed() {
    is_noticed(Sabotage::NoDrain, "peer_closed is reported without a reason");
}

#[test]
fn a_drain_over_its_limit_is_noticed() {
    is_noticed(Sabotage::OverLimit, "over the limit");
}

#[test]
fn a_busy_loop_is_noticed() {
    is_noticed(Sabotage::BusyLoop, "polled again and again");
}

#[test]
fn a_second_drop_of_the_transport_is_noticed() {
    is_noticed(Sabotage::SecondDrop, "dropped twice");
}

#[test]
fn a_late_end_is_noticed() {
    is_noticed(Sabotage::LateEnd, "it began to end after");
}

#[test]
fn a_changed_result_is_noticed() {
    is_noticed(Sabotage::OtherResult, "another result than its service");
}

#[test]
fn a_failure_that_looks_like_an_end_is_noticed() {
    is_noticed(Sabotage::SwallowedError, "");
}

#[test]
fn a_run_that_breaks_a_rule_is_made_shorter() {
    let options = Options { sabotage: Sabotage::SecondFin, ..Options::default() };
    let (_, broken) = first_broken(Sabotage::SecondFin);
    let short = shrink(&broken, options);
    let count = |record: &[u32]| record.iter().filter(|drawn| **drawn != 0).count();
    assert!(count(&short.record) < count(&broken.record), "{short:?}");
    assert!(
        short.what.contains("there is a second FIN") && short.trace.iter().any(|line| line.contains("FIN"))
    );
}
