//! The sums of a reading: what was lost, which verdicts there are, and the servers.

use maud::{Markup, html};

use super::connection;
use super::kinds::share;
use super::severity;
use super::timeline::cell;
use crate::quantity::{counted, grouped, size};
use crate::read::Kind;
use crate::read::model::{Counts, Losses, Reading, VerdictCount};

/// What was lost, as cards.
pub(super) fn losses(losses: &Losses) -> Markup {
    let number = |count: u64| (count > 0).then(|| grouped(count));
    let bytes = |count: u64| (count > 0).then(|| size(count));
    let cards = [
        (number(losses.connections), "connections lost a response, or never got one"),
        (bytes(losses.response_bytes), "of responses were sent and never acknowledged"),
        (bytes(losses.request_bytes), "of requests were sent and never acknowledged"),
        (bytes(losses.bytes_after_close), "came from clients after the server had released its socket"),
        (number(losses.unanswered), "connections whose last request has no answer"),
        (number(losses.without_close_notify), "connections whose server ended TLS without close_notify"),
        (number(losses.cut_in_record), "connections that were cut within a TLS record"),
    ];
    html! {
        section aria-labelledby="losses" {
            h2 #losses { "What it cost" }
            @if cards.iter().all(|(value, _)| value.is_none()) {
                p { "Nothing that the trace shows: every byte that was sent was acknowledged." }
            }
            ul.cards {
                @for (value, what) in cards {
                    @if let Some(value) = value { li.card { span.value { (value) } span.what { (what) } } }
                }
            }
        }
    }
}

/// Each verdict with its count, and what to change. `is_shown` tells which connections have details.
pub(super) fn verdicts(reading: &Reading, is_shown: impl Fn(u64) -> bool) -> Markup {
    html! {
        section aria-labelledby="verdicts" {
            h2 #verdicts { "What deserves a word" }
            @if reading.verdicts.is_empty() { p { "Nothing: no connection has a verdict." } }
            @for verdict in &reading.verdicts { (verdict_card(verdict, &is_shown)) }
        }
    }
}

/// Folded, unless somebody lost something.
fn verdict_card(verdict: &VerdictCount, is_shown: &impl Fn(u64) -> bool) -> Markup {
    let loses = severity::loses(verdict.severity);
    let class = if loses { "scenario fail" } else { "scenario" };
    let number = verdict.example_number;
    html! {
        details class=(class) open[loses] {
            summary {
                (severity::tag(verdict.severity))
                span.title { (verdict.title) }
                span.tries {
                    (counted(verdict.connections, "connection", "connections")) " (" (share(verdict.share)) ")"
                }
            }
            div.body {
                p.reason {
                    @if verdict.connections == 1 { "Connection " } @else { "The worst of them, connection " }
                    @if is_shown(number) {
                        a href={ "#" (connection::id(number)) } { (number) }
                    } @else {
                        (number)
                    }
                    ": " (verdict.example) "."
                }
                p { strong { "What to change: " } (verdict.remedy) }
                p.under { (verdict.clause) }
            }
        }
    }
}

/// A row for each server, with its connections by kind.
pub(super) fn servers(reading: &Reading, kinds: &[Kind]) -> Markup {
    html! {
        section aria-labelledby="servers" {
            h2 #servers { "By server" }
            div.scroll.tall role="region" tabindex="0" aria-label="Connections by server and kind" {
                table.narrow.matrix {
                    thead {
                        tr {
                            th scope="col" { "Server" }
                            th.number scope="col" { "Connections" }
                            th.number scope="col" { "Lost something" }
                            th.number scope="col" { "Response lost" }
                            @for kind in kinds {
                                th.number scope="col" data-series=(kind.key()) { (kind.short()) }
                            }
                        }
                    }
                    tbody {
                        @for row in &reading.servers {
                            (server(&row.server.to_string(), &row.counts, kinds))
                        }
                        @if let Some(others) = &reading.others {
                            (server(
                                &counted(others.servers, "other server", "other servers"), &others.counts, kinds,
                            ))
                        }
                    }
                }
            }
        }
    }
}

fn server(name: &str, counts: &Counts, kinds: &[Kind]) -> Markup {
    let has: Vec<&str> =
        kinds.iter().filter(|kind| counts.kinds[kind.index()] > 0).map(|kind| kind.key()).collect();
    html! {
        tr data-kinds=(has.join(" ")) {
            th scope="row" { (name) }
            td.number { (grouped(counts.connections)) }
            td.number {
                @if counts.lossy > 0 { span.verdict.fail { (grouped(counts.lossy)) } } @else { "0" }
            }
            td.number {
                @if counts.response_bytes_lost > 0 { (size(counts.response_bytes_lost)) } @else { "–" }
            }
            @for kind in kinds { (cell(*kind, counts.kinds[kind.index()])) }
        }
    }
}
