//! Many seeds on all cores: which ones the environment asks for, what was seen so far, and how to replay
//! the one that failed.
//!
//! | variable | meaning |
//! |---|---|
//! | `SEEDS` | how many seeds to play, instead of the test's own number |
//! | `FROM` | the first of them; 0 by default |
//! | `SEED` | plays this one alone, with a trace |

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::env;
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The seeds of one test.
#[derive(Debug, Clone, Copy)]
pub struct Seeds {
    test: &'static str,
    from: u64,
    count: u64,
}

/// A seed that failed.
#[derive(Debug)]
pub struct Failed {
    /// Which one.
    pub seed: u64,
    /// What it said, and the command that plays it again.
    pub what: String,
}

const BETWEEN_LINES: Duration = Duration::from_secs(5);

impl Seeds {
    /// Those that the environment asks for, by default the first `count`, of this test binary.
    ///
    /// # Panics
    ///
    /// If a variable is no number.
    #[must_use]
    pub fn of_environment(test: &'static str, count: u64) -> Self {
        Self { test, from: number("FROM").unwrap_or(0), count: number("SEEDS").unwrap_or(count) }
    }

    /// The seed to play alone, if the environment names one.
    ///
    /// # Panics
    ///
    /// If it is no number.
    #[must_use]
    pub fn alone() -> Option<u64> {
        number("SEED")
    }

    /// Plays them all, and adds up what they return. Each core takes the next seed when it is done with
    /// one, and a line every few seconds says how far they are.
    ///
    /// # Errors
    ///
    /// The least seed that failed, or during which something panicked, of those that were played until then.
    pub fn play<S: Send>(
        self,
        play: impl Fn(u64) -> Result<S, String> + Sync,
        add: impl FnMut(S) + Send,
    ) -> Result<(), Failed> {
        keep_panics();
        let began = Instant::now();
        let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        // Said by each line, so that one that never ends is known.
        let playing = Mutex::new(BTreeSet::new());
        let (add, failed) = (Mutex::new(add), Mutex::new(None::<Failed>));
        let work = || {
            while !is_over.load(Ordering::Relaxed) {
                let place = next.fetch_add(1, Ordering::Relaxed);
                if place >= self.count {
                    return;
                }
                let seed = self.from + place;
                playing.lock().unwrap_or_else(PoisonError::into_inner).insert(seed);
                let result = self.one(seed, &play);
                playing.lock().unwrap_or_else(PoisonError::into_inner).remove(&seed);
                match result {
                    Ok(seen) => add.lock().unwrap_or_else(PoisonError::into_inner)(seen),
                    Err(error) => {
                        is_over.store(true, Ordering::Relaxed);
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        failed.take_if(|other| other.seed > error.seed);
                        failed.get_or_insert(error);
                    }
                }
            }
        };
        thread::scope(|scope| {
            let threads = thread::available_parallelism().map_or(1, usize::from);
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let mut line_at = began + BETWEEN_LINES;
            while workers.iter().any(|worker| !worker.is_finished()) {
                if Instant::now() >= line_at {
                    let done = next.load(Ordering::Relaxed).min(self.count);
                    let playing = playing.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let (test, count, after) = (self.test, self.count, began.elapsed());
                    eprintln!("{test}: {done} of {count} seeds after {after:?}, now {playing:?}");
                    line_at += BETWEEN_LINES;
                }
                thread::park_timeout(Duration::from_millis(20));
            }
        });
        eprintln!("{}: {} seeds from {} took {:?}", self.test, self.count, self.from, began.elapsed());
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn one<S>(self, seed: u64, play: impl Fn(u64) -> Result<S, String>) -> Result<S, Failed> {
        PANIC.take();
        let result = play(seed);
        let panicked = PANIC.take().map(|panic| format!("something panicked: {panic}"));
        let failed = match (result, panicked) {
            (Ok(seen), None) => return Ok(seen),
            (Ok(_), Some(panicked)) => panicked,
            (Err(error), panicked) => format!("{error}\n{}", panicked.unwrap_or_default()),
        };
        let replay = format!(
            "Replay it:\n  SEED={seed} cargo test --workspace --all-features --test {} -- --nocapture",
            self.test
        );
        Err(Failed { seed, what: format!("seed {seed}: {failed}\n{replay}") })
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    let number = value.replace('_', "").parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={value} is no number")))
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A task that panics does not fail its runtime. So what the hook is told in a thread that plays seeds is
/// kept here; what a simulation throws on purpose goes without the hook.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let _ =
                PANIC.try_with(|panic| panic.borrow_mut().get_or_insert_with(|| info.to_string()).clone());
            before(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_seed_that_failed_is_named_with_its_command() {
        let seeds = Seeds { test: "some", from: 10, count: 100 };
        let failed = seeds.play(|seed| if seed < 17 { Ok(()) } else { Err("is odd".to_owned()) }, drop);
        let failed = failed.expect_err("seed 17 fails");
        assert!((17..20).contains(&failed.seed), "{failed:?}");
        let command = format!("SEED={} cargo test --workspace --all-features --test some", failed.seed);
        assert!(failed.what.contains("is odd") && failed.what.contains(&command), "{failed:?}");
    }

    #[test]
    fn each_seed_is_played_once() {
        let mut played = Vec::new();
        let seeds = Seeds { test: "some", from: 5, count: 1000 };
        seeds.play(Ok, |seed| played.push(seed)).expect("none fails");
        played.sort_unstable();
        assert_eq!(played, (5..1005).collect::<Vec<_>>());
    }
}
