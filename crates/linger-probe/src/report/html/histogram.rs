//! Draws how long the tries took.

use std::time::Duration;

use maud::{Markup, html};

use super::px;
use crate::model::{Attempt, Row};
use crate::report::words;

// In pixels of the drawing.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 148.0;
const LEFT: f64 = 34.0;
const RIGHT: f64 = 344.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 104.0;
/// The minimum number of bins, so that times that are all alike do not fill the drawing with one block.
const FEWEST: usize = 6;

/// A drawing of the latencies and one of the releases. Each needs at least two values.
pub(super) fn figures(row: &Row, id: &str) -> Markup {
    let times = |of: fn(&Attempt) -> Option<Duration>| row.attempts.iter().filter_map(of).collect();
    html! {
        div.histograms {
            (figure("Latency", "first byte sent to last byte received", times(|a| a.latency), id))
            (figure("Release", "the server's FIN to its socket's release", times(|a| a.release), id))
        }
    }
}

fn figure(name: &str, span: &str, mut times: Vec<Duration>, id: &str) -> Markup {
    times.sort_unstable();
    let ([least, .., most], Some(median)) = (times.as_slice(), times.get(times.len() / 2)) else {
        return html! {};
    };
    let in_words = format!(
        "{} tries, {span}: from {} to {}, median {}.",
        times.len(),
        words::milliseconds(*least),
        words::milliseconds(*most),
        words::milliseconds(*median),
    );
    let bins = Bins::of(&times);
    html! {
        figure.histogram {
            h3 { (name) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img"
                aria-labelledby={ (id) "-" (name) "-title " (id) "-" (name) "-text" } {
                title id={ (id) "-" (name) "-title" } { (name) " of the tries, in milliseconds" }
                desc id={ (id) "-" (name) "-text" } { (in_words) }
                (bins.draw())
                text.axis x=(px(f64::midpoint(LEFT, RIGHT))) y=(px(BOTTOM + 36.0)) text-anchor="middle" {
                    (name.to_lowercase()) ", ms"
                }
            }
            figcaption { (in_words) }
        }
    }
}

/// Counts of values in bins of equal width.
struct Bins {
    /// The edges of the bins, one more than there are bins.
    edges: Vec<f64>,
    counts: Vec<u32>,
    /// The width of a bin, in milliseconds.
    step: f64,
}

impl Bins {
    /// Sorts times into bins. They must be sorted, and there must be at least one.
    fn of(times: &[Duration]) -> Self {
        let values: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        let (least, most) = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0));
        let step = round_step(((most - least) / 10.0).max(most / 100.0).max(0.001));
        let mut edges = vec![(least / step).floor() * step];
        while edges.last().is_some_and(|edge| *edge <= most) || edges.len() <= FEWEST {
            edges.push(edges[0] + f64::from(len(&edges)) * step);
        }
        let mut counts = vec![0; edges.len() - 1];
        for value in values {
            let bin = edges.iter().rposition(|edge| *edge <= value).unwrap_or(0);
            counts[bin] += 1;
        }
        Self { edges, counts, step }
    }

    fn draw(&self) -> Markup {
        let most = self.counts.iter().copied().max().unwrap_or(1).max(1);
        let width = (RIGHT - LEFT) / f64::from(len(&self.counts));
        let x = |index: u32| LEFT + width * f64::from(index);
        let y = |count: u32| BOTTOM - (BOTTOM - TOP) * f64::from(count) / f64::from(most);
        // At most six numbers are shown, because more would touch each other.
        let every = len(&self.counts).div_ceil(6);
        html! {
            @for count in [0, most] {
                line.grid x1=(LEFT) x2=(RIGHT) y1=(px(y(count))) y2=(px(y(count))) {}
                text.tick x=(LEFT - 6.0) y=(px(y(count) + 4.0)) text-anchor="end" { (count) }
            }
            @for (index, count) in (0..).zip(&self.counts) {
                @if *count > 0 {
                    rect.bin x=(px(x(index) + 1.0)) width=(px(width - 2.0)) y=(px(y(*count)))
                        height=(px(BOTTOM - y(*count))) {
                        title {
                            (count) " from " (self.number(self.edges[index as usize])) " to "
                            (self.number(self.edges[index as usize + 1])) " ms"
                        }
                    }
                }
            }
            @for (index, edge) in (0..).zip(&self.edges) {
                @if index % every == 0 {
                    text.tick x=(px(x(index))) y=(px(BOTTOM + 16.0)) text-anchor="middle" {
                        (self.number(*edge))
                    }
                }
            }
            text.axis transform={ "translate(10 " (px(f64::midpoint(TOP, BOTTOM))) ") rotate(-90)" }
                text-anchor="middle" { "tries" }
        }
    }

    /// An edge, with enough decimals to differ from the next.
    fn number(&self, edge: f64) -> String {
        let decimals = if self.step >= 1.0 {
            0
        } else if self.step >= 0.1 {
            1
        } else if self.step >= 0.01 {
            2
        } else {
            3
        };
        format!("{edge:.decimals$}")
    }
}

fn len<T>(slice: &[T]) -> u32 {
    u32::try_from(slice.len()).unwrap_or(u32::MAX)
}

/// Rounds up to 1, 2 or 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_bin_and_there_are_few_bins() {
        let cases: [&[u64]; 5] = [&[0, 0], &[412, 412, 413], &[1, 2_000_000], &[1000, 2000], &[99, 100, 101]];
        for micros in cases {
            let times: Vec<Duration> = micros.iter().copied().map(Duration::from_micros).collect();
            let bins = Bins::of(&times);
            assert_eq!(bins.counts.iter().sum::<u32>(), len(&times), "{micros:?}");
            assert!((1..=12).contains(&bins.counts.len()), "{micros:?}: {:?}", bins.edges);
            assert_eq!(bins.edges.len(), bins.counts.len() + 1);
        }
    }

    #[test]
    fn steps_are_round() {
        for (least, step) in [(0.9, 1.0), (1.5, 2.0), (3.0, 5.0), (7.0, 10.0), (0.03, 0.05)] {
            assert!((round_step(least) - step).abs() < 1e-9, "{least}");
        }
    }
}
