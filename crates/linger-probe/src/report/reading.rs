//! A reading in the formats of a report, and the words that they share.

use std::cmp::Reverse;

use super::{junit, text};
use crate::quantity::{counted, grouped, size, span};
use crate::read::Kind;
use crate::read::model::{ConnectionReport, Counts, Reading, Source};
use crate::report::Format;

/// The reading in this format. Its last line ends in a newline.
///
/// `colours` says whether text may hold ANSI escapes; the other formats ignore it. Text is at most `width`
/// columns wide, apart from what cannot be wrapped.
#[must_use]
pub fn render_reading(reading: &Reading, format: Format, colours: bool, width: u16) -> String {
    match format {
        Format::Text => text::read::render(reading, colours, width),
        Format::Summary => summary(reading) + "\n",
        Format::Json => reading.to_json(),
        Format::Junit => junit::read::render(reading),
    }
}

/// The line of a connection: its number, when it began, the addresses, how it ended, and the worst verdict.
#[must_use]
pub fn connection_line(connection: &ConnectionReport) -> String {
    text::read::line(connection)
}

/// How many connections there were, and how they ended, the most frequent kind first.
#[must_use]
pub fn summary(reading: &Reading) -> String {
    let filtered = if reading.filters.is_empty() { "" } else { " that match" };
    let connections = counted(reading.connections, "connection", "connections");
    let spans = match reading.span {
        Some(time) => format!(" in {}", span(time.to.0.saturating_sub(time.from.0))),
        None => return format!("No connections{filtered}."),
    };
    let mut kinds: Vec<_> = reading.kinds.iter().filter(|count| count.connections > 0).collect();
    kinds.sort_by_key(|count| Reverse(count.connections));
    let kind = |share: f64, kind: Kind| format!("{} {}", percent(share), kind.title());
    let kinds: Vec<String> = kinds.iter().map(|count| kind(count.share, count.kind)).collect();
    format!("{connections}{filtered}{spans}: {}.", kinds.join(", "))
}

/// How connections ended, by their numbers in the order of [`Kind::ALL`]: the most frequent first.
pub(super) fn ends(kinds: &[u64; Kind::ALL.len()]) -> String {
    let mut found: Vec<(Kind, u64)> =
        Kind::ALL.into_iter().zip(*kinds).filter(|(_, count)| *count > 0).collect();
    found.sort_by_key(|(_, count)| Reverse(*count));
    let one = |(kind, count): &(Kind, u64)| format!("{} {}", grouped(*count), kind.title());
    found.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A share as a percentage, with a decimal: `97.1 %`. What is not all or nothing does not look like it.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        none if none <= 0.0 => "0 %".to_owned(),
        all if all >= 100.0 => "100 %".to_owned(),
        some if some < 0.1 => "<0.1 %".to_owned(),
        some if some > 99.9 => ">99.9 %".to_owned(),
        some => format!("{some:.1} %"),
    }
}

/// What was lost, in a sentence. `None` if nothing was.
pub(super) fn losses(reading: &Reading) -> Option<String> {
    let losses = &reading.losses;
    let mut parts = Vec::new();
    let mut say = |number: u64, what: String| {
        if number > 0 {
            parts.push(what);
        }
    };
    say(
        losses.response_bytes,
        format!("{} of responses were never acknowledged", size(losses.response_bytes)),
    );
    say(losses.request_bytes, format!("{} of requests were never acknowledged", size(losses.request_bytes)));
    let late = losses.bytes_after_close;
    say(late, format!("{} came after the server had released its socket", size(late)));
    let unanswered =
        counted(losses.unanswered, "connection's last request has", "connections' last requests have");
    say(losses.unanswered, format!("{unanswered} no answer"));
    let number = losses.without_close_notify;
    say(
        number,
        format!("{} without the server's close_notify", counted(number, "TLS session", "TLS sessions")),
    );
    let number = losses.cut_in_record;
    say(number, format!("{} within a TLS record", counted(number, "stream ended", "streams ended")));
    if losses.connections == 0 && parts.is_empty() {
        return None;
    }
    let connections = match losses.connections {
        0 => "No connection lost a response".to_owned(),
        number => {
            format!("{} a response, or got none", counted(number, "connection lost", "connections lost"))
        }
    };
    let details = if parts.is_empty() { String::new() } else { format!(": {}", parts.join("; ")) };
    Some(format!("{connections}{details}."))
}

/// A line for each source: what was read of it, and what was not.
pub(super) fn sources(reading: &Reading) -> Vec<String> {
    let mut lines: Vec<String> = reading.sources.iter().map(source).collect();
    if !reading.filters.is_empty() {
        lines.push(format!("Only connections that match {}.", reading.filters.join(" and ")));
    }
    lines
}

fn source(source: &Source) -> String {
    let name = if source.name == "-" { "standard input" } else { &source.name };
    let mut parts =
        vec![format!("{} of TCP in {}", counted(source.packets, "packet", "packets"), size(source.bytes))];
    let mut say = |number: u64, what: &str| {
        if number > 0 {
            parts.push(format!("{} {what}", grouped(number)));
        }
    };
    say(source.others, "of other protocols");
    say(source.fragments, "fragments, which are not followed");
    say(source.damaged, "that cannot be read");
    say(source.unknown, "of an unknown link type");
    say(source.dropped, "that the capture dropped");
    parts.extend(source.trouble.clone());
    format!("{name}: {}.", parts.join("; "))
}

/// The servers after the first `shown`, summed up: how many, and their counts.
pub(super) fn other_servers(reading: &Reading, shown: usize) -> Option<(u64, Counts)> {
    let mut sum = reading.others.clone().map(|others| (others.servers, others.counts));
    for server in reading.servers.iter().skip(shown) {
        let (servers, counts) = sum.get_or_insert_default();
        *servers += 1;
        counts.add(&server.counts);
    }
    sum
}
