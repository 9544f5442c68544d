//! The metrics of a server's connections (feature `metrics`). They go to any recorder of the `metrics`
//! facade, `metrics-exporter-prometheus` for example.
//!
//! Each connection is counted from its accept to its release, whatever ends it. Once there is none left, both
//! gauges are zero, and the closes by outcome are those of [`Tracker::summary`](crate::Tracker::summary).
//!
//! | metric | kind, unit | labels | what it is |
//! |---|---|---|---|
//! | `tower_linger_served_connections` | gauge | `listener` | connections that are served: accepted, in their TLS handshake, with or without a request, upgraded |
//! | `tower_linger_lingering_connections` | gauge | `listener` | closes that are running |
//! | `tower_linger_lingering_limit` | gauge | `listener` | how many closes may wait for their peers at once before the oldest is evicted; absent where there is no limit |
//! | `tower_linger_closes_total` | counter | `listener`, `outcome`, `phase`, `reason` | finished closes |
//! | `tower_linger_close_duration_seconds` | histogram, seconds | `listener` | time from the start of a close to its end |
//! | `tower_linger_drained_bytes` | histogram, bytes | `listener` | the peer's bytes that one close read and discarded |
//! | `tower_linger_unacked_closes_total` | counter | `listener`, `outcome` | closes that released their socket while the peer had not acknowledged everything, so that it may have lost the end of a response. A `close_notify` and the FIN do not count, nor does a peer that closed by itself. Linux and macOS only |
//! | `tower_linger_handshake_failures_total` | counter | `listener`, `reason` | TLS handshakes that failed, took too long, or were cut; the close of such a connection is counted as well |
//!
//! # Labels
//!
//! All values but `listener` are from fixed lists, so the number of series is bounded. A server sees a dozen
//! or two.
//!
//! | label | values |
//! |---|---|
//! | `listener` | the name that [`LingerLayer::named`](crate::LingerLayer::named) gave, else `default`. Layers of one name are counted together |
//! | `outcome` | the name of an [`Outcome`](crate::Outcome), as its `as_str` returns it |
//! | `phase` | the [`Phase`](crate::Phase) in which the close ended |
//! | `reason` of a close | the first failure of the connection ([`Failure::NAMES`](crate::Failure::NAMES)), or `none` |
//! | `reason` of a handshake | `timed_out`, `shutdown_cut`; `alert_received`, `tls` (any other error of TLS), and of rustls alone also `incompatible`, `invalid_certificate`, `invalid_message` (no TLS, for example), `no_application_protocol`, `no_certificate`; what an `AcceptTls` of yours returns; or one of [`Failure::NAMES`](crate::Failure::NAMES) |
//!
//! # Setting it up
//!
//! The recorder may be installed at any time. It gets the gauges whole, with the next connection. Counters
//! and histograms begin when it is there, so install it before the server accepts. The descriptions are given
//! to it with a listener's first connection; [`describe`] gives them again.
//!
//! Prometheus can add histograms of several servers only if they have buckets, and
//! `metrics-exporter-prometheus` makes summaries unless it is told which. These suit the default policy:
//!
//! ```
//! use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
//! use tower_linger::metrics;
//!
//! fn recorder() -> Result<PrometheusHandle, BuildError> {
//!     let full = |name: &str| Matcher::Full(name.to_owned());
//!     PrometheusBuilder::new()
//!         .set_buckets_for_metric(full(metrics::CLOSE_DURATION), metrics::CLOSE_DURATION_BUCKETS)?
//!         .set_buckets_for_metric(full(metrics::DRAINED), metrics::DRAINED_BUCKETS)?
//!         .install_recorder()
//! }
//! ```
//!
//! The repository has a server that does it (`examples/servers/metrics.rs`), and, in `docs/metrics/`, a
//! dashboard for Grafana and alert rules for Prometheus.
//!
//! # What it costs
//!
//! A read or a write costs nothing. A connection calls the recorder eight to ten times, on the task that
//! serves or closes it, and no lock is held meanwhile. A panic in the recorder is caught: the panic hook
//! prints it, and the connection goes on. A close that the peer has not ended asks the system for its
//! unacknowledged bytes: one call.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Connections that are served.
pub const SERVED: &str = "tower_linger_served_connections";
/// Closes that are running.
pub const LINGERING: &str = "tower_linger_lingering_connections";
/// How many closes may wait for their peers at once.
pub const LINGERING_LIMIT: &str = "tower_linger_lingering_limit";
/// Finished closes.
pub const CLOSES: &str = "tower_linger_closes_total";
/// Time from the start of a close to its end, seconds.
pub const CLOSE_DURATION: &str = "tower_linger_close_duration_seconds";
/// The peer's bytes that a close discarded.
pub const DRAINED: &str = "tower_linger_drained_bytes";
/// Closes that may have lost the end of a response.
pub const UNACKED: &str = "tower_linger_unacked_closes_total";
/// TLS handshakes that failed.
pub const HANDSHAKE_FAILURES: &str = "tower_linger_handshake_failures_total";

/// Buckets for [`CLOSE_DURATION`], seconds. A peer that closes at once takes a round trip or two; the default
/// policy's drain ends after 5 s of silence, and after 30 s in all.
pub const CLOSE_DURATION_BUCKETS: &[f64] =
    &[0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.5, 10.0, 20.0, 31.0];
/// Buckets for [`DRAINED`], bytes: nothing, 4 KiB, and each 8 times the one before, up to 1 GiB.
pub const DRAINED_BUCKETS: &[f64] =
    &[0.0, 4096.0, 32_768.0, 262_144.0, 2_097_152.0, 16_777_216.0, 134_217_728.0, 1_073_741_824.0];

/// Gives the recorder the description and the unit of each metric. A listener does so with its first
/// connection; call it where the recorder is installed later than that.
pub fn describe() {
    describe_gauge!(SERVED, Unit::Count, "Connections that are served, upgraded ones too");
    describe_gauge!(LINGERING, Unit::Count, "Closes that are running");
    describe_gauge!(LINGERING_LIMIT, Unit::Count, "Closes that may wait for their peers at once");
    describe_counter!(CLOSES, Unit::Count, "Finished closes, by outcome, phase and failure");
    describe_histogram!(CLOSE_DURATION, Unit::Seconds, "Time from the start of a close to its end");
    describe_histogram!(DRAINED, Unit::Bytes, "The peer's bytes that a close discarded");
    describe_counter!(UNACKED, Unit::Count, "Closes that may have lost the end of a response");
    describe_counter!(HANDSHAKE_FAILURES, Unit::Count, "TLS handshakes that failed, timed out or were cut");
}
