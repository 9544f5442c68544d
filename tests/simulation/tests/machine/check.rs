//! Runs the checker on each configuration, and prints a row for it.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Instant;

use linger_proto::Outcome;
use stateright::{Checker, Model};

use super::close::Fault;
use super::configurations::{Configuration, all};
use super::model::{CloseModel, State, Step};
use super::properties::{Counts, PROPERTIES};

/// Units of the response in a usual run.
const UNITS: u8 = 2;

/// What the checker found in one configuration.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) depth: usize,
    /// The properties that do not hold, with the shortest way there and where it leads.
    pub(crate) broken: Vec<(&'static str, Vec<Step>, State)>,
    /// The outcomes that were expected and not reached.
    pub(crate) missed: Vec<&'static str>,
    /// For each property, in how many states it had something to say.
    pub(crate) judged: Vec<u64>,
    pub(crate) seconds: f64,
}

pub(crate) fn check(configuration: Configuration, fault: Option<Fault>) -> Found {
    let began = Instant::now();
    let model = CloseModel { configuration, fault, counts: Counts::default() };
    let checker = model.checker().threads(2).spawn_bfs().join();
    let names: BTreeSet<_> = PROPERTIES.iter().map(|(name, _)| *name).collect();
    let mut broken = Vec::new();
    let mut reached = BTreeSet::new();
    for (name, path) in checker.discoveries() {
        if names.contains(name) {
            broken.push((name, path.clone().into_actions(), path.last_state().clone()));
        } else {
            reached.insert(name);
        }
    }
    let model = checker.model();
    let expected = Outcome::ALL.iter().filter(|outcome| model.configuration.reaches(**outcome));
    Found {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        broken,
        missed: expected.map(|outcome| outcome.as_str()).filter(|name| !reached.contains(name)).collect(),
        judged: model.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
        seconds: began.elapsed().as_secs_f64(),
    }
}

fn units() -> u8 {
    match std::env::var("MACHINE_UNITS") {
        Ok(units) => units.parse().expect("MACHINE_UNITS is a number of units, such as 3"),
        Err(_) => UNITS,
    }
}

#[test]
fn every_property_holds_in_every_state_of_every_configuration() {
    let configurations = all(units());
    let mut judged = vec![0; PROPERTIES.len()];
    let (mut states, mut seconds) = (0, 0.0);
    println!("| configuration | states | depth | seconds |\n|---|---|---|---|");
    for configuration in configurations {
        let name = configuration.name;
        let found = check(configuration, None);
        println!("| {name} | {} | {} | {:.1} |", found.states, found.depth, found.seconds);
        assert!(found.broken.is_empty(), "{name}: {:#?}", found.broken);
        assert!(found.missed.is_empty(), "{name} does not come to {:?}", found.missed);
        states += found.states;
        seconds += found.seconds;
        for (sum, count) in judged.iter_mut().zip(&found.judged) {
            *sum += count;
        }
    }
    println!("| together | {states} | | {seconds:.1} |\n");
    println!("| what always holds | states that it judged |\n|---|---|");
    for ((name, _), count) in PROPERTIES.iter().zip(&judged) {
        println!("| {name} | {count} |");
        assert!(*count > 0, "nothing was judged by: {name}");
    }
}

/// A handshake has no close.
#[test]
fn every_outcome_is_reached_in_some_configuration() {
    let configurations = all(UNITS);
    let is_reached = |outcome: &&Outcome| configurations.iter().any(|one| one.reaches(**outcome));
    let missed: Vec<_> = Outcome::ALL.iter().filter(|outcome| !is_reached(outcome)).collect();
    assert_eq!(missed, [&Outcome::HandshakeTimeout]);
}
