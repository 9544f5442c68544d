//! The servers under load: a table, and how their latencies are distributed.

use std::time::Duration;

use maud::{Markup, html};

use super::px;
use crate::model::load::{KindReport, LoadReport};
use crate::report::words;

// In the drawing's own pixels.
const WIDTH: f64 = 420.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 404.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 220.0;
/// Of a line of the key below the drawing.
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
            @for load in loads { p { strong { (load.name) } ": " (words::load(load)) "." } }
            div.scroll role="region" tabindex="0" aria-label="Each server under load" { (table(loads)) }
            div.histograms {
                @for kind in kinds {
                    (figure(kind, &loads.iter().filter_map(|load| of_kind(load, kind)).collect::<Vec<_>>()))
                }
            }
        }
    }
}

fn of_kind<'a>(load: &'a LoadReport, kind: &str) -> Option<(&'a str, &'a KindReport)> {
    load.kinds.iter().find(|found| found.kind == kind).map(|found| (load.name.as_str(), found))
}

fn table(loads: &[LoadReport]) -> Markup {
    let time = |time: Option<Duration>| time.map_or("–".to_owned(), words::milliseconds);
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Server" }
                    th scope="col" { "Request" }
                    @for title in ["Whole", "Resets", "Announced", "p50", "p99", "p99.9", "Longest", "End p99"] {
                        th.number scope="col" { (title) }
                    }
                }
            }
            tbody {
                @for load in loads {
                    @for kind in &load.kinds {
                        tr {
                            th scope="row" { (load.name) }
                            td { code { (kind.kind) } }
                            td.number {
                                @if kind.complete < kind.requests {
                                    span.verdict.fail { (kind.complete) "/" (kind.requests) }
                                } @else { (kind.complete) "/" (kind.requests) }
                            }
                            td.number { (kind.ended_in_reset) }
                            td.number {
                                @match kind.announced {
                                    Some(announced) => { (announced) "/" (kind.ended) }
                                    None => "–",
                                }
                            }
                            @for quantile in [0.5, 0.99, 0.999, 1.0] {
                                td.number { (time(kind.latency.at(quantile))) }
                            }
                            td.number { (time(kind.end.at(0.99))) }
                        }
                    }
                }
            }
        }
    }
}

/// The latency that each part of the requests does not exceed: both axes logarithmic, the right end is the slowest.
fn figure(kind: &str, found: &[(&str, &KindReport)]) -> Markup {
    let values = found.iter().flat_map(|(_, kind)| &kind.latency.quantiles).map(|point| ms(point.time));
    let (least, most) = values.fold((f64::MAX, 0.0_f64), |(least, most), ms| (least.min(ms), most.max(ms)));
    if most <= 0.0 {
        return html! {};
    }
    let (low, high) = (least.log10().floor(), most.log10().ceil().max(least.log10().floor() + 1.0));
    let y = |ms: f64| BOTTOM - (ms.max(least).log10() - low) / (high - low) * (BOTTOM - TOP);
    #[expect(clippy::cast_possible_truncation, reason = "a power of ten between a microsecond and an hour")]
    let decades = low as i32..=high as i32;
    let height = BOTTOM + 44.0 + KEY * f64::from(u32::try_from(found.len()).unwrap_or_default());
    let id = format!("load-{kind}");
    html! {
        figure.histogram {
            h3 { "Latency of " code { (kind) } }
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-labelledby={ (id) "-title" } {
                title id={ (id) "-title" } {
                    "Latency of " (kind) ", in milliseconds, by the part of the requests that it does not exceed"
                }
                @for decade in decades {
                    @let value = 10_f64.powi(decade);
                    line.grid x1=(LEFT) x2=(RIGHT) y1=(px(y(value.max(least)))) y2=(px(y(value.max(least)))) {}
                    @if value >= least {
                        text.tick x=(LEFT - 6.0) y=(px(y(value) + 4.0)) text-anchor="end" { (value) }
                    }
                }
                @for (quantile, label) in [(0.0, "0"), (0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (1.0, "100 %")] {
                    line.grid x1=(px(x(quantile))) x2=(px(x(quantile))) y1=(TOP) y2=(BOTTOM) {}
                    text.tick x=(px(x(quantile))) y=(px(BOTTOM + 16.0)) text-anchor="middle" { (label) }
                }
                @for (index, (name, kind)) in found.iter().enumerate() {
                    @let series = index % SERIES;
                    polyline.series.{ "s" (series) } points=(points(kind, y)) {}
                    @let line = BOTTOM + 40.0 + KEY * f64::from(u32::try_from(index).unwrap_or_default());
                    line.series.{ "s" (series) } x1=(LEFT) x2=(LEFT + 28.0) y1=(px(line - 4.0)) y2=(px(line - 4.0)) {}
                    text.tick x=(LEFT + 36.0) y=(px(line)) { (name) }
                }
            }
            figcaption { "Milliseconds, by the part of the requests that took no longer." }
        }
    }
}

fn points(kind: &KindReport, y: impl Fn(f64) -> f64) -> String {
    let point =
        |point: &crate::model::load::Quantile| format!("{},{}", px(x(point.quantile)), px(y(ms(point.time))));
    kind.latency.quantiles.iter().map(point).collect::<Vec<_>>().join(" ")
}

/// Each factor of ten towards the slowest takes the same room; all of it is at the right edge.
fn x(quantile: f64) -> f64 {
    const DECADES: f64 = 4.5;
    let nines = -(1.0 - quantile).log10();
    LEFT + (RIGHT - LEFT) * (nines / DECADES).min(1.0)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Kinds of line in the style sheet.
const SERIES: usize = 6;
