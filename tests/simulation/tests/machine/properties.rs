//! What must always hold, and what must be reached, so that nothing holds only because nothing happens.

use std::sync::atomic::{AtomicU64, Ordering};

use linger_proto::{CutShownBy, Outcome, Release};
use stateright::Property;

use super::configurations::Configuration;
use super::connection::Life;
use super::model::{CloseModel, State};

/// A property: `None` where a state has nothing to do with it.
type Judge = fn(&Configuration, &State) -> Option<bool>;

/// Every property, with the name that tests and documentation give it.
pub(crate) const PROPERTIES: [(&str, Judge); 10] = [
    (NO_BYTE_IS_LOST, no_byte_is_lost),
    (ONE_FIN, one_fin),
    (IN_ORDER, in_order),
    (NEVER_CLEAN_AFTER_AN_ABORT, never_clean_after_an_abort),
    (ENDS_BY_ITS_DEADLINE, ends_by_its_deadline),
    (ONE_REPORT, one_report),
    (NOTHING_IS_LEFT, nothing_is_left),
    (A_PART_NEVER_LOOKS_WHOLE, a_part_never_looks_whole),
    (THE_DRAIN_HAS_A_LIMIT, the_drain_has_a_limit),
    (NO_NOTIFY_AFTER_A_FATAL_ALERT, no_notify_after_a_fatal_alert),
];

pub(crate) const NO_BYTE_IS_LOST: &str = "no byte is lost that a lingering close saves";
pub(crate) const ONE_FIN: &str = "at most one FIN is asked for";
pub(crate) const IN_ORDER: &str = "the last byte, close_notify and FIN leave in this order";
pub(crate) const NEVER_CLEAN_AFTER_AN_ABORT: &str = "nothing is reported as clean after an abort";
pub(crate) const ENDS_BY_ITS_DEADLINE: &str = "every close ends by its deadline";
pub(crate) const ONE_REPORT: &str = "there is one report, and it stays as it is";
pub(crate) const NOTHING_IS_LEFT: &str = "nothing is left to do after the report";
pub(crate) const A_PART_NEVER_LOOKS_WHOLE: &str = "a part of a response never looks whole";
pub(crate) const THE_DRAIN_HAS_A_LIMIT: &str = "no more bytes are drained than the policy allows";
pub(crate) const NO_NOTIFY_AFTER_A_FATAL_ALERT: &str = "no close_notify follows a fatal alert or a cut";

/// In how many states each property had something to say.
pub(crate) type Counts = [AtomicU64; PROPERTIES.len()];

/// The properties of a configuration.
pub(crate) fn of(configuration: &Configuration) -> Vec<Property<CloseModel>> {
    let always = PROPERTIES.iter().zip(ALWAYS).map(|((name, _), holds)| Property::always(name, holds));
    let outcomes = Outcome::ALL.iter().zip(REACHED);
    let expected = outcomes.filter(|(outcome, _)| configuration.reaches(**outcome));
    let reached = expected.map(|(outcome, is_reached)| Property::sometimes(outcome.as_str(), is_reached));
    always.chain(reached).collect()
}

macro_rules! for_each {
    ($function:ident, $($index:literal)*) => { [$($function::<$index>),*] };
}

/// stateright takes functions without an environment: one for each property, and one for each outcome.
const ALWAYS: [fn(&CloseModel, &State) -> bool; PROPERTIES.len()] = for_each!(holds, 0 1 2 3 4 5 6 7 8 9);
const REACHED: [fn(&CloseModel, &State) -> bool; 20] =
    for_each!(is_reached, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
const _: () = assert!(REACHED.len() == Outcome::ALL.len(), "an outcome is missing here");

fn holds<const INDEX: usize>(model: &CloseModel, state: &State) -> bool {
    let Some(holds) = PROPERTIES[INDEX].1(&model.configuration, state) else { return true };
    model.counts[INDEX].fetch_add(1, Ordering::Relaxed);
    holds
}

fn is_reached<const INDEX: usize>(_: &CloseModel, state: &State) -> bool {
    state.seen.end.as_ref().is_some_and(|end| end.report.outcome.as_str() == Outcome::ALL[INDEX].as_str())
}

/// A peer that goes on reading until it has seen the end, and then sees a reset, has got everything before;
/// unless somebody else ended the connection, or a bound of ours was reached.
fn no_byte_is_lost(configuration: &Configuration, state: &State) -> Option<bool> {
    let is_reset = state.peer.life == Life::Gone && state.peer.error.is_some();
    let is_judged = state.seen.end.is_some() && may_lose_nothing(state);
    is_judged.then_some(!is_reset || state.peer.read >= configuration.response)
}

/// Whether the peer has to get everything: it has not given up, nobody else ended the connection, and no
/// bound of ours was reached.
pub(crate) fn may_lose_nothing(state: &State) -> bool {
    let is_excused = state.seen.end.as_ref().is_some_and(|end| end.excused);
    !(state.client.gave_up || state.seen.ended_by_others || is_excused)
}

fn one_fin(_: &Configuration, state: &State) -> Option<bool> {
    (state.seen.fins > 0).then_some(state.seen.fins == 1)
}

fn in_order(_: &Configuration, state: &State) -> Option<bool> {
    (state.seen.fins > 0 || state.seen.notified).then_some(!state.seen.disorder)
}

/// A reset from the peer or the network is reported as what it was; a connection that we cut, and one that
/// we reset, is not reported as if its peer had closed it.
fn never_clean_after_an_abort(configuration: &Configuration, state: &State) -> Option<bool> {
    let report = &state.seen.end.as_ref()?.report;
    let is_clean = matches!(
        report.outcome,
        Outcome::PeerClosed { .. }
            | Outcome::Acknowledged
            | Outcome::Undrained
            | Outcome::PeerDone
            | Outcome::LeftOpen
    );
    if let Some(failure) = state.seen.failure {
        return Some(report.outcome == failure);
    }
    let cut = configuration.start.cut.filter(|_| configuration.start.half_closed.is_none());
    if cut.is_some_and(|cut| cut.outcome.is_some()) {
        return Some(!is_clean);
    }
    let resets = report.release == Release::Abort && cut.is_none();
    resets.then_some(!is_clean)
}

fn ends_by_its_deadline(configuration: &Configuration, state: &State) -> Option<bool> {
    let deadline = configuration.deadline(state);
    match &state.seen.end {
        Some(end) => Some(end.at <= deadline),
        None => (state.now > deadline).then_some(false),
    }
}

fn one_report(_: &Configuration, state: &State) -> Option<bool> {
    state.seen.end.as_ref().map(|end| !end.reports_again)
}

fn nothing_is_left(_: &Configuration, state: &State) -> Option<bool> {
    state.seen.end.as_ref().map(|end| !end.goes_on)
}

/// Where only the end of the connection delimits the response, a FIN follows all of it, or there is none.
fn a_part_never_looks_whole(configuration: &Configuration, state: &State) -> Option<bool> {
    let is_cut = configuration.is_cut_by(CutShownBy::LateReset) || configuration.is_cut_by(CutShownBy::Reset);
    let is_judged = configuration.is_close_delimited && state.client.saw_fin;
    is_judged.then_some(state.peer.read >= configuration.response && !is_cut)
}

fn the_drain_has_a_limit(configuration: &Configuration, state: &State) -> Option<bool> {
    let drained = state.seen.drained;
    (drained > 0).then_some(drained <= configuration.policy.drain_limit_bytes())
}

fn no_notify_after_a_fatal_alert(configuration: &Configuration, state: &State) -> Option<bool> {
    let start = &configuration.start;
    let forbidden = start.half_closed.is_none() && (start.cut.is_some() || start.fatal_alert.is_some());
    forbidden.then_some(!state.seen.notified)
}
