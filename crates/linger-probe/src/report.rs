//! What a run found, written for a terminal, a program, a build server or a colleague.

use crate::model::{Report, Row, TargetReport};

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

/// The report in this format, with a line's end after the last line.
///
/// `colours` is for text alone: whether it may hold ANSI escapes.
#[must_use]
pub fn render(report: &Report, format: Format, colours: bool) -> String {
    match format {
        Format::Text => text::render(report, colours),
        Format::Summary => text::summary(report, colours),
        Format::Json => json::render(report),
        Format::Junit => junit::render(report),
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
