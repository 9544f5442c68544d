//! Shows one scenario against one server, folded unless it failed: the reason, the severity, what to change,
//! who sent what when, and each try.

use maud::{Markup, html};

use super::{class, histogram, ladder};
use crate::model::{Attempt, Row, TargetReport, Verdict};
use crate::remedy::Remedy;
use crate::report::words;

/// The folded details, which are open if the row failed.
///
/// The id is on an element inside: a browser opens the details only if it jumps to something in them.
pub(super) fn details(target: &TargetReport, row: &Row, id: &str) -> Markup {
    let failed = row.verdict == Verdict::Fail;
    let remedies = target.remedies.iter().filter(|remedy| remedy.rows.contains(&row.scenario));
    let remedies: Vec<&Remedy> = remedies.filter(|_| failed).collect();
    html! {
        details.scenario.(class(row.verdict)) open[failed] {
            summary {
                span.verdict.(class(row.verdict)) { (words::verdict(row.verdict)) }
                @if failed { span.tag.severity { (words::severity(row.severity)) } }
                span.title { (row.title) }
                @if let Some(tries) = words::tries(row) { span.tries { (tries) " tries passed" } }
            }
            div.body id=(id) {
                @if !row.reason.is_empty() { p.reason { (row.reason) } }
                p.under { (row.clause) " · " code { (row.scenario) } }
                @if !row.ladder.is_empty() || !remedies.is_empty() {
                    div.evidence {
                        @if !row.ladder.is_empty() { (ladder::figure(row, id, target.ladders)) }
                        div.beside {
                            @for remedy in remedies { (change(remedy)) }
                            (histogram::figures(row, id))
                        }
                    }
                }
                @if !row.attempts.is_empty() { div.numbers { (tries(row)) } }
            }
        }
    }
}

fn change(remedy: &Remedy) -> Markup {
    html! {
        div.remedy {
            h3 { "What to change in " (remedy.server) }
            p { (remedy.change) }
            p.under { (remedy.documentation) }
        }
    }
}

fn tries(row: &Row) -> Markup {
    let label = format!("Tries of: {}", row.title);
    html! {
        h3 { "Tries" }
        div.scroll.tall role="region" tabindex="0" aria-label=(label) {
            table.tries {
                thead {
                    tr {
                        @for title in ["Try", "What was seen"] { th scope="col" { (title) } }
                        @for title in ["Status", "Body"] { th.number scope="col" { (title) } }
                        @for title in ["Whole", "Ended by", "Announced"] { th scope="col" { (title) } }
                        @for title in ["Latency", "Release"] { th.number scope="col" { (title) } }
                    }
                }
                tbody {
                    @for (index, attempt) in row.attempts.iter().enumerate() { (one_try(index, attempt)) }
                }
            }
        }
    }
}

fn one_try(index: usize, attempt: &Attempt) -> Markup {
    let verdict = if attempt.passed { Verdict::Pass } else { Verdict::Fail };
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    let none = || "–".to_owned();
    html! {
        tr {
            td.index { (index + 1) " " span.verdict.(class(verdict)) { (words::verdict(verdict)) } }
            td.saw { (attempt.saw) }
            td.number { (attempt.status.map_or_else(none, |status| status.to_string())) }
            td.number { (words::size(attempt.body_bytes)) }
            td { (yes_no(attempt.complete)) }
            td { (words::ending(&attempt.end)) }
            td { (attempt.announced.map_or("–", yes_no)) }
            td.number { (attempt.latency.map_or_else(none, words::milliseconds)) }
            td.number { (attempt.release.map_or_else(none, words::milliseconds)) }
        }
    }
}
