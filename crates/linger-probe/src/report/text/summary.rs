//! A table with one line for each server.

use comfy_table::{Attribute, Cell, CellAlignment, Color, presets};

use super::{Style, lines};
use crate::model::load::LoadReport;
use crate::model::{Report, TargetReport, Verdict};
use crate::report::words::plain;

pub(super) fn render(style: &Style, report: &Report) -> String {
    let mut table = style.table(presets::UTF8_HORIZONTAL_ONLY);
    let titles = ["Pass", "Fail", "Whole/s", "Lost", "Resets", "p99 ms", "Held ms", "CPU µs"];
    let numbers = titles.map(|title| style.title(title).set_alignment(CellAlignment::Right));
    table.set_header(std::iter::once(style.title("Server")).chain(numbers));
    for name in names(report) {
        let checked = report.targets.iter().find(|target| target.name == name);
        let loaded = report.load.iter().find(|load| load.name == name);
        let cells = check(style, checked).into_iter().chain(load(style, loaded));
        table.add_row(std::iter::once(Cell::new(plain(name))).chain(cells));
    }
    for gap in &report.gaps {
        let none = check(style, None).into_iter().chain(load(style, None));
        table.add_row(std::iter::once(Cell::new(plain(&gap.name))).chain(none));
    }
    let mut parts = vec![lines(&table)];
    parts.extend(sentences(style, report));
    if let Some(load) = report.load.first() {
        let took = load.took.as_secs_f64();
        parts.push(style.sentence(&format!("Load: {}, {took:.0} s each.", plain(&load.plan))));
        parts.push(style.sentence(
            "Held is how long the server keeps a socket after its end. CPU is the server's time per request.",
        ));
    }
    parts.join("\n") + "\n"
}

/// The name of each server, once, in the report's order.
fn names(report: &Report) -> Vec<&str> {
    let mut found: Vec<&str> = report.targets.iter().map(|target| target.name.as_str()).collect();
    for load in &report.load {
        if !found.contains(&load.name.as_str()) {
            found.push(&load.name);
        }
    }
    found
}

/// Why servers are missing, and which scenarios the others fail.
fn sentences(style: &Style, report: &Report) -> Option<String> {
    let mut table = style.table(presets::NOTHING);
    for gap in &report.gaps {
        table.add_row([plain(&gap.name), plain(&gap.why)]);
    }
    for target in &report.targets {
        let failed = target.rows.iter().filter(|row| row.verdict == Verdict::Fail);
        let failed: Vec<_> = failed.map(|row| row.scenario.to_owned()).chain(target.lost.clone()).collect();
        if !failed.is_empty() {
            table.add_row([format!("{} fails", plain(&target.name)), plain(&failed.join(", "))]);
        }
    }
    (table.row_count() > 0).then(|| lines(&table))
}

fn number(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn bad(style: &Style, count: u64) -> Cell {
    match number(count.to_string()) {
        cell if count > 0 && style.colours => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        cell => cell,
    }
}

fn check(style: &Style, checked: Option<&TargetReport>) -> [Cell; 2] {
    match checked {
        Some(target) => {
            [number(target.count(Verdict::Pass).to_string()), bad(style, target.count(Verdict::Fail) as u64)]
        }
        None => ["–", "–"].map(|none| number(none.to_owned())),
    }
}

fn load(style: &Style, loaded: Option<&LoadReport>) -> [Cell; 6] {
    let Some(load) = loaded else { return ["–"; 6].map(|none| number(none.to_owned())) };
    let none = || "–".to_owned();
    let p99 = load.kinds.first().and_then(|kind| kind.latency.at(0.99));
    let ms = |time: std::time::Duration| format!("{:.2}", time.as_secs_f64() * 1e3);
    [
        number(format!("{:.0}", load.rate())),
        bad(style, load.lost()),
        bad(style, load.kinds.iter().map(|kind| kind.ended_in_reset).sum()),
        number(p99.map_or_else(none, ms)),
        number(load.held.map_or_else(none, ms)),
        number(load.server_cpu.map_or_else(none, |cpu| format!("{:.0}", cpu.as_secs_f64() * 1e6))),
    ]
}
