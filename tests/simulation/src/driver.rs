//! Connections of the real crate over a transport in memory, on a paused clock.
//!
//! A run draws a few connections: their policies, sessions, peers, services, faults, and what happens to
//! all of them. It plays until the last has ended, and then looks whether what always holds has held: see
//! [`run`].

mod check;
mod connection;
mod content;
mod faults;
mod held;
mod link;
mod peer;
mod policy;
mod scene;
mod service;
mod session;
mod shrink;
mod transport;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use self::shrink::shrink;
use crate::Choices;
use crate::driver::scene::Scene;
use crate::driver::world::World;

/// How a run is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Whether a [`Broken`] has the trace of the run. It costs more than the run itself.
    pub is_traced: bool,
    /// What is done wrong on purpose, to show that it is noticed.
    pub sabotage: Sabotage,
}

/// What is done wrong on purpose, as a crate with a fault would do it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing.
    #[default]
    None,
    /// Reports are lost.
    LostReport,
    /// Each FIN is asked for twice.
    SecondFin,
    /// Nothing is drained: the first read of the drain finds an end.
    NoDrain,
    /// The drain takes more than it may.
    OverLimit,
    /// Who has to wait is polled again at once.
    BusyLoop,
    /// The transport is dropped twice.
    SecondDrop,
    /// The end comes later than the policy allows.
    LateEnd,
    /// The service's result is lost.
    OtherResult,
    /// A read that fails looks like the end of the peer's data.
    SwallowedError,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::LostReport,
        Self::SecondFin,
        Self::NoDrain,
        Self::OverLimit,
        Self::BusyLoop,
        Self::SecondDrop,
        Self::LateEnd,
        Self::OtherResult,
        Self::SwallowedError,
    ];
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Runs.
    pub runs: u64,
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections that their service took for good.
    pub taken_away: u64,
    /// Connections whose peer had to get every byte, and did.
    pub whole: u64,
    /// Errors that the transports gave the crate.
    pub errors: u64,
    /// Bytes that were drained.
    pub drained: u64,
    /// How many closes ended in which outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// What was drawn, as a number that tells two runs apart.
    pub fingerprint: u64,
}

/// A rule did not hold.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Which, and of which connection.
    pub what: String,
    /// What happened when, if that was asked for.
    pub trace: Vec<String>,
    /// What was drawn, for [`Choices::of_record`].
    pub record: Vec<u32>,
}

/// Makes one run.
///
/// # What always holds
///
/// * Each connection that was accepted is reported once, after its transport was dropped, unless its service
///   took it for good; its transport is dropped once; the tracker's sums agree, and nothing is left in it.
/// * Data, `close_notify` and FIN leave in this order, each of the last two once, and nothing follows the
///   FIN.
/// * What fails is reported: the first failure, and the outcome that it means. After a write that was not
///   taken, a panic or an abort there is no `close_notify` any more, and no clean outcome.
/// * A close ends by the longest of its bounds, and half a second after a shutdown's deadline at the latest.
/// * What is drained is counted, never more than the limit, and never given to the service, which reads
///   what the peer sent in order. The service's result comes back unchanged.
/// * An outcome has its reason: `peer_closed` a FIN of the peer, `evicted` a limit, and so on.
/// * No task is polled again and again without a reason.
/// * A peer that reads and closes gets every byte that was taken from the service, and no reset, if nothing
///   but waiting went wrong.
///
/// # Errors
///
/// The first of these that did not hold.
///
/// # Panics
///
/// If the system gives no runtime.
pub fn run(choices: Choices, options: Options) -> Result<Seen, Box<Broken>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system");
    let guard = runtime.enter();
    let world = Arc::new(World::new(choices, options.is_traced, options.sabotage));
    let scene = Scene::draw(&world);
    drop(guard);
    runtime.block_on(scene.play(&world));
    drop(runtime);
    world.end();
    scene.clear_shelf();
    let mut seen = check::all(&world, &scene);
    let (broken, trace, record, errors) = world.result();
    seen.errors = errors;
    seen.fingerprint = record.iter().fold(record.len() as u64, |sum, drawn| {
        sum.rotate_left(5).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(*drawn)
    });
    match broken {
        Some(what) => Err(Box::new(Broken { what, trace, record })),
        None => Ok(seen),
    }
}

impl Seen {
    /// Adds the sums of other runs.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.accepted += other.accepted;
        self.taken_away += other.taken_away;
        self.whole += other.whole;
        self.errors += other.errors;
        self.drained += other.drained;
        self.fingerprint ^= other.fingerprint;
        for (outcome, count) in &other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs, {} connections ", self.runs, self.accepted)?;
        write!(f, "({} taken away, {} whole), ", self.taken_away, self.whole)?;
        write!(f, "{} errors, {} bytes drained;", self.errors, self.drained)?;
        self.outcomes.iter().try_for_each(|(outcome, count)| write!(f, " {outcome} {count}"))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.trace.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        write!(f, "{}", self.what)
    }
}

impl std::error::Error for Broken {}
