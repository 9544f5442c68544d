//! What a run found, written for a terminal, a program, a build server or a colleague.

use crate::model::{Report, Row, TargetReport, Verdict};

pub mod html;
mod json;
mod junit;
mod restart;
mod text;
mod words;

/// How a report is written to the standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A table, and a sentence for each failure.
    Text,
    /// A table with one line for each server.
    Summary,
    /// Everything that was found, one JSON object.
    Json,
    /// For build servers: one test suite per target, one test case per scenario.
    Junit,
}

/// What a mail and a build log show without wrapping.
pub const WIDTH: u16 = 100;

/// The report in this format, with a line's end after the last line.
///
/// `colours` is for text alone: whether it may hold ANSI escapes. Text is at most [`WIDTH`] columns wide.
#[must_use]
pub fn render(report: &Report, format: Format, colours: bool) -> String {
    render_wide(report, format, colours, WIDTH)
}

/// As [`render`], with text as wide as this, but for what cannot be wrapped.
#[must_use]
pub fn render_wide(report: &Report, format: Format, colours: bool, width: u16) -> String {
    match format {
        Format::Text => text::render(report, colours, width),
        Format::Summary => text::summary(report, colours, width),
        Format::Json => json::render(report),
        Format::Junit => junit::render(report),
    }
}

/// One line for a row, as it comes: its verdict, its name, and how it failed.
#[must_use]
pub fn line(row: &Row) -> String {
    let verdict = words::verdict(row.verdict);
    match row.verdict {
        Verdict::Pass => format!("{verdict}  {}", row.scenario),
        Verdict::Fail => {
            let severity = words::severity(row.severity);
            format!("{verdict}  {}  {severity}: {}", row.scenario, words::plain(&row.reason))
        }
        Verdict::PassOnLinux | Verdict::NotApplicable => {
            format!("{verdict}  {}  {}", row.scenario, words::plain(&row.reason))
        }
    }
}

/// Each scenario's name and title, once, in the battery's order.
fn scenarios(targets: &[TargetReport]) -> Vec<(&'static str, &'static str)> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for row in targets.iter().flat_map(|target| &target.rows) {
        if found.iter().all(|(scenario, _)| *scenario != row.scenario) {
            found.push((row.scenario, row.title));
        }
    }
    found
}

fn row<'a>(target: &'a TargetReport, scenario: &str) -> Option<&'a Row> {
    target.rows.iter().find(|row| row.scenario == scenario)
}

/// Failures first, the worst of them first; what passes on Linux only; what passes; what does not apply.
/// Within each of these it is the battery's order.
fn worst_first(target: &TargetReport) -> Vec<&Row> {
    let mut rows: Vec<&Row> = target.rows.iter().collect();
    rows.sort_by_key(|row| match row.verdict {
        Verdict::Fail => (0, Some(row.severity)),
        Verdict::PassOnLinux => (1, None),
        Verdict::Pass => (2, None),
        Verdict::NotApplicable => (3, None),
    });
    rows
}
