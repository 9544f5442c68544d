//! What a log sees of a close (feature `tracing`): the events that the crate's documentation lists.
#![cfg_attr(not(feature = "tracing"), allow(unused_variables, reason = "without it nothing is logged"))]

use linger_proto::{CloseReport, Phase};

/// An event of `tracing`. Without that feature it is nothing, and its fields are not evaluated.
macro_rules! event {
    ($level:ident, $($fields:tt)+) => {
        #[cfg(feature = "tracing")]
        tracing::$level!(target: "tower_linger", $($fields)+);
    };
}

pub(crate) fn phase(from: Phase, to: Phase) {
    event!(trace, from = from.as_str(), to = to.as_str(), "phase");
}

pub(crate) fn outcome(report: &CloseReport) {
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    event!(
        debug,
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

#[cfg(feature = "serve")]
pub(crate) fn failed_accept(error: &std::io::Error) {
    event!(warn, %error, "accept");
}

#[cfg(feature = "rustls")]
pub(crate) fn failed_handshake(error: &dyn std::fmt::Display) {
    event!(debug, %error, "handshake");
}
