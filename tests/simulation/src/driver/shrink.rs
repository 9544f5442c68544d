//! A shorter run that breaks the same rule.

use super::{Broken, Options, run};
use crate::Choices;

/// More runs than this are not tried.
const MOST_RUNS: usize = 3_000;

/// Looks for a run with fewer and smaller choices that breaks the same rule: first parts of the record are
/// left out, then set to zero, large parts before small ones. Its result has a trace.
#[must_use]
pub fn shrink(broken: &Broken, options: Options) -> Box<Broken> {
    let rule = rule(&broken.what).to_owned();
    let mut record = broken.record.clone();
    let mut runs = 0;
    let mut breaks = |record: &[u32]| {
        runs += 1;
        let quiet = Options { is_traced: false, ..options };
        let result = (runs < MOST_RUNS).then(|| run(Choices::of_record(record.to_vec()), quiet));
        matches!(result, Some(Err(broken)) if self::rule(&broken.what) == rule)
    };
    let mut length = record.len().next_power_of_two();
    while length > 0 {
        let mut start = 0;
        while start < record.len() {
            let end = (start + length).min(record.len());
            let without: Vec<_> = [&record[..start], &record[end..]].concat();
            let mut zeroed = record.clone();
            zeroed[start..end].fill(0);
            if breaks(&without) {
                record = without;
            } else {
                if zeroed != record && breaks(&zeroed) {
                    record = zeroed;
                }
                start = end;
            }
        }
        length /= 2;
    }
    let traced = Options { is_traced: true, ..options };
    match run(Choices::of_record(record), traced) {
        Err(shortest) => shortest,
        Ok(_) => Box::new(broken.clone()),
    }
}

/// What was broken, without the connection and the numbers.
fn rule(what: &str) -> &str {
    let what = what.split_once(": ").map_or(what, |(_, rule)| rule);
    what.split(|letter: char| letter.is_ascii_digit()).next().unwrap_or(what)
}
