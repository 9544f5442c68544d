//! The report as one HTML page that needs no network, no script and no other file.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::rows::worst_first;
use super::words;
use crate::model::load::LoadReport;
use crate::model::{Gap, Ladders, Report, Severity, TargetReport, Verdict};
use crate::shown::escaped_lines;

mod compare;
mod gate;
mod histogram;
mod ladder;
mod load;
mod picture;
mod read;
mod restart;
mod scenario;

pub use picture::picture;
pub use read::reading_page;

/// The colours, and how a ladder is drawn.
const DRAWING: &str = include_str!("html/drawing.css");

/// The whole page.
#[must_use]
pub fn page(report: &Report) -> String {
    let title = title(report);
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
                style { (PreEscaped(DRAWING)) (PreEscaped(include_str!("html/style.css"))) }
            }
            body {
                header {
                    h1 { (title) }
                    p.lead { (lead(report)) }
                    @if let Some(why) = &report.interrupted { p.interrupted { (why) } }
                }
                main {
                    @if !report.targets.is_empty() { (summary(report)) }
                    @if report.targets.len() > 1 { (compare::matrix(&report.targets)) }
                    @if !report.gaps.is_empty() { (gaps(&report.gaps)) }
                    @if let Some(gate) = &report.gate { (gate::section(gate)) }
                    @if !report.load.is_empty() { (load::section(&report.load)) }
                    (restart::section(&report.restarts))
                    @for (index, target) in report.targets.iter().enumerate() {
                        (section(target, index))
                    }
                    @if !report.targets.is_empty() { (reading(&report.targets)) }
                }
                footer { p { "Made by linger-probe " (report.version) "." } }
            }
        }
    };
    escaped_lines(&page.into_string())
}

fn title(report: &Report) -> String {
    match report.targets.as_slice() {
        [] => match report.load.as_slice() {
            [] => match report.restarts.as_slice() {
                [] => "No server was judged".to_owned(),
                [restart, ..] => format!("A restart of {}", restart.name),
            },
            [load] => format!("{} under load", load.name),
            several => format!("{} servers under load", several.len()),
        },
        [target] => format!("How {} ends its connections", target.name),
        several => format!("How {} servers end their connections", several.len()),
    }
}

/// The result in one or two sentences.
fn lead(report: &Report) -> String {
    let failures: usize = report.targets.iter().map(|target| target.count(Verdict::Fail)).sum();
    let judged: usize = report.targets.iter().map(|target| target.rows.len()).sum();
    let lost: u64 = report.load.iter().map(LoadReport::lost).sum();
    let asked: u64 = report.load.iter().map(LoadReport::requests).sum();
    let loaded = match (asked, lost) {
        (0, _) => String::new(),
        (_, 0) => format!("All {asked} responses arrived whole under load."),
        _ => format!("{lost} of {asked} responses did not arrive whole under load."),
    };
    let checked = match failures {
        _ if report.targets.is_empty() => String::new(),
        0 => format!("No failure in {judged} judgements."),
        _ => format!("{failures} of {judged} judgements are failures. Each is explained below."),
    };
    [checked, loaded].join(" ").trim().to_owned()
}

fn summary(report: &Report) -> Markup {
    html! {
        section aria-labelledby="summary" {
            h2 #summary { "Summary" }
            ul.cards {
                @for (index, target) in report.targets.iter().enumerate() {
                    li.card {
                        a.name href={ "#" (section_id(index)) } { (target.name) }
                        @if target.url != target.name { span.url { (target.url) } }
                        (bar(target))
                        p.counts { (words::counts(target)) }
                    }
                }
            }
        }
    }
}

/// A bar whose parts are as long as the counts. The same numbers stand below it in words.
fn bar(target: &TargetReport) -> Markup {
    html! {
        div.bar role="img" aria-label=(words::counts(target)) {
            @for verdict in [Verdict::Pass, Verdict::PassOnLinux, Verdict::Fail, Verdict::NotApplicable] {
                @let count = target.count(verdict);
                @if count > 0 {
                    span class=(class(verdict)) style={ "flex-grow:" (count) } {}
                }
            }
        }
    }
}

/// The servers that could not be judged.
fn gaps(gaps: &[Gap]) -> Markup {
    html! {
        section aria-labelledby="gaps" {
            h2 #gaps { "Not judged" }
            ul { @for gap in gaps { li { strong { (gap.name) } ": " (gap.why) } } }
        }
    }
}

fn section(target: &TargetReport, index: usize) -> Markup {
    let id = section_id(index);
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (target.name) }
            p.under {
                span.url { (target.url) }
                @if let Some(server) = &target.server { " · " (server) }
                " · " (words::counts(target))
            }
            @for row in worst_first(target) {
                (scenario::details(target, row, &scenario_id(index, row.scenario)))
            }
        }
    }
}

/// How to read the page.
fn reading(targets: &[TargetReport]) -> Markup {
    let seen = |ladders| match ladders {
        Ladders::SocketEvents => {
            "The ladders are made from socket events: what the probe's own socket wrote and read, in that \
             order. What the server sent stands at the time when the probe read it."
        }
        Ladders::Packets => {
            "The ladders are made from packets: what each side sent stands at the time when it left."
        }
    };
    let mut kinds: Vec<Ladders> = targets.iter().map(|target| target.ladders).collect();
    kinds.dedup();
    html! {
        section aria-labelledby="reading" {
            h2 #reading { "How to read this page" }
            dl.legend {
                @for (verdict, meaning) in VERDICTS {
                    dt { span.verdict.(class(verdict)) { (words::verdict(verdict)) } }
                    dd { (meaning) }
                }
                @for (severity, meaning) in SEVERITIES {
                    dt { span.tag.severity { (words::severity(severity)) } }
                    dd { (meaning) }
                }
            }
            @for kind in kinds { p { (seen(kind)) } }
            p {
                "Time runs downwards, in milliseconds since the connection began. Each arrow goes from the \
                 side that sent it to the other. A wait of more than " (words::milliseconds(ladder::LONG))
                " is cut short, with a break in both lines. A cross is a reset (RST) or a write that failed; \
                 a square is a socket's release, and from there on its line is dotted."
            }
            p {
                "In the tables, a connection's end is announced if the server sent a close_notify or a fatal \
                 alert before it; plain TCP has neither. Latency is from the first byte sent to the \
                 response's last byte, release from the server's FIN to the moment when its socket was known \
                 to be gone."
            }
        }
    }
}

const VERDICTS: [(Verdict, &str); 4] = [
    (Verdict::Pass, "Each try went as it should."),
    (
        Verdict::PassOnLinux,
        "Each response arrived, and at least one was followed by a reset. Clients on Linux keep what arrived \
         before a reset; those on other systems lose what they have not read yet.",
    ),
    (Verdict::Fail, "At least one try did not go as it should."),
    (Verdict::NotApplicable, "The server has nothing that the scenario could be tried on."),
];

const SEVERITIES: [(Severity, &str); 4] = [
    (Severity::LosesResponses, "A client that does nothing wrong loses a response."),
    (
        Severity::BreaksProtocol,
        "The server leaves out a message of the protocol, so that a client cannot tell an end from a cut, or \
         a refusal from a fault.",
    ),
    (Severity::CanBeHeldOpen, "A client can hold on to the server's sockets."),
    (Severity::Harsh, "The server resets a client that has received everything, or that misbehaves."),
];

fn section_id(target: usize) -> String {
    format!("target-{}", target + 1)
}

fn scenario_id(target: usize, scenario: &str) -> String {
    format!("target-{}-{scenario}", target + 1)
}

/// The class that colours a verdict. The verdict is always written out, too.
fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::PassOnLinux => "linux",
        Verdict::Fail => "fail",
        Verdict::NotApplicable => "na",
    }
}

/// A coordinate of a drawing, rounded to a tenth of a pixel.
fn px(value: f64) -> String {
    format!("{value:.1}")
}
