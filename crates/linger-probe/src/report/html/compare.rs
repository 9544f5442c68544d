//! Shows the verdicts of several targets side by side.

use maud::{Markup, html};

use super::{class, scenario_id, section_id};
use crate::model::{Row, TargetReport, Verdict};
use crate::report::rows::{row, scenarios};
use crate::report::words;

pub(super) fn matrix(targets: &[TargetReport]) -> Markup {
    let scenarios = scenarios(targets);
    let different = scenarios.iter().filter(|(scenario, _)| differs(targets, scenario)).count();
    html! {
        section aria-labelledby="comparison" {
            h2 #comparison { "Comparison" }
            p { (sentence(different, scenarios.len())) }
            div.scroll role="region" tabindex="0" aria-label="Verdicts of each scenario and server" {
                table.matrix {
                    thead {
                        tr {
                            th scope="col" { "Scenario" }
                            @for (index, target) in targets.iter().enumerate() {
                                th scope="col" { a href={ "#" (section_id(index)) } { (target.name) } }
                            }
                        }
                    }
                    tbody {
                        @for (scenario, title) in &scenarios {
                            tr {
                                th scope="row" {
                                    (title)
                                    @if differs(targets, scenario) { " " span.tag { "differs" } }
                                }
                                @for (index, target) in targets.iter().enumerate() {
                                    td { (cell(row(target, scenario), &scenario_id(index, scenario))) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(row: Option<&Row>, id: &str) -> Markup {
    html! {
        @match row {
            Some(row) => {
                a.cell href={ "#" (id) } {
                    span.verdict.(class(row.verdict)) { (words::verdict(row.verdict)) }
                    @if let Some(tries) = words::tries(row) { " " span.tries { (tries) } }
                }
            }
            None => "not tried",
        }
    }
}

/// Whether one target passes and another fails. Rows that do not apply make no difference.
fn differs(targets: &[TargetReport], scenario: &str) -> bool {
    let has =
        |verdict| targets.iter().filter_map(|target| row(target, scenario)).any(|row| row.verdict == verdict);
    has(Verdict::Pass) && has(Verdict::Fail)
}

fn sentence(different: usize, all: usize) -> String {
    match different {
        0 => "The servers agree wherever more than one could be tried.".to_owned(),
        _ => format!("The servers differ on {different} of {all} scenarios: one passes, another fails."),
    }
}
