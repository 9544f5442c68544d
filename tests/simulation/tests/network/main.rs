//! The whole stack in turmoil: hyper with the layer, over a network that delays, loses, holds and parts.

#![allow(clippy::similar_names, clippy::struct_excessive_bools, reason = "records of what was seen")]

mod client;
mod plan;
mod server;
mod simulation;
mod tls;
mod trace;

use std::collections::BTreeMap;

use tower_linger_simulation::seeds::Seeds;

use crate::client::Got;
use crate::plan::{Fault, Mood, Plan, Server};
use crate::simulation::play;
use crate::tls::Tls;

/// How many seeds CI plays.
const SEEDS: u64 = 800;

#[test]
fn clients_get_their_responses_whenever_the_network_lets_them() {
    let tls = Tls::new();
    if let Some(seed) = Seeds::alone() {
        return replay(seed, &tls);
    }
    let mut outcomes = BTreeMap::<_, u64>::new();
    let (mut seeds, mut clients, mut whole) = (0_u64, 0_u64, 0_u64);
    let play = |seed| play(&Plan::of_seed(seed), seed, &tls);
    let played = Seeds::of_environment("network", SEEDS).play(play, |result| {
        seeds += 1;
        clients += result.got.len() as u64;
        whole += result.got.iter().filter(|got| matches!(got, Got::Whole { .. })).count() as u64;
        result.reports.iter().for_each(|outcome| *outcomes.entry(outcome.as_str()).or_default() += 1);
    });
    println!("{seeds} seeds, {clients} clients, {whole} whole responses; connections ended as {outcomes:?}");
    if let Err(failed) = played {
        panic!("{}", failed.what);
    }
    if seeds >= SEEDS {
        assert!(whole > seeds && outcomes.len() >= 8, "too little was put to the test");
    }
}

/// Prints what happens in this seed.
fn replay(seed: u64, tls: &Tls) {
    let plan = Plan::of_seed(seed);
    println!("{plan:#?}");
    trace::print();
    match play(&plan, seed, tls) {
        Ok(result) => println!("seed {seed} breaks no rule: {result:?}"),
        Err(broken) => panic!("{broken}"),
    }
}

/// Uploads that are refused, once by hyper alone and once with the layer. In turmoil a reset overtakes what
/// was sent before it.
#[test]
fn without_the_layer_refused_uploads_lose_their_response() {
    let tls = Tls::new();
    let lost = |server| {
        let mut lost = 0;
        for seed in 0..60 {
            let result = play(&refused_uploads(seed, server), seed, &tls);
            let result = result.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            lost += result.got.iter().filter(|got| !matches!(got, Got::Whole { .. })).count();
        }
        lost
    };
    let [bare, layered] = [Server::Bare, Server::Layered].map(lost);
    println!("lost: {bare} without the layer, {layered} with it");
    assert_eq!(layered, 0);
    assert!(bare > 10, "{bare}");
}

/// A network that only delays, and clients that write everything before they read.
fn refused_uploads(seed: u64, server: Server) -> Plan {
    let mut plan = Plan::of_seed(seed);
    plan.server = server;
    plan.clients.iter_mut().for_each(|client| client.mood = Mood::UploadsFirst);
    (plan.events, plan.loss, plan.shutdown.0) = (Vec::new(), None, None);
    plan
}

/// The fault is noticed within so many seeds, and by the rule that it breaks.
fn is_noticed(fault: Fault, rule: &str) {
    const MOST_SEEDS: u64 = 100;
    let tls = Tls::new();
    let broken = (0..MOST_SEEDS).find_map(|seed| {
        let plan = Plan { fault, ..Plan::of_seed(seed) };
        Some((seed, play(&plan, seed, &tls).err()?))
    });
    let (seed, broken) = broken.unwrap_or_else(|| panic!("{fault:?} is not noticed in {MOST_SEEDS} seeds"));
    println!("{fault:?}: seed {seed}: {broken}");
    assert!(broken.contains(rule), "{fault:?} breaks another rule: {broken}");
}

#[test]
fn a_missing_drain_is_noticed() {
    is_noticed(Fault::NoDrain, "although the network let it have all");
}

#[test]
fn a_lost_report_is_noticed() {
    is_noticed(Fault::LostReport, "connections, 0 reports");
}

#[test]
fn a_late_end_is_noticed() {
    is_noticed(Fault::LateEnd, "its deadline was after");
}
