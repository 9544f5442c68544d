//! Counts the results of a load's requests, and keeps their times.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::expect::Statuses;
use super::mix::Kind;
use crate::model::load::{KindReport, Quantile, StatusCount, Times};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// The whole response, with this status.
    Whole(u16),
    /// The connection was refused.
    Refused,
    /// The connection could not be opened for another reason.
    Unopened,
    /// The connection was reset before the response was whole.
    Reset,
    TimedOut,
    /// The response was cut short, missing, or not HTTP.
    Cut,
    /// The run ended before the response was whole.
    Unfinished,
}

impl Came {
    /// Whether there was no connection to send the request on.
    pub(super) fn is_unopened(self) -> bool {
        match self {
            Self::Refused | Self::Unopened => true,
            Self::Whole(_) | Self::Reset | Self::TimedOut | Self::Cut | Self::Unfinished => false,
        }
    }
}

/// The result of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    pub(super) came: Came,
    /// Whether it was sent again because the server had ended the kept connection.
    pub(super) retried: bool,
    /// From when it began to the response's last byte.
    pub(super) latency: Duration,
    /// From when it was due to the response's last byte.
    pub(super) latency_from_due: Duration,
    /// From the response's last byte to the end of the server's data.
    pub(super) end: Option<Duration>,
    /// `None` if the connection is still open; otherwise whether a reset ended it.
    pub(super) ended: Option<bool>,
    /// Whether a `close_notify` announced the end.
    pub(super) announced: bool,
}

/// All requests of one kind. `found` has the counts, and `times` the times.
#[derive(Debug)]
pub(super) struct Tally {
    found: KindReport,
    announced: u64,
    times: Histograms,
}

/// Times in microseconds.
#[derive(Debug)]
struct Histograms {
    latency: Histogram<u64>,
    latency_from_due: Histogram<u64>,
    end: Histogram<u64>,
}

/// How latencies are corrected for coordinated omission.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// In an open loop, each request counts from when it was due.
    Due,
    /// A closed loop, with its length and its number of connections.
    Closed { took: Duration, connections: u32 },
}

impl Tally {
    pub(super) fn new(kind: Kind) -> Self {
        // From one microsecond to more than any timeout, with three significant digits.
        let times = || {
            Histogram::new_with_bounds(1, 7_200_000_000, 3)
                .unwrap_or_else(|error| unreachable!("these bounds are in order: {error}"))
        };
        let times = Histograms { latency: times(), latency_from_due: times(), end: times() };
        Self { found: KindReport { kind: kind.name(), ..KindReport::default() }, announced: 0, times }
    }

    pub(super) fn add(&mut self, exchange: Exchange) {
        let found = &mut self.found;
        found.requests += 1;
        found.retried += u64::from(exchange.retried);
        match exchange.came {
            Came::Whole(status) => {
                found.complete += 1;
                count(&mut found.statuses, StatusCount { status, count: 1 });
                self.times.latency.saturating_record(micros(exchange.latency));
                self.times.latency_from_due.saturating_record(micros(exchange.latency_from_due));
            }
            Came::Refused => found.refused += 1,
            Came::Unopened => found.unopened += 1,
            Came::Reset => found.reset += 1,
            Came::TimedOut => found.timeout += 1,
            Came::Cut => found.cut += 1,
            Came::Unfinished => found.unfinished += 1,
        }
        if let Some(reset) = exchange.ended {
            found.ended += 1;
            found.ended_in_reset += u64::from(reset);
            self.announced += u64::from(exchange.announced);
        }
        if let Some(end) = exchange.end {
            self.times.end.saturating_record(micros(end));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let (sum, more) = (&mut self.found, &other.found);
        sum.requests += more.requests;
        sum.complete += more.complete;
        sum.retried += more.retried;
        sum.refused += more.refused;
        sum.reset += more.reset;
        sum.cut += more.cut;
        sum.timeout += more.timeout;
        sum.unopened += more.unopened;
        sum.unfinished += more.unfinished;
        sum.ended += more.ended;
        sum.ended_in_reset += more.ended_in_reset;
        for status in &more.statuses {
            count(&mut sum.statuses, *status);
        }
        self.announced += other.announced;
        let (sum, more) = (&mut self.times, &other.times);
        for (sum, more) in [
            (&mut sum.latency, &more.latency),
            (&mut sum.latency_from_due, &more.latency_from_due),
            (&mut sum.end, &more.end),
        ] {
            // This cannot fail, because both have the same bounds.
            let _ = sum.add(more);
        }
    }

    pub(super) fn report(&self, kind: Kind, allowed: &Statuses, tls: bool, pace: Pace) -> KindReport {
        let is_unexpected = |found: &&StatusCount| !kind.expects(found.status) && !allowed.has(found.status);
        let mut report = self.found.clone();
        report.statuses.sort_unstable_by_key(|found| found.status);
        report.unexpected = report.statuses.iter().filter(is_unexpected).map(|found| found.count).sum();
        report.announced = tls.then_some(self.announced);
        report.latency = times(&self.times.latency);
        report.latency_corrected = self.corrected(pace);
        report.end = times(&self.times.end);
        report
    }

    /// The latencies, corrected for coordinated omission.
    ///
    /// In a closed loop, a latency that is longer than the mean interval between two requests of this kind on
    /// a connection stands for requests that were not sent meanwhile, and these are added. The latencies of a
    /// connection add up to at most the length of the run, so at most as many requests are added as were
    /// made. A shorter interval, such as the median, has no such bound: with a saturated server, most values
    /// would be invented.
    fn corrected(&self, pace: Pace) -> Times {
        match pace {
            Pace::Due => times(&self.times.latency_from_due),
            Pace::Closed { took, connections } => {
                let all = took.as_micros() * u128::from(connections);
                let interval = all.checked_div(u128::from(self.found.requests)).unwrap_or_default();
                // With an interval of 0, the histogram adds nothing.
                let interval = u64::try_from(interval).unwrap_or_default();
                times(&self.times.latency.clone_correct(interval))
            }
        }
    }
}

fn count(statuses: &mut Vec<StatusCount>, more: StatusCount) {
    match statuses.iter_mut().find(|found| found.status == more.status) {
        Some(found) => found.count += more.count,
        None => statuses.push(more),
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

/// The quantiles that are kept of a distribution. They are enough to draw it, and denser towards the slow
/// end, which matters most.
const QUANTILES: [f64; 16] =
    [0.0, 0.1, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 1.0];

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: Pace = Pace::Closed { took: Duration::from_millis(1099), connections: 1 };

    fn whole(status: u16, latency: u64, from_due: u64) -> Exchange {
        Exchange {
            came: Came::Whole(status),
            retried: false,
            latency: Duration::from_millis(latency),
            latency_from_due: Duration::from_millis(from_due),
            end: None,
            ended: None,
            announced: false,
        }
    }

    fn report(tally: &Tally, pace: Pace) -> KindReport {
        tally.report(Kind::Get, &Statuses::default(), false, pace)
    }

    /// There are 99 responses after one millisecond and one after a second. The client made a request each
    /// 11 ms on average, and would have made 90 more during that second.
    #[test]
    fn a_closed_loop_adds_what_it_did_not_ask_for_beside_what_it_measured() {
        let mut tally = Tally::new(Kind::Get);
        for index in 0..100 {
            let latency = if index == 99 { 1000 } else { 1 };
            tally.add(whole(200, latency, latency));
        }
        let report = report(&tally, CLOSED);
        let millis = |times: &Times, quantile| times.at(quantile).expect("there are values").as_millis();
        assert_eq!((report.latency.count, millis(&report.latency, 0.95)), (100, 1));
        assert!((180..=200).contains(&report.latency_corrected.count), "{:?}", report.latency_corrected);
        assert_eq!(millis(&report.latency_corrected, 0.5), 1);
        assert!(
            (700..900).contains(&millis(&report.latency_corrected, 0.9)),
            "{:?}",
            report.latency_corrected
        );
    }

    /// The server is saturated: most responses take 1 ms, and one in 200 takes half a second.
    #[test]
    fn a_correction_adds_no_more_than_was_measured() {
        let mut tally = Tally::new(Kind::Get);
        for index in 0..10_000_u64 {
            let latency = if index.is_multiple_of(200) { 500 } else { 1 };
            tally.add(whole(200, latency, latency));
        }
        let took = Duration::from_millis(50 * 500 + 9_950) / 10;
        let report = report(&tally, Pace::Closed { took, connections: 10 });
        assert!(report.latency_corrected.count <= 20_000, "{:?}", report.latency_corrected);
        for times in [&report.latency, &report.latency_corrected] {
            assert!(times.at(0.5) < Some(Duration::from_millis(2)), "{times:?}");
        }
    }

    #[test]
    fn an_open_loop_counts_from_when_a_request_was_due() {
        let mut tally = Tally::new(Kind::Get);
        tally.add(whole(200, 1, 700));
        let report = report(&tally, Pace::Due);
        assert!(report.latency.at(0.5) < Some(Duration::from_millis(2)), "{report:?}");
        assert!(report.latency_corrected.at(0.5) > Some(Duration::from_millis(690)), "{report:?}");
    }

    #[test]
    fn each_request_is_counted_once_and_by_its_status() {
        let (mut tally, mut other) = (Tally::new(Kind::Get), Tally::new(Kind::Get));
        for status in [500, 200, 404, 500] {
            tally.add(whole(status, 1, 1));
        }
        let others = [
            Came::Refused,
            Came::Unopened,
            Came::Reset,
            Came::TimedOut,
            Came::Cut,
            Came::Unfinished,
            Came::Whole(500),
        ];
        for came in others {
            other.add(Exchange { came, retried: true, ..whole(0, 1, 1) });
        }
        tally.merge(&other);
        let report = tally.report(Kind::Get, &"404".parse().expect("a status"), false, CLOSED);
        let statuses = [(200, 1), (404, 1), (500, 3)].map(|(status, count)| StatusCount { status, count });
        assert_eq!(report.statuses, statuses);
        assert_eq!((report.requests, report.complete, report.unexpected, report.retried), (11, 5, 3, 7));
        assert_eq!((report.lost(), report.unfinished, report.passed()), (5, 1, false));
    }
}
