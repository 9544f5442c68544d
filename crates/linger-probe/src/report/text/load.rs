//! The tables of a load, one of the requests and one of their times, and a sentence for each server.

use std::time::Duration;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, presets};

use super::{Style, lines};
use crate::model::load::{KindReport, LoadReport};
use crate::report::words::{self, plain};

pub(super) fn render(style: &Style, loads: &[LoadReport]) -> String {
    let requests =
        ["Whole", STATUS, "Retried", "Refused", "Reset", "Cut", "Timeout", "Unopened", "Unfinished"];
    let times = ["p50 ms", "p99 ms", "p99.9", "Corr. p50", "p99", "p99.9", "End p99", "Resets", "Notify"];
    let mut sentences = style.table(presets::NOTHING);
    for load in loads {
        sentences.add_row([plain(&load.name), plain(&words::load(load))]);
    }
    [table(style, loads, &requests, requests_of), table(style, loads, &times, times_of), lines(&sentences)]
        .join("\n")
}

fn table<const COLUMNS: usize>(
    style: &Style,
    loads: &[LoadReport],
    titles: &[&str],
    cells: impl Fn(&Style, &KindReport) -> [Cell; COLUMNS],
) -> String {
    let mut table = style.table(presets::UTF8_HORIZONTAL_ONLY);
    let numbers = titles.iter().map(|title| style.title(title).set_alignment(CellAlignment::Right));
    table.set_header([style.title("Server"), style.title("Request")].into_iter().chain(numbers));
    for load in loads {
        for (index, kind) in load.kinds.iter().enumerate() {
            let name = if index == 0 { plain(&load.name) } else { String::new() };
            let mut row = vec![Cell::new(name), Cell::new(kind.kind)];
            row.extend(cells(style, kind).map(|cell| cell.set_alignment(CellAlignment::Right)));
            table.add_row(row);
        }
    }
    for (column, title) in table.column_iter_mut().zip(["Server", "Request"].iter().chain(titles)) {
        column.set_padding((0, 1));
        // Names and lists of statuses may wrap. Numbers and their titles do not, if there is room.
        if style.width >= ROOM && !["Server", STATUS].contains(title) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    lines(&table)
}

fn red(style: &Style, cell: Cell, is_bad: bool) -> Cell {
    if is_bad && style.colours { cell.fg(Color::Red).add_attribute(Attribute::Bold) } else { cell }
}

fn requests_of(style: &Style, kind: &KindReport) -> [Cell; 9] {
    let bad = |number: u64| red(style, Cell::new(number), number > 0);
    [
        Cell::new(kind.complete),
        red(style, Cell::new(words::statuses(kind)), kind.unexpected > 0),
        Cell::new(kind.retried),
        bad(kind.refused),
        bad(kind.reset),
        bad(kind.cut),
        bad(kind.timeout),
        bad(kind.unopened),
        Cell::new(kind.unfinished),
    ]
}

fn times_of(style: &Style, kind: &KindReport) -> [Cell; 9] {
    let none = || "–".to_owned();
    let ms = |time: Option<Duration>| {
        Cell::new(time.map_or_else(none, |time| format!("{:.2}", time.as_secs_f64() * 1e3)))
    };
    let announced = match kind.announced {
        Some(announced) if kind.ended > 0 => format!("{} %", announced * 100 / kind.ended),
        _ => none(),
    };
    [
        ms(kind.latency.at(0.5)),
        ms(kind.latency.at(0.99)),
        ms(kind.latency.at(0.999)),
        ms(kind.latency_corrected.at(0.5)),
        ms(kind.latency_corrected.at(0.99)),
        ms(kind.latency_corrected.at(0.999)),
        ms(kind.end.at(0.99)),
        red(style, Cell::new(kind.ended_in_reset), kind.ended_in_reset > 0),
        Cell::new(announced),
    ]
}

/// The width that each title needs to stand on one line, beside a name.
const ROOM: u16 = 96;
const STATUS: &str = "Status";
