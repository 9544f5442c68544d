//! A recorder of metrics, in the form that Prometheus scrapes.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tower_linger::metrics;

use crate::{Result, because};

/// Records the metrics of this process.
#[derive(Debug, Clone)]
pub struct Recorder(PrometheusHandle);

impl Recorder {
    /// Installs it. Call it before the first connection, so that everything is counted.
    ///
    /// # Errors
    ///
    /// A line that says why it cannot record: there is another one, for example.
    pub fn install() -> Result<Self> {
        install().map(Self).map_err(because("cannot record metrics".into()))
    }

    /// What is recorded so far, for the answer to `/metrics`.
    #[must_use]
    pub fn scrape(&self) -> String {
        // The exporter wants this from time to time, and nobody else here does it.
        self.0.run_upkeep();
        self.0.render()
    }
}

/// Buckets make histograms that Prometheus can add up; without them there would be summaries.
fn install() -> std::result::Result<PrometheusHandle, BuildError> {
    let full = |name: &str| Matcher::Full(name.to_owned());
    PrometheusBuilder::new()
        .set_buckets_for_metric(full(metrics::CLOSE_DURATION), metrics::CLOSE_DURATION_BUCKETS)?
        .set_buckets_for_metric(full(metrics::DRAINED), metrics::DRAINED_BUCKETS)?
        .install_recorder()
}
