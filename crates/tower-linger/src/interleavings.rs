//! What must hold whichever thread runs next: `make interleavings`.
//!
//! Each test is one scenario with two to five threads, in which a real connection, its close and its tracker
//! run on models of locks, atomics and time ([`crate::sync`]). A scheduler chooses after each operation on
//! one of them which thread goes on. Where nothing can go on any more, the test fails: somebody was not
//! woken.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

use self::patient::Patient;

mod counts;
mod cut;
mod hand_back;
mod line;
mod observers;
mod patient;
mod shutdown;
mod timers;
mod world;

/// How many schedules each scheduler tries, without `INTERLEAVINGS`.
const SCHEDULES: usize = 300;

/// How many changes of priority a schedule of PCT has at most: its depth.
const DEPTH: usize = 4;

/// Where the schedulers begin, without `INTERLEAVINGS_SEED`.
const SEED: u64 = 17;

/// Runs a scenario by many schedules: chosen uniformly, and with few changes of priority (PCT), which finds
/// what needs one thread to be slow.
fn explore(scenario: impl Fn() + Send + Sync + 'static) {
    let scenario = Scenario::new(scenario);
    if let Ok(schedule) = env::var("REPLAY") {
        // Not the end of what follows on the failure.
        let mut replay = ReplayScheduler::new_from_encoded(schedule.trim());
        replay.set_allow_incomplete();
        scenario.run("replay", replay);
        return;
    }
    let schedules = number("INTERLEAVINGS").unwrap_or(SCHEDULES);
    let seed = number("INTERLEAVINGS_SEED").map_or(SEED, |seed| seed as u64);
    scenario.run("random", RandomScheduler::new_from_seed(seed, schedules));
    scenario.run("priorities", PctScheduler::new_from_seed(seed, DEPTH, schedules));
}

/// Runs a small scenario by all schedules that there are.
fn exhaust(scenario: impl Fn() + Send + Sync + 'static) {
    let scenario = Scenario::new(scenario);
    if let Ok(schedule) = env::var("REPLAY") {
        scenario.run("replay", ReplayScheduler::new_from_encoded(schedule.trim()));
        return;
    }
    let schedules = scenario.run("all", DfsScheduler::new(Some(MOST_SCHEDULES), false));
    assert!(schedules < MOST_SCHEDULES, "these are not all: make the scenario smaller");
}

/// No scenario that is tried by all schedules has more.
const MOST_SCHEDULES: usize = 400_000;

fn number(variable: &str) -> Option<usize> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is no number")))
}

struct Scenario {
    run: Arc<dyn Fn() + Send + Sync>,
    /// The test's.
    name: String,
    /// How many steps its longest execution had.
    steps: Arc<AtomicUsize>,
}

impl Scenario {
    fn new(scenario: impl Fn() + Send + Sync + 'static) -> Self {
        let steps = Arc::new(AtomicUsize::new(0));
        let longest = steps.clone();
        let run = move || {
            crate::sync::model::begin();
            scenario();
            longest.fetch_max(shuttle::current::context_switches(), Ordering::Relaxed);
        };
        let name = std::thread::current().name().expect("a test has one").to_owned();
        Self { run: Arc::new(run), name, steps }
    }

    /// Returns by how many schedules it was run.
    fn run(&self, kind: &str, scheduler: impl Scheduler + 'static) -> usize {
        let mut config = Config::new();
        config.stack_size = STACK_BYTES;
        config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
        // They are about orderings weaker than `SeqCst`, which shuttle does not model.
        config.silence_warnings = true;
        let run = self.run.clone();
        let tried =
            catch_unwind(AssertUnwindSafe(|| Runner::new(Patient(scheduler), config).run(move || run())));
        let count = tried.unwrap_or_else(|panic| {
            let name = &self.name;
            eprintln!("to replay it: REPLAY=the schedule above make interleavings ONE={name}");
            resume_unwind(panic)
        });
        let steps = self.steps.load(Ordering::Relaxed);
        println!("{}: {kind}: {count} schedules of at most {steps} steps", self.name);
        count
    }
}

/// A scenario of more goes round in circles.
const MOST_STEPS: usize = 20_000;

/// Unoptimised builds need more than shuttle's default.
const STACK_BYTES: usize = 256 << 10;
