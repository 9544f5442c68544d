//! A load's table, and a sentence for each server.

use std::time::Duration;

use comfy_table::{Attribute, Cell, CellAlignment, Color, presets};

use super::{Style, lines};
use crate::model::load::{KindReport, LoadReport};
use crate::report::words::{self, plain};

pub(super) fn render(style: &Style, loads: &[LoadReport]) -> String {
    let mut table = style.table(presets::UTF8_HORIZONTAL_ONLY);
    let titles = ["Whole", "Lost", "Resets", "Notify", "p50 ms", "p99 ms", "p99.9", "End p99"];
    let numbers = titles.map(|title| style.title(title).set_alignment(CellAlignment::Right));
    table.set_header([style.title("Server"), style.title("Request")].into_iter().chain(numbers));
    for load in loads {
        for (index, kind) in load.kinds.iter().enumerate() {
            let name = if index == 0 { plain(&load.name) } else { String::new() };
            let mut row = vec![Cell::new(name), Cell::new(kind.kind)];
            row.extend(cells(style, kind));
            table.add_row(row);
        }
    }
    let mut sentences = style.table(presets::NOTHING);
    for load in loads {
        sentences.add_row([plain(&load.name), plain(&words::load(load))]);
    }
    format!("{}\n{}", lines(&table), lines(&sentences))
}

fn cells(style: &Style, kind: &KindReport) -> [Cell; 8] {
    let lost = kind.requests - kind.complete;
    let bad = |number: u64| match Cell::new(number) {
        cell if number > 0 && style.colours => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        cell => cell,
    };
    let none = || "–".to_owned();
    let ms =
        |time: Option<Duration>| time.map_or_else(none, |time| format!("{:.2}", time.as_secs_f64() * 1e3));
    let announced = match kind.announced {
        Some(announced) if kind.ended > 0 => format!("{} %", announced * 100 / kind.ended),
        _ => none(),
    };
    let cells = [
        Cell::new(kind.complete),
        bad(lost),
        bad(kind.ended_in_reset),
        Cell::new(announced),
        Cell::new(ms(kind.latency.at(0.5))),
        Cell::new(ms(kind.latency.at(0.99))),
        Cell::new(ms(kind.latency.at(0.999))),
        Cell::new(ms(kind.end.at(0.99))),
    ];
    cells.map(|cell| cell.set_alignment(CellAlignment::Right))
}
