//! Thousands of runs of the crate over a transport in memory, each of them by a seed.
//!
//! `SEED=7` plays one seed and prints its trace; `SEEDS=1000000` plays more than CI does.

#![allow(clippy::similar_names, clippy::struct_excessive_bools, reason = "records of what was seen")]

mod noticed;

use std::collections::BTreeSet;

use rand::rngs::SmallRng;
use rand::{RngCore as _, SeedableRng as _};
use tower_linger::Outcome;
use tower_linger_simulation::Choices;
use tower_linger_simulation::driver::{Options, Seen, run, shrink};
use tower_linger_simulation::seeds::Seeds;

/// How many seeds CI plays.
const SEEDS: u64 = 12_000;

/// What is played, and what must be reached by it: a rule that is never put to the test proves nothing.
#[test]
fn what_always_holds_does_so_for_every_seed() {
    if let Some(seed) = Seeds::alone() {
        return replay(seed);
    }
    let mut seen = Seen::default();
    let play = |seed| run(Choices::of_seed(seed), Options::default()).map_err(|broken| broken.to_string());
    let played = Seeds::of_environment("driver", SEEDS).play(play, |one| seen.add(&one));
    println!("{seen}");
    if let Err(failed) = played {
        panic!("{}", failed.what);
    }
    if seen.runs >= SEEDS {
        let reached: BTreeSet<_> = seen.outcomes.keys().copied().collect();
        // There is no handshake in here, and no HTTP.
        let never = [Outcome::HandshakeTimeout, Outcome::PeerDone];
        let all = Outcome::ALL.iter().filter(|outcome| !never.contains(outcome));
        assert_eq!(reached, all.map(|outcome| outcome.as_str()).collect());
        assert!(seen.whole > seen.runs / 8, "few peers could have got everything: {seen}");
        assert!(seen.errors > seen.runs / 4 && seen.taken_away > seen.runs / 100, "{seen}");
    }
}

/// Prints what happens in the run of this seed. If it breaks a rule, the shortest run that does so follows.
fn replay(seed: u64) {
    let traced = Options { is_traced: true, ..Options::default() };
    match run(Choices::of_seed(seed), traced) {
        Ok(seen) => println!("seed {seed} breaks no rule: {seen}"),
        Err(broken) => {
            println!("{broken}\n\nA run with fewer events that breaks the same rule:\n");
            panic!("{}", shrink(&broken, Options::default()));
        }
    }
}

#[test]
fn a_seed_plays_the_same_whenever_it_is_played() {
    for seed in 0..100 {
        let [first, second] = [(); 2].map(|()| run(Choices::of_seed(seed), Options::default()));
        assert_eq!(first.ok(), second.ok(), "seed {seed}");
    }
}

#[test]
fn bytes_of_a_fuzzer_play_as_seeds_do() {
    let mut seen = Seen::default();
    for length in 0..400 {
        let mut bytes = vec![0; length];
        SmallRng::seed_from_u64(length as u64).fill_bytes(&mut bytes);
        let result = run(Choices::of_bytes(&bytes), Options::default());
        seen.add(&result.unwrap_or_else(|broken| panic!("{length} bytes: {broken}")));
    }
    assert!(seen.outcomes.len() > 8, "{seen}");
}
