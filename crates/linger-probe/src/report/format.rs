//! The formats that go to the standard output, and the line that a run prints for each row.

use super::{junit, text, words};
use crate::model::{Report, Row, Verdict};

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

/// The report in this format. Its last line ends in a newline.
///
/// `colours` says whether text may hold ANSI escapes; the other formats ignore it. Text is at most [`WIDTH`]
/// columns wide.
#[must_use]
pub fn render(report: &Report, format: Format, colours: bool) -> String {
    render_wide(report, format, colours, WIDTH)
}

/// Like [`render`], with text of this width. What cannot be wrapped may be wider.
#[must_use]
pub fn render_wide(report: &Report, format: Format, colours: bool, width: u16) -> String {
    match format {
        Format::Text => text::render(report, colours, width),
        Format::Summary => text::summary(report, colours, width),
        Format::Json => report.to_json(),
        Format::Junit => junit::render(report),
    }
}

/// One line for a row when it is done: its verdict, its name, and how it failed.
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
