//! What the requests of a load came to.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::mix::Kind;
use crate::model::load::{KindReport, Quantile, Times};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// The whole response.
    Whole,
    Reset,
    TimedOut,
    /// Some of it, or nothing, or not HTTP.
    Cut,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    pub(super) came: Came,
    /// From when it was due to the response's last byte.
    pub(super) latency: Duration,
    /// From there to the end of the server's data.
    pub(super) end: Option<Duration>,
    /// Whether the connection is over, and if so, whether by a reset.
    pub(super) ended: Option<bool>,
    /// Whether the server announced that.
    pub(super) announced: bool,
}

/// All requests of one kind. Times are in microseconds.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    requests: u64,
    complete: u64,
    reset: u64,
    timed_out: u64,
    cut: u64,
    ended: u64,
    ended_in_reset: u64,
    announced: u64,
    latency: Histogram<u64>,
    end: Histogram<u64>,
}

impl Tally {
    pub(super) fn new() -> Self {
        // Three digits, from a microsecond to more than any timeout.
        let times = || {
            Histogram::new_with_bounds(1, 7_200_000_000, 3)
                .unwrap_or_else(|error| unreachable!("these bounds are in order: {error}"))
        };
        Self {
            requests: 0,
            complete: 0,
            reset: 0,
            timed_out: 0,
            cut: 0,
            ended: 0,
            ended_in_reset: 0,
            announced: 0,
            latency: times(),
            end: times(),
        }
    }

    pub(super) fn add(&mut self, exchange: Exchange) {
        self.requests += 1;
        match exchange.came {
            Came::Whole => {
                self.complete += 1;
                self.latency.saturating_record(micros(exchange.latency));
            }
            Came::Reset => self.reset += 1,
            Came::TimedOut => self.timed_out += 1,
            Came::Cut => self.cut += 1,
        }
        if let Some(reset) = exchange.ended {
            self.ended += 1;
            self.ended_in_reset += u64::from(reset);
            self.announced += u64::from(exchange.announced);
        }
        if let Some(end) = exchange.end {
            self.end.saturating_record(micros(end));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.complete += other.complete;
        self.reset += other.reset;
        self.timed_out += other.timed_out;
        self.cut += other.cut;
        self.ended += other.ended;
        self.ended_in_reset += other.ended_in_reset;
        self.announced += other.announced;
        for (sum, more) in [(&mut self.latency, &other.latency), (&mut self.end, &other.end)] {
            // Of the same bounds.
            let _ = sum.add(more);
        }
    }

    /// `closed`: whether each connection waited for one response before it asked for the next. Then what was not asked for during
    /// a long wait is added, at the pace of the median, as hdrhistogram does it; an open loop counts from the due time already.
    pub(super) fn report(&self, kind: Kind, tls: bool, closed: bool) -> KindReport {
        let latency = match self.latency.value_at_quantile(0.5) {
            median if closed && median > 0 => self.latency.clone_correct(median),
            _ => self.latency.clone(),
        };
        KindReport {
            kind: kind.name(),
            requests: self.requests,
            complete: self.complete,
            reset: self.reset,
            timed_out: self.timed_out,
            cut: self.cut,
            ended: self.ended,
            ended_in_reset: self.ended_in_reset,
            announced: tls.then_some(self.announced),
            latency: times(&latency),
            end: times(&self.end),
        }
    }
}

fn times(found: &Histogram<u64>) -> Times {
    let point =
        |quantile: f64| Quantile { quantile, time: Duration::from_micros(found.value_at_quantile(quantile)) };
    let quantiles = if found.is_empty() { Vec::new() } else { QUANTILES.map(point).to_vec() };
    Times { count: found.len(), quantiles }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// What is kept of a distribution: enough to draw it, denser towards the end that matters.
const QUANTILES: [f64; 16] =
    [0.0, 0.1, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 1.0];

#[cfg(test)]
mod tests {
    use super::*;

    /// 99 answers in a millisecond and one in a second: a client that did not wait for the one would have asked 999 times more.
    #[test]
    fn a_closed_loop_adds_what_it_did_not_ask_for() {
        let mut tally = Tally::new();
        for index in 0..100 {
            let latency = Duration::from_millis(if index == 99 { 1000 } else { 1 });
            tally.add(Exchange { came: Came::Whole, latency, end: None, ended: None, announced: false });
        }
        let p50 = |closed| tally.report(Kind::Get, false, closed).latency.at(0.5).expect("there are values");
        assert!(p50(false) < Duration::from_millis(2), "{:?}", p50(false));
        assert!(p50(true) > Duration::from_millis(300), "{:?}", p50(true));
    }
}
