//! Draws who sent what when: a vertical line for each side, and an arrow for each event.

use std::time::Duration;

use maud::{Markup, html};

use super::px;
use crate::model::{Event, Ladders, Row, Side, What};
use crate::report::words;

/// What a ladder was made from decides its words and how its arrows lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The probe's socket, or packets of the probe's own connections.
    Probe(Ladders),
    /// A capture of others' connections.
    Trace,
}

/// A longer wait is not drawn to scale.
pub(super) const LONG: Duration = Duration::from_millis(100);

// In pixels of the drawing, which is as wide as a telephone's screen without the page's margins.
pub(super) const WIDTH: f64 = 360.0;
const CLIENT: f64 = 86.0;
const SERVER: f64 = 328.0;
const TOP: f64 = 28.0;
/// The distance between two events at the same time, which leaves room for a label.
const PITCH: f64 = 32.0;
const PER_MILLISECOND: f64 = 0.4;
/// The distance between two events with a break between them.
const CUT: f64 = 64.0;
/// How much lower an arrow ends than it begins.
const FALL: f64 = 7.0;
/// The maximum number of characters of a label, so that it fits between the lines.
const LABEL: usize = 32;

/// An event, and where it is drawn.
struct Step<'a> {
    event: &'a Event,
    y: f64,
    /// The wait before the event, if it is not drawn to scale.
    cut: Option<Duration>,
}

/// The drawing of a row's ladder, with a caption that says where its times come from.
pub(super) fn figure(row: &Row, id: &str, ladders: Ladders) -> Markup {
    of(&row.ladder, row.title, id, Source::Probe(ladders))
}

/// The drawing of a ladder that is about this.
pub(super) fn of(events: &[Event], title: &str, id: &str, source: Source) -> Markup {
    let Drawing { lines, height } = drawing(events, source);
    html! {
        figure.ladder {
            h3 { "Who sent what" }
            svg viewBox={ "0 0 " (WIDTH) " " (px(height)) } role="img"
                aria-labelledby={ (id) "-ladder-title " (id) "-ladder-text" } {
                title id={ (id) "-ladder-title" } { "Ladder diagram: " (title) }
                desc id={ (id) "-ladder-text" } { (in_words(events, source)) }
                (lines)
            }
            figcaption { (seen_by(source)) }
        }
    }
}

/// Where the times of a ladder come from.
pub(super) fn seen_by(source: Source) -> &'static str {
    match source {
        Source::Probe(Ladders::SocketEvents) => "From socket events: what the probe wrote and read.",
        Source::Probe(Ladders::Packets) => "From packets, as they left.",
        Source::Trace => {
            "From packets, at the times at which they were captured. Acknowledgements are left out."
        }
    }
}

/// A short name of an event.
fn name(event: &Event, source: Source) -> String {
    match (source, &event.what, event.side) {
        (Source::Trace, What::Connect, Side::Client) => "SYN".to_owned(),
        (Source::Trace, What::Connect, Side::Server) => "SYN, ACK".to_owned(),
        (Source::Trace, What::Handshake, _) => "TLS handshake".to_owned(),
        (Source::Trace, What::Again, _) => "sent again, or a probe".to_owned(),
        _ => words::event(event),
    }
}

/// The lines, arrows and labels of a ladder, from the top of a drawing that is [`WIDTH`] wide.
pub(super) struct Drawing {
    pub(super) lines: Markup,
    pub(super) height: f64,
}

pub(super) fn drawing(events: &[Event], source: Source) -> Drawing {
    let steps = steps(events);
    let height = steps.last().map_or(TOP, |step| step.y) + PITCH;
    let lines = html! {
        @for side in [Side::Client, Side::Server] {
            text.side x=(x(side)) y="14" text-anchor="middle" { (words::side(side)) }
            (lifeline(side, &steps, height - 6.0))
        }
        @for step in &steps {
            @if let Some(wait) = step.cut { (break_mark(step.y - CUT / 2.0, wait)) }
            g.event {
                title {
                    (words::since(step.event.at)) ", " (words::side(step.event.side)) ": "
                    (name(step.event, source))
                }
                text.time x="56" y=(px(step.y + 4.0)) text-anchor="end" {
                    (words::since(step.event.at))
                }
                (event(step, source))
            }
        }
    };
    Drawing { lines, height }
}

fn x(side: Side) -> f64 {
    match side {
        Side::Client => CLIENT,
        Side::Server => SERVER,
    }
}

fn steps(events: &[Event]) -> Vec<Step<'_>> {
    let mut y = TOP;
    let mut before = events.first().map_or(Duration::ZERO, |event| event.at);
    let mut steps = Vec::new();
    for event in events {
        let wait = event.at.saturating_sub(before);
        let cut = (wait > LONG).then_some(wait);
        y += if cut.is_some() { CUT } else { PITCH + wait.as_secs_f64() * 1e3 * PER_MILLISECOND };
        before = event.at;
        steps.push(Step { event, y, cut });
    }
    steps
}

/// The events as text, for readers who cannot see the drawing.
pub(super) fn in_words(events: &[Event], source: Source) -> String {
    let line = |event: &Event| {
        format!("{}, {}: {}", words::since(event.at), words::side(event.side), name(event, source))
    };
    events.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// The line of a side. It is solid while the socket exists, dotted after its release, and has gaps where a
/// wait is not drawn to scale.
fn lifeline(side: Side, steps: &[Step<'_>], end: f64) -> Markup {
    let is_release = |step: &&Step<'_>| step.event.side == side && step.event.what == What::Release;
    let release = steps.iter().find(is_release).map_or(end, |step| step.y);
    let line = |class: &str, from: f64, to: f64| {
        html! {
            @if from < to {
                line class={ "life " (class) } x1=(x(side)) x2=(x(side)) y1=(px(from)) y2=(px(to)) {}
            }
        }
    };
    let cuts: Vec<f64> =
        steps.iter().filter(|step| step.cut.is_some()).map(|step| step.y - CUT / 2.0).collect();
    let starts = std::iter::once(TOP - 6.0).chain(cuts.iter().map(|cut| cut + 4.0));
    let ends = cuts.iter().map(|cut| cut - 4.0).chain([end]);
    html! {
        @for (from, to) in starts.zip(ends) {
            (line("held", from, to.min(release)))
            (line("gone", from.max(release), to))
        }
    }
}

/// A break in both lines, with the length of the wait.
fn break_mark(y: f64, wait: Duration) -> Markup {
    html! {
        @for side in [Side::Client, Side::Server] {
            @for edge in [y - 4.0, y + 4.0] {
                line.break x1=(x(side) - 7.0) x2=(x(side) + 7.0) y1=(px(edge + 3.0)) y2=(px(edge - 3.0)) {}
            }
        }
        text.wait x=(middle()) y=(px(y + 4.0)) text-anchor="middle" {
            (words::since(wait)) " later"
        }
    }
}

fn middle() -> f64 {
    f64::midpoint(CLIENT, SERVER)
}

fn event(step: &Step<'_>, source: Source) -> Markup {
    let (side, y) = (step.event.side, step.y);
    let (away, anchor) = if side == Side::Client { (1.0, "start") } else { (-1.0, "end") };
    match step.event.what {
        What::Release => {
            html! {
                rect.release x=(x(side) - 5.0) y=(px(y - 5.0)) width="10" height="10" {}
                (label(step, source, x(side) + away * 12.0, y + 4.0, anchor))
            }
        }
        What::WriteFailed(_) => {
            // The data never left, so this is a short line that ends in a cross.
            let end = x(side) + away * 34.0;
            html! {
                line.arrow.bad x1=(x(side)) x2=(end) y1=(px(y)) y2=(px(y)) {}
                (cross(end, y))
                (label(step, source, end + away * 12.0, y + 4.0, anchor))
            }
        }
        What::Connect
        | What::Handshake
        | What::Data(_)
        | What::CloseNotify
        | What::Alert(_)
        | What::Fin
        | What::Reset
        | What::Again
        | What::Missing(_)
        | What::Icmp(_) => arrow(step, source),
    }
}

fn arrow(step: &Step<'_>, source: Source) -> Markup {
    let (from, to, away) = match step.event.side {
        Side::Client => (CLIENT, SERVER, 1.0),
        Side::Server => (SERVER, CLIENT, -1.0),
    };
    // An ICMP error comes from somewhere between the two.
    let is_icmp = matches!(step.event.what, What::Icmp(_));
    let from = if is_icmp { middle() } else { from };
    // A socket event of the server's data has the time when the client read it, not when it was sent. So the
    // arrow ends at that time.
    let is_read = source == Source::Probe(Ladders::SocketEvents);
    let known_at_its_point = is_read && step.event.side == Side::Server;
    let start = if known_at_its_point { step.y - FALL } else { step.y };
    let (end, class) = (start + FALL, class(&step.event.what));
    let reset = step.event.what == What::Reset;
    // The cross of a reset keeps clear of the line.
    let tip = if reset { to - away * 9.0 } else { to - away * 2.0 };
    let back = tip - away * 9.0;
    let head = format!("M{tip} {} L{back} {} L{back} {} Z", px(end), px(end - 4.8), px(end + 3.8));
    html! {
        line class={ "arrow " (class) } x1=(from) x2=(tip) y1=(px(start)) y2=(px(end)) {}
        @if reset { (cross(tip, end)) } @else { path class={ "head " (class) } d=(head) {} }
        @if is_icmp { circle.router cx=(px(from)) cy=(px(start)) r="4" {} }
        // The label keeps clear of the circle.
        @let above = if is_icmp { 9.0 } else { 6.0 };
        (label(step, source, middle(), start + FALL / 2.0 - above, "middle"))
    }
}

fn class(what: &What) -> &'static str {
    match what {
        What::Reset | What::WriteFailed(_) => "bad",
        What::Alert(_) => "alert",
        What::Icmp(_) => "alert icmp",
        What::Data(_) => "data",
        What::Again => "data again",
        What::Missing(_) => "data missing",
        What::Connect | What::Handshake | What::CloseNotify | What::Fin | What::Release => "sign",
    }
}

fn cross(x: f64, y: f64) -> Markup {
    html! {
        path.cross d={
            "M" (px(x - 6.0)) " " (px(y - 6.0)) " L" (px(x + 6.0)) " " (px(y + 6.0))
            " M" (px(x - 6.0)) " " (px(y + 6.0)) " L" (px(x + 6.0)) " " (px(y - 6.0))
        } {}
    }
}

fn label(step: &Step<'_>, source: Source, x: f64, y: f64, anchor: &str) -> Markup {
    let whole = name(step.event, source);
    let shown = match whole.char_indices().nth(LABEL) {
        Some((cut, _)) => format!("{}…", &whole[..cut]),
        None => whole,
    };
    html! {
        text class={ "label " (class(&step.event.what)) } x=(px(x)) y=(px(y)) text-anchor=(anchor) { (shown) }
    }
}
