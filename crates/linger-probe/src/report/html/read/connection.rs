//! Shows one connection, folded: what it was, what is said about it, who sent what, and all its numbers.

use maud::{Markup, html};

use super::super::ladder::{self, Source};
use super::facts::facts;
use super::kinds::swatch;
use super::severity;
use crate::quantity::span;
use crate::read::model::ConnectionReport;
use crate::read::{Kind, Verdict};

/// The folded details. The id is on an element inside: a browser opens the details only if it jumps to
/// something in them.
pub(super) fn details(connection: &ConnectionReport, open: bool) -> Markup {
    let id = id(connection.number);
    let is_bad = connection.severity.is_some_and(severity::loses);
    let class = if is_bad { "scenario connection fail" } else { "scenario connection" };
    html! {
        details class=(class) data-kinds=(connection.kind.key()) open[open] {
            summary {
                (swatch(connection.kind))
                span.pair { (connection.client) " → " (connection.server) }
                @if let Some(worst) = connection.severity { (severity::tag(worst)) }
                span.said { (said(connection)) }
            }
            div.body id=(id) {
                @if connection.verdicts.is_empty() {
                    p.reason { (connection.kind.meaning()) }
                } @else {
                    ul.findings { @for verdict in &connection.verdicts { (finding(verdict)) } }
                }
                (signs(connection))
                div.evidence {
                    @if !connection.ladder.is_empty() {
                        (ladder::of(&connection.ladder, &title(connection), &id, Source::Trace))
                    }
                    div.beside {
                        (facts(connection))
                        (doubts(connection))
                    }
                }
            }
        }
    }
}

/// The id of a connection's details.
pub(super) fn id(number: u64) -> String {
    format!("connection-{number}")
}

fn title(connection: &ConnectionReport) -> String {
    format!("connection {} of {} to {}", connection.number, connection.client, connection.server)
}

/// What the folded details say: the worst verdict, or else the kind.
fn said(connection: &ConnectionReport) -> String {
    let lasted = span(connection.lasted);
    match connection.verdicts.first() {
        Some(verdict) => format!("Connection {}, {lasted}: {}", connection.number, verdict.reason),
        None => format!("Connection {}, {lasted}: {}", connection.number, connection.kind.title()),
    }
}

fn finding(verdict: &Verdict) -> Markup {
    html! {
        li {
            p.reason { (super::sentence(&verdict.reason)) }
            p.under { (severity::tag(verdict.severity)) " · " (verdict.clause) }
            p { strong { "What to change: " } (verdict.remedy) }
        }
    }
}

fn signs(connection: &ConnectionReport) -> Markup {
    let signs = &connection.end.signs;
    html! {
        @if !signs.is_empty() {
            h3 { "Signs of a middlebox, which are no proof" }
            ul.doubts { @for sign in signs { li { (super::sentence(sign)) } } }
            @if connection.kind != Kind::Middlebox {
                p.under { "They are too weak to call it more than what it looks like." }
            }
        }
    }
}

fn doubts(connection: &ConnectionReport) -> Markup {
    html! {
        @if !connection.doubts.is_empty() {
            div {
                h3 { "What is not known" }
                ul.doubts { @for doubt in &connection.doubts { li { (super::sentence(&doubt.what)) } } }
            }
        }
    }
}
