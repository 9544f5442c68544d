//! The table of a restart: a sentence for each kind of client, and one for what followed.

use comfy_table::{Attribute, Cell, Color, presets};

use super::{Style, lines};
use crate::model::restart::RestartReport;
use crate::report::restart;
use crate::report::words::plain;

pub(super) fn render(style: &Style, restarts: &[RestartReport]) -> String {
    let parts = restarts.iter().map(|restart| one(style, restart));
    parts.collect::<Vec<_>>().join("\n\n")
}

fn one(style: &Style, restart: &RestartReport) -> String {
    let mut table = style.table(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["", "Clients", "What became of them"].map(|title| style.title(title)));
    for kind in &restart.kinds {
        let verdict = match Cell::new(restart::verdict(kind)) {
            cell if !style.colours => cell,
            cell if kind.skipped.is_some() => cell.fg(Color::DarkGrey),
            cell if kind.lost > 0 => cell.fg(Color::Red).add_attribute(Attribute::Bold),
            cell => cell.fg(Color::Green),
        };
        let sentence = plain(&restart::sentence(kind));
        table.add_row([verdict, Cell::new(restart::name(kind.kind)), Cell::new(sentence)]);
    }
    let mut after = style.table(presets::NOTHING);
    after.add_row([plain(&restart::aftermath(restart))]);
    let heading = format!("{}: {}", plain(&restart.url), plain(&restart.ended_by));
    format!("{heading}\n{}\n{}", lines(&table), lines(&after))
}
