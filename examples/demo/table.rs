//! The one table.

use comfy_table::{Cell, CellAlignment, Table, presets};

use crate::cases::{Case, Tally};

/// What was tried, and what arrived, bare against layered.
pub(crate) fn render(rows: &[(Case, [Tally; 2])], runs: u32) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header([
        "what the server answers, and to whom",
        "bare:\ncomplete",
        "\nresets",
        "end\nannounced",
        "layered:\ncomplete",
        "\nresets",
        "end\nannounced",
    ]);
    for (case, tallies) in rows {
        let mut row = vec![Cell::new(case)];
        for tally in tallies {
            row.push(number(format!("{}/{runs}", tally.complete)));
            row.push(number(tally.resets.to_string()));
            row.push(number(if case.can_be_announced() {
                format!("{}/{runs}", tally.announced)
            } else {
                "–".into()
            }));
        }
        table.add_row(row);
    }
    table
}

fn number(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}
