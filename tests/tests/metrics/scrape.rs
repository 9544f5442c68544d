//! What Prometheus would scrape.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tower_linger::{Tracker, metrics};

/// The series of one listener: each line but the value, without the label of the listener.
#[derive(Debug)]
pub(crate) struct Scrape(BTreeMap<String, f64>);

fn handle() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let full = |name: &str| Matcher::Full(name.to_owned());
        PrometheusBuilder::new()
            .set_buckets_for_metric(full(metrics::CLOSE_DURATION), metrics::CLOSE_DURATION_BUCKETS)
            .and_then(|it| it.set_buckets_for_metric(full(metrics::DRAINED), metrics::DRAINED_BUCKETS))
            .and_then(PrometheusBuilder::install_recorder)
            .expect("nobody else installs one")
    })
}

/// Installs the recorder, if it is not installed yet.
pub(crate) fn install() {
    handle();
}

/// Everything, as it is scraped.
pub(crate) fn text() -> String {
    handle().run_upkeep();
    handle().render()
}

impl Scrape {
    pub(crate) fn of(listener: &str) -> Self {
        Self::read(&text(), listener)
    }

    pub(crate) fn read(text: &str, listener: &str) -> Self {
        let label = format!("listener=\"{listener}\"");
        let lines = text.lines().filter(|line| !line.starts_with('#') && line.contains(&label));
        let series = lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let series = series.replace(&format!("{label},"), "").replace(&format!("{{{label}}}"), "");
            (series, value.parse().expect("a number"))
        });
        Self(series.collect())
    }

    /// The value of a series without labels of its own; nothing if there is none.
    pub(crate) fn get(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// How many are served, and how many linger.
    pub(crate) fn gauges(&self) -> (Option<f64>, Option<f64>) {
        (self.get(metrics::SERVED), self.get(metrics::LINGERING))
    }

    /// The sums of a counter by the values of a label.
    pub(crate) fn by(&self, counter: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        let of_counter = self.0.iter().filter_map(|(series, value)| {
            let labels = series.strip_prefix(counter)?.strip_prefix('{')?;
            let (_, rest) = labels.split_once(&format!("{label}=\""))?;
            Some((rest.split('"').next()?.to_owned(), value))
        });
        for (value, count) in of_counter {
            *sums.entry(value).or_default() += count;
        }
        sums
    }

    /// The metrics that there are, without what a histogram appends.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        let names = self.0.keys().map(|series| series.split('{').next().unwrap_or(series));
        names
            .map(|name| ["_bucket", "_sum", "_count"].iter().fold(name, |it, end| it.trim_end_matches(end)))
            .collect()
    }

    /// Asserts what holds when no connection is left: the gauges are back, and each close was counted once.
    pub(crate) fn assert_agrees(&self, what: &str, tracker: &Tracker) {
        let summary = tracker.summary();
        assert_eq!(tracker.len(), 0, "{what}");
        assert_eq!(self.gauges(), (Some(0.0), Some(0.0)), "{what}: {self:?}");
        let counted: BTreeMap<_, _> =
            summary.iter().map(|(outcome, count)| (outcome.to_owned(), float(count))).collect();
        assert_eq!(self.by(metrics::CLOSES, "outcome"), counted, "{what}: {self:?}");
        for histogram in [metrics::CLOSE_DURATION, metrics::DRAINED] {
            let count = self.get(&format!("{histogram}_count"));
            assert_eq!(count, Some(float(summary.total())), "{what}: {self:?}");
        }
    }
}

fn float(count: u64) -> f64 {
    f64::from(u32::try_from(count).expect("few"))
}
