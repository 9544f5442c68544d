//! Each property is broken by the fault that it is for, and by no other property's: otherwise the
//! properties or the model would be too weak to find anything.

use linger_proto::Outcome;

use super::check::check;
use super::close::Fault;
use super::configurations::{Configuration, all, bare};
use super::properties as p;

/// A configuration of the list, with as many units as a usual run has.
fn configuration(name: &str) -> Configuration {
    all(2).into_iter().find(|one| one.name == name).expect("it has that name")
}

/// The fault breaks this property and no other.
#[track_caller]
fn breaks(fault: Fault, configuration: Configuration, property: &str) {
    let found = check(configuration, Some(fault));
    let broken: Vec<_> = found.broken.iter().map(|(name, ..)| *name).collect();
    println!("{fault:?}: {} states, {:.1} s", found.states, found.seconds);
    assert_eq!(broken, [property], "{fault:?}: {:#?}", found.broken);
}

#[test]
fn a_machine_that_skips_the_drain_loses_bytes() {
    breaks(Fault::SkipsTheDrain, configuration("plain"), p::NO_BYTE_IS_LOST);
}

#[test]
fn a_late_reset_that_does_not_wait_for_acknowledgements_loses_bytes() {
    let configuration = configuration("cut, which a late reset shows");
    breaks(Fault::ResetsBeforeItIsAcknowledged, configuration, p::NO_BYTE_IS_LOST);
}

#[test]
fn a_machine_that_sends_two_fins_is_caught() {
    breaks(Fault::SendsFinTwice, configuration("plain"), p::ONE_FIN);
}

#[test]
fn a_machine_that_sends_its_fin_before_the_last_bytes_is_caught() {
    breaks(Fault::SendsFinBeforeTheLastBytes, configuration("plain"), p::IN_ORDER);
}

#[test]
fn a_machine_that_forgets_its_deadline_is_caught() {
    breaks(Fault::ForgetsTheDeadline, configuration("plain"), p::ENDS_BY_ITS_DEADLINE);
}

#[test]
fn a_machine_that_takes_a_reset_for_a_fin_is_caught() {
    breaks(Fault::TakesAResetForAFin, configuration("plain"), p::NEVER_CLEAN_AFTER_AN_ABORT);
}

#[test]
fn a_machine_that_reports_again_is_caught() {
    breaks(Fault::ReportsAgain, configuration("plain"), p::ONE_REPORT);
}

#[test]
fn a_machine_that_goes_on_after_its_report_is_caught() {
    breaks(Fault::GoesOnAfterTheReport, configuration("plain"), p::NOTHING_IS_LEFT);
}

#[test]
fn a_machine_that_closes_what_is_cut_short_is_caught() {
    let configuration = configuration("delimited by the close");
    breaks(Fault::ClosesWhatIsCutShort, configuration, p::A_PART_NEVER_LOOKS_WHOLE);
}

#[test]
fn a_machine_that_does_not_count_what_it_drains_is_caught() {
    let configuration = configuration("drain_limit_bytes, at_limit");
    breaks(Fault::DrainsWithoutLimit, configuration, p::THE_DRAIN_HAS_A_LIMIT);
}

#[test]
fn a_machine_that_notifies_after_a_fatal_alert_is_caught() {
    let configuration = configuration("a fatal alert was sent");
    breaks(Fault::NotifiesAfterAFatalAlert, configuration, p::NO_NOTIFY_AFTER_A_FATAL_ALERT);
}

/// The model is not too kind: without the drain, a peer that only reads what it is sent loses some of it.
#[test]
fn a_bare_close_loses_bytes() {
    let found = check(bare(2), None);
    let broken: Vec<_> = found.broken.iter().map(|(name, ..)| *name).collect();
    assert_eq!(broken, [p::NO_BYTE_IS_LOST]);
    let (_, steps, last) = &found.broken[0];
    println!("a bare close: {steps:?}");
    let report = last.seen.end.as_ref().map(|end| end.report.outcome);
    assert_eq!(report, Some(Outcome::Undrained));
}
