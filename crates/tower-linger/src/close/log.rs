//! What a log sees of a close (feature `tracing`).
//!
//! Target `tower_linger`. One event per phase change, at `TRACE`: `from`, `to`. One event per finished
//! close, at `DEBUG`:
//! `outcome`, `ended_in`, `bytes_drained`, `sent_close_notify`, `flush_us`, `drain_us`, `total_us`
//! (microseconds) and, where there was one, `failure`. One event per failed TLS handshake, at `DEBUG`:
//! `error`.

use linger_proto::{CloseReport, Phase};

#[cfg(feature = "tracing")]
const TARGET: &str = "tower_linger";

#[cfg(feature = "tracing")]
pub(crate) fn phase(from: Phase, to: Phase) {
    tracing::trace!(target: TARGET, from = from.as_str(), to = to.as_str(), "phase");
}

#[cfg(feature = "tracing")]
pub(crate) fn outcome(report: &CloseReport) {
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(
        target: TARGET,
        outcome = report.outcome.as_str(),
        ended_in = report.ended_in.as_str(),
        bytes_drained = report.bytes_drained,
        sent_close_notify = report.sent_close_notify,
        flush_us = micros(report.time_in(Phase::Flush)),
        drain_us = micros(report.time_in(Phase::Drain)),
        total_us = micros(report.total_time()),
        failure = report.failure.map(tracing::field::display),
        "closed"
    );
}

#[cfg(all(feature = "tracing", feature = "rustls"))]
pub(crate) fn failed_handshake(error: &dyn std::fmt::Display) {
    tracing::debug!(target: TARGET, %error, "handshake");
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn phase(_: Phase, _: Phase) {}

#[cfg(not(feature = "tracing"))]
pub(crate) fn outcome(_: &CloseReport) {}

#[cfg(all(feature = "rustls", not(feature = "tracing")))]
pub(crate) fn failed_handshake(_: &dyn std::fmt::Display) {}
