//! A reading for a terminal: the counts, a table by server, the verdicts with what to change, the worst
//! connections with their ladders, and what the trace lacks.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, presets};

use super::{NARROWEST, Style, lines};
use crate::quantity::{counted, grouped, size};
use crate::read::Severity;
use crate::read::model::{Counts, Reading, VerdictCount};
use crate::report::reading;
use crate::report::words::plain;

mod connection;

/// How many servers the table has. The others are summed up.
const SERVERS: usize = 20;

pub(in crate::report) fn render(reading: &Reading, colours: bool, width: u16) -> String {
    let style = Style { colours, width: width.max(NARROWEST) };
    let mut parts = vec![style.sentence(&reading::summary(reading))];
    parts.extend(reading::losses(reading).map(|losses| style.sentence(&losses)));
    parts.extend(reading::sources(reading).iter().map(|line| style.sentence(&plain(line))));
    let mut parts = vec![parts.join("\n")];
    if reading.connections > 0 {
        parts.push(servers(&style, reading));
    }
    if !reading.verdicts.is_empty() {
        parts.push(verdicts(&style, &reading.verdicts));
    }
    if !reading.worst.is_empty() {
        let title = match reading.worst.len() {
            1 => "The connection with a verdict:".to_owned(),
            worst => format!("The worst {worst} connections:"),
        };
        parts.push(title);
        parts.extend(reading.worst.iter().map(|worst| connection::render(&style, worst)));
    }
    if !reading.doubts.is_empty() {
        parts.push(doubts(&style, reading));
    }
    if let Some(why) = &reading.interrupted {
        parts.push(style.sentence(&plain(why)));
    }
    parts.join("\n\n") + "\n"
}

/// The line of a connection for `--each`.
pub(in crate::report) fn line(connection: &crate::read::model::ConnectionReport) -> String {
    connection::line(connection)
}

fn number(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn bad(style: &Style, cell: Cell, is_bad: bool) -> Cell {
    if is_bad && style.colours { cell.fg(Color::Red).add_attribute(Attribute::Bold) } else { cell }
}

fn servers(style: &Style, reading: &Reading) -> String {
    let mut table = style.table(presets::UTF8_HORIZONTAL_ONLY);
    let number_title = |title| style.title(title).set_alignment(CellAlignment::Right);
    let [connections, lossy] = ["Connections", "Lossy"].map(number_title);
    table.set_header([style.title("Server"), connections, lossy, style.title("How they ended")]);
    let row = |name: String, counts: &Counts| {
        let lossy = bad(style, number(grouped(counts.lossy)), counts.lossy > 0);
        [Cell::new(name), number(grouped(counts.connections)), lossy, Cell::new(reading::ends(&counts.kinds))]
    };
    for server in reading.servers.iter().take(SERVERS) {
        table.add_row(row(server.server.to_string(), &server.counts));
    }
    if let Some((servers, counts)) = reading::other_servers(reading, SERVERS) {
        table.add_row(row(counted(servers, "other server", "other servers"), &counts));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for column in table.column_iter_mut().take(3) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    lines(&table)
}

fn verdicts(style: &Style, verdicts: &[VerdictCount]) -> String {
    let mut table = style.table(presets::UTF8_HORIZONTAL_ONLY);
    let titles = ["Severity", "What, the worst of them, and what to change"];
    table.set_header(titles.map(|title| style.title(title)));
    for verdict in verdicts {
        let found = format!("{} ({})", grouped(verdict.connections), reading::percent(verdict.share));
        let what = format!(
            "{} ({})\n#{}: {}\nChange: {}",
            verdict.title,
            verdict.clause,
            verdict.example_number,
            plain(&verdict.example),
            verdict.remedy
        );
        table.add_row([severity(style, verdict.severity, &found), Cell::new(what)]);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 1)).set_constraint(ColumnConstraint::ContentWidth);
    }
    lines(&table)
}

/// The severity, and how many connections have the verdict.
fn severity(style: &Style, severity: Severity, found: &str) -> Cell {
    let cell = Cell::new(format!("{}\n{found}", severity.name()));
    match severity {
        _ if !style.colours => cell,
        Severity::LosesResponses => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Severity::BreaksProtocol | Severity::CanBeHeldOpen | Severity::Harsh => cell.fg(Color::Yellow),
        Severity::Harmless => cell.fg(Color::DarkGrey),
    }
}

fn doubts(style: &Style, reading: &Reading) -> String {
    let mut table = style.table(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["Connections", "What the trace lacks of them"].map(|title| style.title(title)));
    for doubt in &reading.doubts {
        table.add_row([number(grouped(doubt.connections)), Cell::new(doubt.meaning)]);
    }
    lines(&table)
}

/// What one side sent, in a few words.
fn bytes(bytes: u64, unacknowledged: u64) -> String {
    match unacknowledged {
        0 => size(bytes),
        lost => format!("{} ({} never acknowledged)", size(bytes), size(lost)),
    }
}
