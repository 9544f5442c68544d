//! The servers under load: a table, and how their latencies are distributed.

use std::time::Duration;

use maud::{Markup, html};

use super::px;
use crate::model::load::{KindReport, LoadReport};
use crate::report::words;

// In pixels of the drawing.
const WIDTH: f64 = 420.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 404.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 220.0;
/// The height of a line of the key below the drawing.
const KEY: f64 = 18.0;

pub(super) fn section(loads: &[LoadReport]) -> Markup {
    let mut kinds: Vec<&str> = Vec::new();
    for kind in loads.iter().flat_map(|load| &load.kinds) {
        if !kinds.contains(&kind.kind) {
            kinds.push(kind.kind);
        }
    }
    html! {
        section aria-labelledby="load" {
            h2 #load { "Under load" }
            @if let Some(load) = loads.first() {
                p { (load.plan) ", for " (format!("{:.1}", load.took.as_secs_f64())) " s each." }
            }
            div.scroll role="region" tabindex="0" aria-label="Each server under load" { (servers(loads)) }
            @for load in loads {
                @if let Some(why) = words::trouble(load) { p { strong { (load.name) } ": " (why) "." } }
            }
            h3.above { "By request" }
            div.scroll role="region" tabindex="0"
                aria-label="What became of each server's requests under load" {
                (requests(loads))
            }
            h3.above { "Times" }
            div.scroll role="region" tabindex="0" aria-label="Times of each server's requests under load" {
                (latencies(loads))
            }
            p.under {
                "Latency is as measured: from when a client began a request, including the connection, to "
                "the response's last byte. Corrected latency is corrected for coordinated omission: in an "
                "open loop it counts from when the request was due, and in a closed loop it includes the "
                "requests that a connection would have sent while it waited. End is from the response's "
                "last byte to the end of the server's data. Resets are connections that ended in a reset, "
                "after the response or instead of it. Held is how long the server's process keeps a "
                "socket after its end, on average. Processor times are per request."
            }
            div.histograms {
                @for kind in kinds {
                    (figures(kind, &loads.iter().filter_map(|load| of_kind(load, kind)).collect::<Vec<_>>()))
                }
            }
        }
    }
}

fn of_kind<'a>(load: &'a LoadReport, kind: &str) -> Option<(&'a str, &'a KindReport)> {
    load.kinds.iter().find(|found| found.kind == kind).map(|found| (load.name.as_str(), found))
}

fn time(time: Option<Duration>) -> String {
    time.map_or("–".to_owned(), words::milliseconds)
}

fn head(columns: &[&str], numbers: &[&str]) -> Markup {
    html! {
        thead {
            tr {
                @for title in columns { th scope="col" { (title) } }
                @for title in numbers { th.number scope="col" { (title) } }
            }
        }
    }
}

fn servers(loads: &[LoadReport]) -> Markup {
    html! {
        table {
            (head(
                &["Server"],
                &["Whole a second", "Connections", "Resumed", "Held", "Its processor time", "The probe's"],
            ))
            tbody {
                @for load in loads {
                    tr {
                        th scope="row" { (load.name) }
                        td.number { (format!("{:.0}", load.rate())) }
                        td.number { (load.connections) }
                        td.number { (load.resumed.map_or("–".to_owned(), |resumed| resumed.to_string())) }
                        @for value in [load.held, load.server_cpu, load.probe_cpu] {
                            td.number { (time(value)) }
                        }
                    }
                }
            }
        }
    }
}

/// A table with a row for each kind of request of each server.
fn by_request(loads: &[LoadReport], numbers: &[&str], cells: impl Fn(&KindReport) -> Markup) -> Markup {
    html! {
        table {
            (head(&["Server", "Request"], numbers))
            tbody {
                @for load in loads {
                    @for kind in &load.kinds {
                        tr {
                            th scope="row" { (load.name) }
                            td { code { (kind.kind) } }
                            (cells(kind))
                        }
                    }
                }
            }
        }
    }
}

fn requests(loads: &[LoadReport]) -> Markup {
    let numbers =
        ["Whole", "Status", "Retried", "Refused", "Reset", "Cut", "Timeout", "Unopened", "Unfinished"];
    let bad = |is_bad: bool, text: &str| {
        html! { td.number { @if is_bad { span.verdict.fail { (text) } } @else { (text) } } }
    };
    by_request(loads, &numbers, |kind| {
        html! {
            (bad(kind.lost() > 0, &format!("{}/{}", kind.complete, kind.requests)))
            (bad(kind.unexpected > 0, &words::statuses(kind)))
            td.number { (kind.retried) }
            @for lost in [kind.refused, kind.reset, kind.cut, kind.timeout, kind.unopened] {
                (bad(lost > 0, &lost.to_string()))
            }
            td.number { (kind.unfinished) }
        }
    })
}

fn latencies(loads: &[LoadReport]) -> Markup {
    let numbers =
        ["p50", "p99", "p99.9", "Longest", "Corrected p50", "p99", "p99.9", "End p99", "Resets", "Announced"];
    by_request(loads, &numbers, |kind| {
        html! {
            @for quantile in [0.5, 0.99, 0.999, 1.0] { td.number { (time(kind.latency.at(quantile))) } }
            @for quantile in [0.5, 0.99, 0.999] { td.number { (time(kind.latency_corrected.at(quantile))) } }
            td.number { (time(kind.end.at(0.99))) }
            td.number { (kind.ended_in_reset) }
            td.number {
                @match kind.announced {
                    Some(announced) => { (announced) "/" (kind.ended) }
                    None => "–",
                }
            }
        }
    })
}

/// Drawings of the latencies of one kind of request, with a few servers in each, all to the same scale.
fn figures(kind: &str, found: &[(&str, &KindReport)]) -> Markup {
    let values = found.iter().flat_map(|(_, kind)| &kind.latency.quantiles).map(|point| ms(point.time));
    let (least, most) = values.fold((f64::MAX, 0.0_f64), |(least, most), ms| (least.min(ms), most.max(ms)));
    if most <= 0.0 {
        return html! {};
    }
    let (low, high) = (least.max(SHORTEST).log10().floor(), most.log10().ceil());
    let scale = Scale { low, high: high.max(low + 1.0) };
    html! {
        @for (index, some) in found.chunks(SERIES).enumerate() {
            (figure(kind, some, &scale, &format!("load-{kind}-{index}")))
        }
    }
}

/// A logarithmic axis, in powers of ten of a millisecond.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn y(&self, ms: f64) -> f64 {
        BOTTOM - (ms.log10().max(self.low) - self.low) / (self.high - self.low) * (BOTTOM - TOP)
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        std::iter::successors(Some(self.low), |decade| Some(decade + 1.0))
            .take_while(|decade| *decade <= self.high)
            .map(|decade| 10_f64.powf(decade))
    }
}

/// A drawing of the latency that each part of the requests does not exceed. Both axes are logarithmic, and
/// the slowest request is at the right.
fn figure(kind: &str, found: &[(&str, &KindReport)], scale: &Scale, id: &str) -> Markup {
    let key = |index: usize| BOTTOM + 40.0 + KEY * f64::from(u32::try_from(index).unwrap_or_default());
    let marks = [(0.0, "0"), (0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (1.0, "100 %")];
    html! {
        figure.histogram {
            h3 { "Latency of " code { (kind) } }
            svg viewBox={ "0 0 " (WIDTH) " " (key(found.len())) } role="img"
                aria-labelledby={ (id) "-title" } {
                title id={ (id) "-title" } {
                    "Latency of " (kind) ", in milliseconds, by the part of the requests that it does not "
                    "exceed"
                }
                @for value in scale.decades() {
                    @let y = scale.y(value);
                    line.grid x1=(LEFT) x2=(RIGHT) y1=(px(y)) y2=(px(y)) {}
                    text.tick x=(LEFT - 6.0) y=(px(y + 4.0)) text-anchor="end" { (value) }
                }
                @for (quantile, label) in marks {
                    line.grid x1=(px(x(quantile))) x2=(px(x(quantile))) y1=(TOP) y2=(BOTTOM) {}
                    text.tick x=(px(x(quantile))) y=(px(BOTTOM + 16.0)) text-anchor="middle" { (label) }
                }
                @for (index, (name, kind)) in found.iter().enumerate() {
                    polyline.series.{ "s" (index) } points=(points(kind, scale)) {}
                    @let line = key(index);
                    line.series.{ "s" (index) } x1=(LEFT) x2=(LEFT + 28.0)
                        y1=(px(line - 4.0)) y2=(px(line - 4.0)) {}
                    text.tick x=(LEFT + 36.0) y=(px(line)) { (name) }
                }
            }
            figcaption { "Milliseconds, by the part of the requests that took no longer." }
        }
    }
}

fn points(kind: &KindReport, scale: &Scale) -> String {
    let point = |point: &crate::model::load::Quantile| {
        format!("{},{}", px(x(point.quantile)), px(scale.y(ms(point.time))))
    };
    kind.latency.quantiles.iter().map(point).collect::<Vec<_>>().join(" ")
}

/// The place of a quantile. Each factor of ten towards the slowest request takes the same width, and the
/// slowest is at the right edge.
fn x(quantile: f64) -> f64 {
    const DECADES: f64 = 4.5;
    let nines = -(1.0 - quantile).log10();
    LEFT + (RIGHT - LEFT) * (nines / DECADES).min(1.0)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Where the axis begins at the earliest, in milliseconds, because it has no place for zero.
const SHORTEST: f64 = 0.001;
/// The number of line styles in the style sheet, and so the maximum number of servers in a drawing.
const SERIES: usize = 6;
