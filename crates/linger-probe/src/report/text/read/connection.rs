//! One connection of a reading: a line, or all facts with a ladder.

use super::{Style, bytes};
use crate::model::{Event, Side, What};
use crate::quantity::{counted, span};
use crate::read::Severity;
use crate::read::model::ConnectionReport;
use crate::report::words::{self, plain};

/// How many events of a ladder are shown. The middle of a longer one is left out.
const EVENTS: usize = 18;
/// The columns between the two sides.
const BETWEEN: usize = 36;

/// Its number, when it began, the addresses, how it ended, and the worst verdict.
pub(super) fn line(connection: &ConnectionReport) -> String {
    let verdict = match connection.verdicts.as_slice() {
        [] => String::new(),
        [worst, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            format!("; {}: {}{more}", worst.severity.name(), plain(&worst.reason))
        }
    };
    format!(
        "#{} {} {} > {} {}{verdict}",
        connection.number,
        connection.first,
        connection.client,
        connection.server,
        connection.kind.title()
    )
}

pub(super) fn render(style: &Style, connection: &ConnectionReport) -> String {
    let severity = connection.severity.map_or("no verdict", Severity::name);
    let mut parts = vec![
        style.sentence(&format!(
            "#{}  {} → {}, {} ({severity})",
            connection.number,
            connection.client,
            connection.server,
            connection.kind.title()
        )),
        style.sentence(&plain(&facts(connection))),
    ];
    for verdict in &connection.verdicts {
        parts.push(style.sentence(&format!("! {} ({})", plain(&verdict.reason), verdict.clause)));
    }
    for doubt in &connection.doubts {
        parts.push(style.sentence(&format!("? {}", plain(&doubt.what))));
    }
    if connection.roles == "guess" {
        parts.push(style.sentence("? which side is the server is a guess: --server-port tells it"));
    }
    parts.extend(ladder(&connection.ladder));
    parts.join("\n")
}

fn facts(connection: &ConnectionReport) -> String {
    let (client, server) = (&connection.client_sent, &connection.server_sent);
    let mut parts = vec![
        format!("began {}", connection.first),
        format!("lasted {}", span(connection.lasted)),
        counted(connection.packets, "packet", "packets"),
        format!("client sent {}", bytes(client.bytes, client.unacknowledged)),
        format!("server sent {}", bytes(server.bytes, server.unacknowledged)),
    ];
    parts.extend(connection.last_status.map(|status| format!("last status {status}")));
    if let Some(tls) = &connection.tls {
        let version = tls.version.as_deref().unwrap_or("TLS");
        let name = tls.server_name.as_ref().map(|name| format!(" to {name}")).unwrap_or_default();
        parts.push(format!("{version}{name}"));
    }
    let again = client.retransmissions + server.retransmissions;
    if again > 0 {
        parts.push(counted(again, "retransmission", "retransmissions"));
    }
    parts.join(", ")
}

/// A line for each event: the time, and an arrow between the two sides.
fn ladder(events: &[Event]) -> Vec<String> {
    let line = |event: &Event| format!("{:>11}  {}", words::milliseconds(event.at), arrow(event));
    let mut found = vec![format!("{:>11}  client{:>width$}", "", "server", width = BETWEEN - 4)];
    if events.is_empty() {
        return Vec::new();
    }
    if events.len() <= EVENTS {
        found.extend(events.iter().map(line));
    } else {
        let (first, last) = (&events[..EVENTS / 2], &events[events.len() - EVENTS / 2..]);
        found.extend(first.iter().map(line));
        found.push(format!("{:>11}  … {} more …", "", events.len() - EVENTS));
        found.extend(last.iter().map(line));
    }
    found
}

fn arrow(event: &Event) -> String {
    let label = plain(&words::event(event));
    let label: String = label.chars().take(BETWEEN - 6).collect();
    let dashes = BETWEEN - 3 - label.chars().count();
    let (left, right) = ("─".repeat(dashes / 2), "─".repeat(dashes - dashes / 2));
    let is_gone = matches!(event.what, What::Reset | What::Icmp(_));
    match (event.side, is_gone) {
        (Side::Client, false) => format!("│{left} {label} {right}▶│"),
        (Side::Client, true) => format!("│{left} {label} {right}✕│"),
        (Side::Server, false) => format!("│◀{left} {label} {right}│"),
        (Side::Server, true) => format!("│✕{left} {label} {right}│"),
    }
}
