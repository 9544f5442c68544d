//! The page of a trace: how its connections ended, and why. It needs no network, no script and no other file.

use std::collections::BTreeSet;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::DRAWING;
use crate::quantity::{counted, span};
use crate::read::model::{Examples, KindCount, Reading};
use crate::read::{Kind, Severity};
use crate::shown::escaped_lines;

mod axis;
mod connection;
mod facts;
mod kinds;
mod lacks;
mod severity;
mod sums;
mod timeline;

/// The page of what was read in a trace.
#[must_use]
pub fn reading_page(reading: &Reading) -> String {
    let title = title(reading);
    let counts: Vec<KindCount> =
        reading.kinds.iter().copied().filter(|count| count.connections > 0).collect();
    let kinds: Vec<Kind> = counts.iter().map(|count| count.kind).collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Without this, a browser asks the server for an icon.
                link rel="icon" href="data:,";
                title { (title) }
                style {
                    (PreEscaped(DRAWING)) (PreEscaped(include_str!("style.css")))
                    (PreEscaped(include_str!("read.css"))) (kinds::rules(&counts))
                }
            }
            body {
                (timeline::textures(&kinds))
                header {
                    h1 { (title) }
                    p.lead { (lead(reading, &counts)) }
                    p.under { (from(reading)) }
                    @if let Some(why) = &reading.interrupted { p.interrupted { (why) } }
                }
                main {
                    @if reading.connections > 0 { (sections(reading, &counts, &kinds)) } (lacks::section(reading))
                }
                footer { p { "Made by linger-probe " (reading.version) "." } }
            }
        }
    };
    escaped_lines(&page.into_string())
}

fn sections(reading: &Reading, counts: &[KindCount], kinds: &[Kind]) -> Markup {
    let shown: BTreeSet<u64> = reading
        .worst
        .iter()
        .chain(reading.examples.iter().flat_map(|examples| &examples.connections))
        .map(|connection| connection.number)
        .collect();
    html! {
        section aria-labelledby="kinds" {
            h2 #kinds { "How they ended" }
            (kinds::bar(counts))
            (kinds::choice(counts))
        }
        (timeline::section(&reading.timeline, kinds))
        (sums::losses(&reading.losses))
        (sums::verdicts(reading, |number| shown.contains(&number)))
        (sums::servers(reading, kinds))
        @if !reading.worst.is_empty() {
            section aria-labelledby="worst" {
                h2 #worst { "The worst connections" }
                (kinds::only(counts))
                @for (index, worst) in reading.worst.iter().enumerate() {
                    (connection::details(worst, index == 0))
                }
            }
        }
        (examples(reading, counts))
        (lacks::reading(kinds))
    }
}

/// A few connections of each kind. Those that stand above are named only.
fn examples(reading: &Reading, counts: &[KindCount]) -> Markup {
    let worst: BTreeSet<u64> = reading.worst.iter().map(|connection| connection.number).collect();
    let of_kind = |examples: &Examples| {
        let (above, own): (Vec<_>, Vec<_>) =
            examples.connections.iter().partition(|connection| worst.contains(&connection.number));
        html! {
            div data-kinds=(examples.kind.key()) {
                h3.above { (kinds::swatch(examples.kind)) " " (capital(examples.kind.title())) }
                @if !above.is_empty() {
                    p.under {
                        "Above: connection "
                        @for (index, connection) in above.iter().enumerate() {
                            @if index > 0 { ", " }
                            a href={ "#" (connection::id(connection.number)) } { (connection.number) }
                        }
                    }
                }
                @for connection in own { (connection::details(connection, false)) }
            }
        }
    };
    html! {
        section aria-labelledby="examples" {
            h2 #examples { "Examples of each kind" }
            (kinds::only(counts))
            @for examples in &reading.examples { (of_kind(examples)) }
        }
    }
}

fn title(reading: &Reading) -> String {
    match reading.connections {
        0 => "No connection was found".to_owned(),
        1 => "How a connection ended".to_owned(),
        many => format!("How {} ended", counted(many, "connection", "connections")),
    }
}

/// The result in two sentences.
fn lead(reading: &Reading, counts: &[KindCount]) -> String {
    /// How many kinds are named.
    const NAMED: usize = 5;
    if counts.is_empty() {
        return "What was read has no TCP connection that counts.".to_owned();
    }
    let mut counts = counts.to_vec();
    counts.sort_by_key(|count| std::cmp::Reverse(count.connections));
    // A single one is named instead of counted.
    let named = if counts.len() == NAMED + 1 { counts.len() } else { counts.len().min(NAMED) };
    let rest = counts.split_off(named);
    let part = |count: &KindCount| format!("{} {}", kinds::share(count.share), count.kind.title());
    let mut parts: Vec<String> = counts.iter().map(part).collect();
    if !rest.is_empty() {
        let sum = rest.iter().map(|count| count.share).sum();
        parts.push(format!("{} in {} other ways", kinds::share(sum), rest.len()));
    }
    let lost = match reading.at_least(Severity::LosesResponses) {
        0 => "No connection lost a response, as far as the trace shows.".to_owned(),
        lost => format!("{} lost a response, or never got one.", counted(lost, "connection", "connections")),
    };
    format!("{}. {lost}", parts.join(", "))
}

/// What was read, and the time that it spans.
fn from(reading: &Reading) -> String {
    /// How many files are named. All of them stand in the table below.
    const NAMED: usize = 3;
    let mut names: Vec<String> =
        reading.sources.iter().take(NAMED).map(|source| lacks::name(source).to_owned()).collect();
    if reading.sources.len() > NAMED {
        names.push(format!("{} more", reading.sources.len() - NAMED));
    }
    let packets = counted(reading.packets, "packet", "packets");
    match reading.span {
        None => names.join(", "),
        Some(times) => format!(
            "{} · {packets} · {} to {} UTC ({})",
            names.join(", "),
            axis::utc(times.from.0),
            axis::utc(times.to.0),
            span(times.to.0.saturating_sub(times.from.0)),
        ),
    }
}

/// The text with a capital at its begin.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + chars.as_str()
}

/// The text with a capital at its begin and a full stop at its end.
fn sentence(text: &str) -> String {
    let stop = if text.ends_with('.') { "" } else { "." };
    capital(text) + stop
}
