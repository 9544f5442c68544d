//! What all parts of one run share: the choices, the trace, and the first rule that was broken.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::Choices;
use crate::driver::Sabotage;

#[derive(Debug)]
pub(crate) struct World {
    state: Mutex<State>,
    began: Instant,
    pub(crate) sabotage: Sabotage,
}

#[derive(Debug)]
struct State {
    choices: Choices,
    /// None unless somebody wants to read it, since formatting costs most of the time of a run.
    trace: Option<Vec<(String, u32)>>,
    broken: Option<String>,
    /// Errors that the transports gave the crate.
    errors: u64,
    is_over: bool,
}

/// More lines than this are of no use to anyone.
const LONGEST_TRACE: usize = 5000;

impl World {
    /// To be called in the runtime whose clock it goes by.
    pub(crate) fn new(choices: Choices, is_traced: bool, sabotage: Sabotage) -> Self {
        let trace = is_traced.then(Vec::new);
        let state = State { choices, trace, broken: None, errors: 0, is_over: false };
        Self { state: Mutex::new(state), began: Instant::now(), sabotage }
    }

    pub(crate) fn draw<R>(&self, draw: impl FnOnce(&mut Choices) -> R) -> R {
        draw(&mut self.lock().choices)
    }

    /// A line of the trace, about one of the connections or about all of them.
    pub(crate) fn note<W: Display>(&self, connection: Option<usize>, what: impl FnOnce() -> W) {
        let mut state = self.lock();
        let after = if state.is_over { None } else { Some(self.began.elapsed()) };
        if let Some(trace) = state.trace.as_mut().filter(|trace| trace.len() < LONGEST_TRACE) {
            let after = after.map_or_else(|| "after the end".to_owned(), |after| format!("{after:?}"));
            let who = connection.map_or_else(String::new, |id| format!("#{id} "));
            let line = format!("{after:>14}  {who}{}", what());
            match trace.last_mut() {
                Some((last, times)) if *last == line => *times += 1,
                _ => trace.push((line, 1)),
            }
        }
    }

    /// A rule was broken. Only the first is kept, because others may follow from it.
    pub(crate) fn broken<W: Display>(&self, connection: Option<usize>, what: W) {
        self.note(connection, || format!("BROKEN: {what}"));
        let who = connection.map_or_else(String::new, |id| format!("connection #{id}: "));
        self.lock().broken.get_or_insert_with(|| format!("{who}{what}"));
    }

    pub(crate) fn count_error(&self) {
        self.lock().errors += 1;
    }

    /// The runtime is gone, and its clock with it.
    pub(crate) fn end(&self) {
        self.lock().is_over = true;
    }

    /// Whether the runtime and its clock are still there.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The first rule that was broken, the trace, what was drawn, and how many errors there were.
    pub(crate) fn result(&self) -> (Option<String>, Vec<String>, Vec<u32>, u64) {
        let mut state = self.lock();
        let times = |(line, times)| if times > 1 { format!("{line} ({times} times)") } else { line };
        let trace = state.trace.take().unwrap_or_default().into_iter().map(times).collect();
        (state.broken.take(), trace, state.choices.record().to_vec(), state.errors)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
