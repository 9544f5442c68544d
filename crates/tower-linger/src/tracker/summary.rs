//! How closes ended, counted.

use std::collections::BTreeMap;
use std::fmt;

use linger_proto::Outcome;

/// How many closes ended in which outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    counts: BTreeMap<&'static str, u64>,
}

impl Summary {
    pub(crate) fn add(&mut self, outcome: Outcome) {
        *self.counts.entry(outcome.as_str()).or_default() += 1;
    }

    /// How many closes ended at all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many ended this way; whether a `close_notify` was read makes no difference.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.counts.get(outcome.as_str()).copied().unwrap_or_default()
    }

    /// Each outcome that occurred, by name, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.counts.iter().map(|(outcome, count)| (*outcome, *count))
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
