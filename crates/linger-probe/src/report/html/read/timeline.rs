//! Draws how many connections ended when, by their kinds.
//!
//! Places along the axis are percentages, so that the drawing is as wide as the page, and its text and its
//! textures keep their size.

use std::time::Duration;

use maud::{Markup, html};

use super::super::px;
use super::axis;
use super::kinds::look;
use crate::quantity::{grouped, span};
use crate::read::Kind;
use crate::read::model::{Bucket, Timeline};

// In pixels.
const TOP: f64 = 18.0;
const BOTTOM: f64 = 160.0;
const HEIGHT: f64 = 184.0;

/// The drawings, and the same numbers as a table. Nothing if no connection ended.
///
/// Where most are normal, the others are drawn a second time alone, because one in a thousand is not seen
/// beside them.
pub(super) fn section(timeline: &Timeline, kinds: &[Kind]) -> Markup {
    let [first, ..] = timeline.buckets.as_slice() else { return html! {} };
    let from = first.from.0;
    let number = u32::try_from(timeline.buckets.len()).unwrap_or(u32::MAX);
    let times = Times { from, whole: timeline.width.saturating_mul(number) };
    let others: Vec<Kind> = kinds.iter().copied().filter(|kind| *kind != Kind::Normal).collect();
    html! {
        section aria-labelledby="timeline" {
            h2 #timeline { "When they ended" }
            figure.timeline {
                (drawing(timeline, kinds, times, "All connections", "timeline-all"))
                @if !others.is_empty() && others.len() < kinds.len() {
                    (drawing(timeline, &others, times, "Without the normal ones", "timeline-others"))
                }
                figcaption {
                    "By the time of their end, or of the last packet of those that were open, in UTC, from "
                    (axis::utc(from)) " to " (axis::utc(times.until())) ". Each bar is " (span(timeline.width)) "."
                }
            }
            (table(timeline, kinds))
        }
    }
}

/// The time that the drawings span.
#[derive(Clone, Copy)]
struct Times {
    from: Duration,
    whole: Duration,
}

impl Times {
    fn until(self) -> Duration {
        self.from.saturating_add(self.whole)
    }
}

fn drawing(timeline: &Timeline, kinds: &[Kind], times: Times, name: &str, id: &str) -> Markup {
    html! {
        h3 { (name) }
        svg height=(HEIGHT) role="img" aria-labelledby={ (id) "-title " (id) "-text" } {
            title id={ (id) "-title" } { (name) ": ends over time" }
            desc id={ (id) "-text" } { "The table below the drawing has the same numbers." }
            (bars(timeline, kinds, times))
            (marks(times))
        }
    }
}

/// The textures that the drawing fills its bars with. They look like those of the swatches.
pub(super) fn textures(kinds: &[Kind]) -> Markup {
    html! {
        svg.textures aria-hidden="true" {
            defs {
                @for kind in kinds {
                    @let angle = if look(*kind).ends_with("stripes") { -45 } else { 90 };
                    pattern class=(look(*kind)) id={ "texture-" (kind.key()) } width="6" height="6"
                        patternUnits="userSpaceOnUse" patternTransform={ "rotate(" (angle) ")" } {
                        rect.ground width="6" height="6" {}
                        rect.mark width="3" height="6" {}
                    }
                }
            }
        }
    }
}

/// The bars. Those of one time stand on each other, in the order of the kinds.
fn bars(timeline: &Timeline, kinds: &[Kind], times: Times) -> Markup {
    let sum = |bucket: &Bucket| kinds.iter().map(|kind| bucket.kinds[kind.index()]).sum::<u64>();
    let most = timeline.buckets.iter().map(sum).max().unwrap_or_default().max(1);
    let height = |count: u64| ratio(count, most) * (BOTTOM - TOP);
    let width = place(timeline.width, Duration::ZERO, times.whole);
    let levels = if most > 1 { vec![most, most / 2] } else { vec![most] };
    html! {
        @for level in &levels {
            line.grid x1="0" x2="100%" y1=(px(BOTTOM - height(*level))) y2=(px(BOTTOM - height(*level))) {}
        }
        @for bucket in &timeline.buckets {
            @for (kind, of, below) in stacked(bucket, kinds) {
                rect class=(look(kind)) data-series=(kind.key()) fill={ "url(#texture-" (kind.key()) ")" }
                    x=(place(bucket.from.0, times.from, times.whole)) width=(width)
                    y=(px(BOTTOM - height(below + of))) height=(px(height(of))) {
                    title { (axis::time_of_day(bucket.from.0, 3)) ": " (grouped(of)) " " (kind.title()) }
                }
            }
        }
        // Above the bars, which may be there.
        @for level in &levels {
            text.tick.level x="2" y=(px(BOTTOM - height(*level) - 4.0)) { (grouped(*level)) }
        }
    }
}

/// The kinds of a bucket, each with its number and the sum of those below it.
fn stacked(bucket: &Bucket, kinds: &[Kind]) -> Vec<(Kind, u64, u64)> {
    let mut below = 0;
    let mut stacked = Vec::new();
    for kind in kinds {
        let of = bucket.kinds[kind.index()];
        if of > 0 {
            stacked.push((*kind, of, below));
            below += of;
        }
    }
    stacked
}

/// The axis and its marks. The labels of the first and the last keep within the drawing.
fn marks(times: Times) -> Markup {
    html! {
        line.grid x1="0" x2="100%" y1=(BOTTOM) y2=(BOTTOM) {}
        @for mark in axis::marks(times.from, times.until()) {
            @let x = format!("{:.2}%", mark.place);
            @let anchor = match mark.place { ..8.0 => "start", 92.0.. => "end", _ => "middle" };
            line.grid x1=(x) x2=(x) y1=(BOTTOM) y2=(BOTTOM + 5.0) {}
            text.tick x=(x) y=(BOTTOM + 19.0) text-anchor=(anchor) { (mark.label) }
        }
    }
}

/// The numbers of the drawing, without the times at which nothing ended.
fn table(timeline: &Timeline, kinds: &[Kind]) -> Markup {
    let used = timeline.buckets.iter().filter(|bucket| bucket.kinds.iter().any(|count| *count > 0));
    html! {
        details.scenario {
            summary { span.title { "These numbers as a table" } }
            div.body {
                div.scroll.tall role="region" tabindex="0" aria-label="Ends over time" {
                    table.narrow {
                        thead {
                            tr {
                                th scope="col" { "From (UTC)" }
                                @for kind in kinds {
                                    th.number scope="col" data-series=(kind.key()) { (kind.short()) }
                                }
                            }
                        }
                        tbody {
                            @for bucket in used {
                                tr {
                                    th scope="row" { (axis::utc(bucket.from.0)) }
                                    @for kind in kinds { (cell(*kind, bucket.kinds[kind.index()])) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A number of connections of a kind, in a table.
pub(super) fn cell(kind: Kind, count: u64) -> Markup {
    let class = if count == 0 { "number zero" } else { "number" };
    html! { td class=(class) data-series=(kind.key()) { (grouped(count)) } }
}

fn place(at: Duration, from: Duration, whole: Duration) -> String {
    format!("{:.3}%", axis::place(at, from, whole))
}

/// A part of a height, from 0 to 1.
#[allow(clippy::cast_precision_loss, reason = "a drawing needs no more than the 53 bits of a float")]
fn ratio(part: u64, of: u64) -> f64 {
    part as f64 / of as f64
}
