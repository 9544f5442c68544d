//! Where the decisions of a simulation come from.

use std::fmt;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

/// Draws one number after the other. The same source gives the same numbers, and so the same run.
///
/// Zero always stands for the harmless choice: nothing fails, nobody waits. So a run whose source is at its
/// end (the bytes of a fuzzer, a shortened record) soon comes to its own.
pub struct Choices {
    source: Source,
    record: Vec<u32>,
}

enum Source {
    Seed(Box<SmallRng>),
    Record(std::vec::IntoIter<u32>),
    Bytes(std::vec::IntoIter<u8>),
}

impl Choices {
    /// Everything that this seed leads to.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        Self::new(Source::Seed(Box::new(SmallRng::seed_from_u64(seed))))
    }

    /// What the bytes say: one for a choice between at most 256, two or four for others.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::new(Source::Bytes(Vec::from(bytes).into_iter()))
    }

    /// What an earlier run has drawn: its [`record`](Self::record), or a part of it.
    #[must_use]
    pub fn of_record(record: Vec<u32>) -> Self {
        Self::new(Source::Record(record.into_iter()))
    }

    fn new(source: Source) -> Self {
        Self { source, record: Vec::new() }
    }

    /// What was drawn so far.
    #[must_use]
    pub fn record(&self) -> &[u32] {
        &self.record
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        if end <= 1 {
            return 0;
        }
        let drawn = match &mut self.source {
            Source::Seed(random) => random.random_range(0..end),
            Source::Record(record) => record.next().unwrap_or(0).min(end - 1),
            Source::Bytes(bytes) => {
                let width = if end <= 1 << 8 {
                    1
                } else if end <= 1 << 16 {
                    2
                } else {
                    4
                };
                bytes.take(width).fold(0, |number: u32, byte| number << 8 | u32::from(byte)) % end
            }
        };
        self.record.push(drawn);
        drawn
    }

    /// A number from `least` to `most`, both included. Zero draws the least.
    pub fn between(&mut self, least: u32, most: u32) -> u32 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// True in so many of a hundred cases; false where the source is at its end.
    pub fn percent(&mut self, percent: u32) -> bool {
        percent > 0 && self.below(100) >= 100 - percent.min(100)
    }

    /// One of these. The first is the harmless one.
    ///
    /// # Panics
    ///
    /// There is none.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
        all[self.below(count) as usize]
    }
}

impl fmt::Debug for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Choices").field("drawn", &self.record.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(mut choices: Choices) -> (Vec<u32>, Vec<u32>) {
        let drawn = (0..100).map(|each| choices.between(1, 7 + 500 * (each % 3))).collect();
        (drawn, choices.record().to_vec())
    }

    #[test]
    fn the_same_seed_and_its_record_draw_the_same() {
        let (drawn, record) = draw(Choices::of_seed(7));
        assert_eq!(draw(Choices::of_seed(7)).0, drawn);
        assert_eq!(draw(Choices::of_record(record)).0, drawn);
        assert_ne!(draw(Choices::of_seed(8)).0, drawn);
    }

    #[test]
    fn a_source_at_its_end_draws_what_is_harmless() {
        let mut choices = Choices::of_bytes(&[255, 1, 2]);
        assert_eq!((choices.below(256), choices.below(1000)), (255, 258));
        assert_eq!((choices.between(3, 9), choices.percent(99), choices.one_of(&[1, 2])), (3, false, 1));
    }
}
