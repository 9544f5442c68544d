//! The report for a terminal: a table, then a sentence for each failure, then the counts; then what was loaded.

use comfy_table::{
    Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, TableComponent, Width, presets,
};

use super::words::{self, plain};
use crate::model::{Report, Row, TargetReport, Verdict};

mod load;
mod restart;
mod summary;

/// What a terminal, a mail and a build log show without wrapping.
const WIDTH: u16 = 100;

/// Of a target's column at most: a scenario's title needs the room more than a long name does.
const NAME: u16 = 18;

/// More targets than this are compared in tables one below the other.
const SIDE_BY_SIDE: usize = 4;

pub(super) fn render(report: &Report, colours: bool) -> String {
    let style = Style { colours };
    let mut parts = match report.targets.as_slice() {
        [] if report.load.is_empty() && report.restarts.is_empty() => {
            vec!["No server was judged.".to_owned()]
        }
        [] => Vec::new(),
        [target] => vec![heading(target), style.one(target)],
        several => several.chunks(SIDE_BY_SIDE).map(|targets| style.comparison(targets)).collect(),
    };
    let failing = report.targets.iter().filter(|target| target.count(Verdict::Fail) > 0);
    for target in failing {
        if report.targets.len() > 1 {
            parts.push(heading(target));
        }
        parts.push(style.failures(target));
    }
    let counts = |target: &TargetReport| match report.targets.len() {
        1 => words::counts(target),
        _ => format!("{}: {}", plain(&target.name), words::counts(target)),
    };
    parts.extend(report.targets.iter().map(counts));
    let mut text = String::new();
    for (index, part) in parts.iter().enumerate() {
        // The counts stand together.
        let gap = if index + report.targets.len() > parts.len() { "" } else { "\n" };
        text += if index == 0 { "" } else { gap };
        text += part;
        text.push('\n');
    }
    if !report.load.is_empty() {
        text += if text.is_empty() { "" } else { "\n" };
        text += &load::render(&style, &report.load);
        text.push('\n');
    }
    if !report.restarts.is_empty() {
        text += if text.is_empty() { "" } else { "\n" };
        text += &restart::render(&style, &report.restarts);
        text.push('\n');
    }
    text
}

pub(super) fn summary(report: &Report, colours: bool) -> String {
    summary::render(&Style { colours }, report)
}

fn heading(target: &TargetReport) -> String {
    if target.name == target.url {
        plain(&target.name)
    } else {
        format!("{} ({})", plain(&target.name), plain(&target.url))
    }
}

/// Whether the tables are coloured.
struct Style {
    colours: bool,
}

impl Style {
    fn one(&self, target: &TargetReport) -> String {
        let mut table = self.table(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["Verdict", "Scenario", "Tries", "What was seen"].map(|title| self.title(title)));
        for row in &target.rows {
            let seen = if row.attempts.is_empty() { row.reason.clone() } else { words::seen(row) };
            table.add_row([
                self.verdict(row, words::verdict(row.verdict).to_owned()),
                Cell::new(row.title),
                Cell::new(words::tries(row).unwrap_or_default()),
                Cell::new(plain(&seen)),
            ]);
        }
        lines(&table)
    }

    fn comparison(&self, targets: &[TargetReport]) -> String {
        let mut table = self.table(presets::UTF8_HORIZONTAL_ONLY);
        let names = targets.iter().map(|target| plain(&target.name));
        table.set_header(std::iter::once("Scenario".to_owned()).chain(names).map(|title| self.title(&title)));
        for column in table.column_iter_mut().skip(1) {
            column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(NAME)));
        }
        for (scenario, title) in super::scenarios(targets) {
            let found = targets.iter().map(|target| match super::row(target, scenario) {
                Some(row) => {
                    let tries = words::tries(row).map(|tries| format!(" {tries}")).unwrap_or_default();
                    self.verdict(row, format!("{}{tries}", words::verdict(row.verdict)))
                }
                None => Cell::new(""),
            });
            table.add_row(std::iter::once(Cell::new(title)).chain(found));
        }
        lines(&table)
    }

    fn failures(&self, target: &TargetReport) -> String {
        let mut table = self.table(presets::NOTHING);
        for row in target.rows.iter().filter(|row| row.verdict == Verdict::Fail) {
            let severity = words::severity(row.severity);
            let sentence = format!("{severity}: {} ({})", plain(&row.reason), row.clause);
            table.add_row([
                self.verdict(row, words::verdict(row.verdict).to_owned()),
                Cell::new(row.scenario),
                Cell::new(sentence),
            ]);
        }
        lines(&table)
    }

    fn table(&self, preset: &str) -> Table {
        let mut table = Table::new();
        table.load_preset(preset).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
        // No lines between rows: what is wrapped shows by the empty cells beside it.
        for line in [
            TableComponent::HorizontalLines,
            TableComponent::MiddleIntersections,
            TableComponent::LeftBorderIntersections,
            TableComponent::RightBorderIntersections,
        ] {
            table.remove_style(line);
        }
        // The caller has looked at the terminal already.
        if self.colours {
            table.enforce_styling()
        } else {
            table.force_no_tty()
        };
        table
    }

    fn title(&self, title: &str) -> Cell {
        let cell = Cell::new(title);
        if self.colours { cell.add_attribute(Attribute::Bold) } else { cell }
    }

    fn verdict(&self, row: &Row, text: String) -> Cell {
        let cell = Cell::new(text);
        match row.verdict {
            _ if !self.colours => cell,
            Verdict::Pass => cell.fg(Color::Green),
            Verdict::PassOnLinux => cell.fg(Color::Yellow),
            Verdict::Fail => cell.fg(Color::Red).add_attribute(Attribute::Bold),
            Verdict::NotApplicable => cell.fg(Color::DarkGrey),
        }
    }
}

/// The table's lines without the padding at their ends.
fn lines(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
