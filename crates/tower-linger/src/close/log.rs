//! What a log sees of a close (feature `tracing`): the span and the events that the crate's documentation
//! lists.
#![cfg_attr(
    not(feature = "tracing"),
    allow(unused_variables, clippy::unused_self, reason = "without it nothing is logged")
)]

#[cfg(feature = "tracing")]
use std::panic::{AssertUnwindSafe, catch_unwind};

use linger_proto::{CloseReport, Phase};

use crate::close::settings::Settings;
use crate::transport::Ends;

/// An event of `tracing`. Without that feature it is nothing, and its fields are not evaluated.
macro_rules! event {
    ($level:ident, $($fields:tt)+) => {
        #[cfg(feature = "tracing")]
        tracing::$level!(target: "tower_linger", $($fields)+);
    };
}

/// A subscriber that panics takes neither a connection nor its report, and a process that is unwinding
/// already does not abort. The panic hook has printed the panic.
#[cfg(feature = "tracing")]
fn guard<R: Default>(log: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(log)).unwrap_or_default()
}

/// The span of one close: none where nobody wants it, or where there are too many of them. Boxed, because
/// most closes have none, and ten thousand wait at once.
#[derive(Default)]
pub(crate) struct CloseSpan {
    #[cfg(feature = "tracing")]
    span: Option<Box<tracing::Span>>,
}

impl CloseSpan {
    /// Begins the span. `ends` is asked only if there is one: it takes system calls.
    pub(crate) fn begin(settings: &Settings, ends: impl FnOnce() -> Ends) -> Self {
        #[cfg(feature = "tracing")]
        return guard(|| {
            if tracing::span_enabled!(target: "tower_linger", tracing::Level::DEBUG, "close") {
                if let Some(left_out) = settings.sampler.take(crate::clock::now()) {
                    return Self { span: Some(Box::new(span(settings, &ends(), left_out))) };
                }
            }
            Self::default()
        });
        #[cfg(not(feature = "tracing"))]
        Self::default()
    }

    pub(crate) fn phase(&self, from: Phase, to: Phase) {
        self.enter(|| {
            event!(trace, from = from.as_str(), to = to.as_str(), "phase");
        });
    }

    /// The close is over. The span itself ends when it is dropped.
    pub(crate) fn outcome(&self, report: &CloseReport) {
        self.enter(|| outcome(report));
        // After the event, whose line would have everything twice otherwise.
        #[cfg(feature = "tracing")]
        if let Some(span) = &self.span {
            guard(|| record(span, report));
        }
    }

    fn enter(&self, log: impl FnOnce()) {
        #[cfg(feature = "tracing")]
        guard(|| match &self.span {
            Some(span) => span.in_scope(log),
            None => log(),
        });
    }
}

#[cfg(feature = "tracing")]
impl Drop for CloseSpan {
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            guard(|| drop(span));
        }
    }
}

#[cfg(feature = "tracing")]
fn span(settings: &Settings, ends: &Ends, left_out: u64) -> tracing::Span {
    use tracing::field::{Empty, display};
    let ip = |address: Option<std::net::SocketAddr>| address.map(|address| display(address.ip()));
    let port = |address: Option<std::net::SocketAddr>| address.map(|address| address.port());
    tracing::debug_span!(
        target: "tower_linger",
        "close",
        listener = &*settings.listener,
        network.transport = ends.transport,
        network.peer.address = ip(ends.peer),
        network.peer.port = port(ends.peer),
        network.local.address = ip(ends.local),
        network.local.port = port(ends.local),
        left_out = (left_out > 0).then_some(left_out),
        outcome = Empty,
        ended_in = Empty,
        bytes_drained = Empty,
        bytes_unacked = Empty,
        error.type = Empty,
        otel.status_code = Empty,
    )
}

#[cfg(feature = "tracing")]
fn record(span: &tracing::Span, report: &CloseReport) {
    span.record("outcome", report.outcome.as_str());
    span.record("ended_in", report.ended_in.as_str());
    span.record("bytes_drained", report.bytes_drained);
    if let Some(unacked) = report.unacked {
        span.record("bytes_unacked", unacked);
    }
    if let Some(failure) = report.failure {
        span.record("error.type", failure.as_str());
        span.record("otel.status_code", "ERROR");
    }
}

/// The event of a finished close.
fn outcome(report: &CloseReport) {
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
    #[cfg(feature = "tracing")]
    guard(|| tracing::warn!(target: "tower_linger", %error, "accept"));
}

pub(crate) fn failed_handshake(error: &dyn std::fmt::Display) {
    #[cfg(feature = "tracing")]
    guard(|| tracing::debug!(target: "tower_linger", %error, "handshake"));
}
