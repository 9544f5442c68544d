//! The report for a terminal: a table, a sentence for each failure with what to change, the counts, and what
//! was loaded.

use comfy_table::{
    Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, TableComponent, Width, presets,
};

use super::rows::{row, scenarios, worst_first};
use super::words::{self, plain};
use crate::model::{Report, Row, TargetReport, Verdict};

mod around;
mod load;
pub(super) mod read;
mod restart;
mod summary;

/// The maximum width of a target's column, because the scenarios' titles need the room more than long names.
const NAME: u16 = 18;

/// The minimum width: a table does not fit into less.
const NARROWEST: u16 = 60;

pub(super) fn render(report: &Report, colours: bool, width: u16) -> String {
    let style = Style { colours, width: width.max(NARROWEST) };
    let mut parts = match report.targets.as_slice() {
        [] if report.load.is_empty() && report.restarts.is_empty() => {
            vec!["No server was judged.".to_owned()]
        }
        [] => Vec::new(),
        [target] => vec![style.sentence(&heading(target)), style.one(target)],
        several => several.chunks(style.side_by_side()).map(|targets| style.comparison(targets)).collect(),
    };
    if let Some(line) = around::not_applicable(&report.targets) {
        parts.push(style.sentence(&line));
    }
    let failing = report.targets.iter().filter(|target| target.count(Verdict::Fail) > 0);
    for target in failing {
        if report.targets.len() > 1 {
            parts.push(style.sentence(&heading(target)));
        }
        parts.push(style.failures(target));
        if !target.remedies.is_empty() {
            parts.push(around::remedies(&style, target));
        }
    }
    let counts = |target: &TargetReport| {
        let counts = plain(&words::counts(target));
        match report.targets.len() {
            1 => style.sentence(&counts),
            _ => style.sentence(&format!("{}: {counts}", plain(&target.name))),
        }
    };
    let mut last: Vec<String> = report.targets.iter().map(counts).collect();
    last.extend(around::outcome(&style, report));
    if !last.is_empty() {
        parts.push(last.join("\n"));
    }
    if !report.load.is_empty() {
        parts.push(load::render(&style, &report.load));
    }
    if !report.restarts.is_empty() {
        parts.push(restart::render(&style, &report.restarts));
    }
    parts.join("\n\n") + "\n"
}

pub(super) fn summary(report: &Report, colours: bool, width: u16) -> String {
    summary::render(&Style { colours, width: width.max(NARROWEST) }, report)
}

fn heading(target: &TargetReport) -> String {
    let server = target.server.as_ref().map(|server| format!(", {}", plain(server))).unwrap_or_default();
    if target.name == target.url {
        format!("{}{server}", plain(&target.name))
    } else {
        format!("{} ({}{server})", plain(&target.name), plain(&target.url))
    }
}

/// The width of the tables, and whether they have colours.
struct Style {
    colours: bool,
    width: u16,
}

impl Style {
    fn one(&self, target: &TargetReport) -> String {
        let mut table = self.table(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["Verdict", "Scenario", "Tries", "What was seen"].map(|title| self.title(title)));
        for row in worst_first(target) {
            if row.verdict == Verdict::NotApplicable {
                continue;
            }
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

    /// How many targets fit side by side. More are compared in tables one below the other.
    fn side_by_side(&self) -> usize {
        // A scenario's title is readable in 40 columns.
        usize::from((self.width - 40) / (NAME + 2)).max(1)
    }

    fn comparison(&self, targets: &[TargetReport]) -> String {
        let mut table = self.table(presets::UTF8_HORIZONTAL_ONLY);
        let names = targets.iter().map(|target| plain(&target.name));
        table.set_header(std::iter::once("Scenario".to_owned()).chain(names).map(|title| self.title(&title)));
        for column in table.column_iter_mut().skip(1) {
            column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(NAME)));
        }
        for (scenario, title) in scenarios(targets) {
            let rows = || targets.iter().map(|target| row(target, scenario));
            if rows().all(|row| row.is_none_or(|row| row.verdict == Verdict::NotApplicable)) {
                continue;
            }
            let found = rows().map(|row| match row {
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

    /// The failures, the worst first.
    fn failures(&self, target: &TargetReport) -> String {
        let mut table = self.table(presets::NOTHING);
        for row in worst_first(target).into_iter().filter(|row| row.verdict == Verdict::Fail) {
            table.add_row([
                self.verdict(row, words::verdict(row.verdict).to_owned()),
                self.verdict(row, words::severity(row.severity).to_owned()),
                Cell::new(row.scenario),
                Cell::new(format!("{} ({})", plain(&row.reason), row.clause)),
            ]);
        }
        lines(&table)
    }

    /// A wrapped sentence.
    fn sentence(&self, text: &str) -> String {
        let mut table = self.table(presets::NOTHING);
        if let Some(column) = table.add_row([text]).column_mut(0) {
            column.set_padding((0, 0));
        }
        lines(&table)
    }

    fn table(&self, preset: &str) -> Table {
        let mut table = Table::new();
        table.load_preset(preset).set_content_arrangement(ContentArrangement::Dynamic).set_width(self.width);
        // There are no lines between rows: empty cells show where a row is wrapped.
        for line in [
            TableComponent::HorizontalLines,
            TableComponent::MiddleIntersections,
            TableComponent::LeftBorderIntersections,
            TableComponent::RightBorderIntersections,
        ] {
            table.remove_style(line);
        }
        // The caller has checked the terminal already.
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

/// The table's lines, without padding at their ends.
fn lines(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
