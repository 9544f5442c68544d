//! How closes ended, counted.

use std::fmt;
use std::mem::discriminant;

use linger_proto::Outcome;

/// How many closes ended in which outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// In the order of [`Outcome::ALL`].
    counts: [u64; Outcome::ALL.len()],
}

/// Where an outcome is counted: looked for before the lock that the summary is under.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted(usize);

impl Counted {
    pub(crate) fn of(outcome: Outcome) -> Self {
        let is_this = |other: &Outcome| discriminant(other) == discriminant(&outcome);
        Self(Outcome::ALL.iter().position(is_this).expect("it has them all"))
    }
}

impl Summary {
    pub(crate) fn add(&mut self, outcome: Counted) {
        self.counts[outcome.0] += 1;
    }

    /// How many closes ended at all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many ended this way; whether a `close_notify` was read makes no difference.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.counts[Counted::of(outcome).0]
    }

    /// Each outcome that occurred, by name, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let all = Outcome::ALL.iter().map(|outcome| outcome.as_str()).zip(self.counts);
        let mut occurred: Vec<_> = all.filter(|(_, count)| *count > 0).collect();
        occurred.sort_unstable();
        occurred.into_iter()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} closed", self.total())?;
        for (place, (outcome, count)) in self.iter().enumerate() {
            write!(f, "{} {outcome} {count}", if place == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}
