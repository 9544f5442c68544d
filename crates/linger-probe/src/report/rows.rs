//! Which rows the formats show, and in what order.

use crate::model::{Row, TargetReport, Verdict};

/// The name and title of each scenario, once, in the battery's order.
pub(super) fn scenarios(targets: &[TargetReport]) -> Vec<(&'static str, &'static str)> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for row in targets.iter().flat_map(|target| &target.rows) {
        if found.iter().all(|(scenario, _)| *scenario != row.scenario) {
            found.push((row.scenario, row.title));
        }
    }
    found
}

pub(super) fn row<'a>(target: &'a TargetReport, scenario: &str) -> Option<&'a Row> {
    target.rows.iter().find(|row| row.scenario == scenario)
}

/// Failures come first, the most severe before the others; then rows that pass on Linux only, rows that pass,
/// and rows that do not apply. Rows of the same kind keep the battery's order.
pub(super) fn worst_first(target: &TargetReport) -> Vec<&Row> {
    let mut rows: Vec<&Row> = target.rows.iter().collect();
    rows.sort_by_key(|row| match row.verdict {
        Verdict::Fail => (0, Some(row.severity)),
        Verdict::PassOnLinux => (1, None),
        Verdict::Pass => (2, None),
        Verdict::NotApplicable => (3, None),
    });
    rows
}
