//! When connections ended, in buckets that become wider as the time grows.

use std::collections::BTreeMap;
use std::time::Duration;

use super::kind::Kind;
use super::model::{At, Bucket, Timeline};

/// The maximum number of buckets.
pub const BUCKETS: usize = 120;

/// Widths in milliseconds. Each divides the next one, so that whole buckets can be joined.
const WIDTHS: [u64; 19] = [
    1, 2, 10, 20, 100, 200, 1000, 2000, 10_000, 30_000, 60_000, 120_000, 600_000, 1_800_000, 3_600_000,
    7_200_000, 21_600_000, 43_200_000, 86_400_000,
];

/// Counts the ends of connections by time.
#[derive(Debug)]
pub(super) struct Histogram {
    width: u64,
    /// By the time since 1970, in widths.
    buckets: BTreeMap<u64, [u64; Kind::ALL.len()]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { width: WIDTHS[0], buckets: BTreeMap::new() }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, at: Duration, kind: Kind) {
        let millis = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.buckets.entry(millis / self.width).or_default()[kind.index()] += 1;
        while self.spans() > BUCKETS as u64 {
            self.widen();
        }
    }

    /// How many buckets there are from the first to the last.
    fn spans(&self) -> u64 {
        match (self.buckets.first_key_value(), self.buckets.last_key_value()) {
            (Some((first, _)), Some((last, _))) => (last - first).saturating_add(1),
            _ => 0,
        }
    }

    fn widen(&mut self) {
        let wider = WIDTHS.into_iter().find(|width| *width > self.width);
        let factor = wider.map_or(2, |width| width / self.width);
        self.width = self.width.saturating_mul(factor);
        for (index, kinds) in std::mem::take(&mut self.buckets) {
            let sum = self.buckets.entry(index / factor).or_default();
            sum.iter_mut().zip(kinds).for_each(|(sum, count)| *sum += count);
        }
    }

    pub(super) fn finish(&self) -> Timeline {
        let (Some((first, _)), Some((last, _))) =
            (self.buckets.first_key_value(), self.buckets.last_key_value())
        else {
            return Timeline::default();
        };
        let bucket = |index: u64| Bucket {
            from: At(Duration::from_millis(index.saturating_mul(self.width))),
            kinds: self.buckets.get(&index).copied().unwrap_or_default(),
        };
        Timeline { width: Duration::from_millis(self.width), buckets: (*first..=*last).map(bucket).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(timeline: &Timeline) -> Vec<u64> {
        timeline.buckets.iter().map(|bucket| bucket.kinds.iter().sum()).collect()
    }

    #[test]
    fn buckets_become_wider_and_lose_nothing() {
        let mut histogram = Histogram::default();
        // Not in order: a connection that ended earlier may come later.
        for second in (0..3600).rev() {
            histogram.add(Duration::from_secs(1_700_000_000 + second), Kind::Normal);
            assert!(histogram.finish().buckets.len() <= BUCKETS);
        }
        histogram.add(Duration::from_secs(1_700_000_000), Kind::Open);
        let timeline = histogram.finish();
        assert_eq!(timeline.width, Duration::from_secs(60));
        assert_eq!(counts(&timeline).iter().sum::<u64>(), 3601);
        assert_eq!(timeline.buckets[0].kinds[Kind::Open.index()], 1);
        let starts: Vec<_> = timeline.buckets.iter().map(|bucket| bucket.from.0).collect();
        assert!(starts.windows(2).all(|pair| pair[0] + timeline.width == pair[1]), "without gaps");
    }

    #[test]
    fn each_width_divides_the_next() {
        assert!(WIDTHS.windows(2).all(|pair| pair[1] % pair[0] == 0 && pair[1] > pair[0]));
    }

    #[test]
    fn any_time_has_a_bucket() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.finish(), Timeline::default());
        for at in [Duration::MAX, Duration::ZERO, Duration::from_secs(1)] {
            histogram.add(at, Kind::Normal);
        }
        let timeline = histogram.finish();
        assert!(timeline.buckets.len() <= BUCKETS);
        assert_eq!(counts(&timeline).iter().sum::<u64>(), 3);
    }
}
