//! What a load found.

use std::time::Duration;

use serde::Serialize;

use super::{milliseconds, some_milliseconds};

/// One server under load.
#[derive(Debug, Clone, Serialize)]
pub struct LoadReport {
    /// How to call it, short.
    pub name: String,
    /// What was loaded.
    pub url: String,
    /// How, in a few words: `closed loop, 50 connections, one request on each`.
    pub plan: String,
    /// From the first request to the last.
    #[serde(serialize_with = "some_milliseconds", rename = "took_ms")]
    pub took: Duration,
    /// A row for each kind of request in the mix.
    pub kinds: Vec<KindReport>,
    /// Connections that were opened.
    pub connections: u64,
    /// Connections that could not be opened, or whose handshake failed, and the first reason.
    pub unopened: Option<(u64, String)>,
    /// TLS handshakes that resumed a session. None on plain TCP.
    pub resumed: Option<u64>,
    /// Requests of an open loop that were due, and for which no connection was free before the end.
    pub unsent: u64,
    /// Of the server's sockets after the end of their data: how long its process holds each, on average. Known on Linux, for a
    /// server on this machine, where connections end.
    #[serde(serialize_with = "milliseconds", rename = "held_ms")]
    pub held: Option<Duration>,
    /// What this probe itself spent on each request.
    #[serde(serialize_with = "milliseconds", rename = "probe_cpu_ms")]
    pub probe_cpu: Option<Duration>,
    /// What the server's processes spent on each request. Known where the probe started them.
    #[serde(serialize_with = "milliseconds", rename = "server_cpu_ms")]
    pub server_cpu: Option<Duration>,
}

/// One kind of request.
#[derive(Debug, Clone, Serialize)]
pub struct KindReport {
    /// As `--mix` takes it.
    pub kind: &'static str,
    /// Requests that were begun.
    pub requests: u64,
    /// Those whose whole response arrived.
    pub complete: u64,
    /// Of the others: those that met a reset.
    pub reset: u64,
    /// Of the others: those that were still waiting when the time was up.
    pub timed_out: u64,
    /// Of the others: all the rest, such as responses that are cut short.
    pub cut: u64,
    /// Connections that were over after this request, as the client saw, whether it had its response or not.
    pub ended: u64,
    /// Those of them that ended in a reset, after the response or instead of it.
    pub ended_in_reset: u64,
    /// Those of them whose end the server announced by a `close_notify`. None on plain TCP.
    pub announced: Option<u64>,
    /// From the moment when the request was due, connecting included, to its response's last byte; corrected for coordinated
    /// omission.
    pub latency: Times,
    /// From the response's last byte to the end of the server's data.
    pub end: Times,
}

impl LoadReport {
    /// All kinds' requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.requests).sum()
    }

    /// All kinds' whole responses.
    #[must_use]
    pub fn complete(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.complete).sum()
    }

    /// Whole responses a second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn rate(&self) -> f64 {
        self.complete() as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Whether every request had its response.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.unopened.is_none() && self.requests() > 0 && self.complete() == self.requests()
    }
}

/// A distribution of times, without the single values.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Times {
    /// How many values.
    pub count: u64,
    /// Quantiles, ascending, from 0 to 1, each with the time that so large a part of the values does not exceed.
    pub quantiles: Vec<Quantile>,
}

/// A point of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantile {
    /// From 0 to 1.
    pub quantile: f64,
    /// The time that so large a part of the values does not exceed.
    #[serde(serialize_with = "some_milliseconds", rename = "ms")]
    pub time: Duration,
}

impl Times {
    /// The time that this part of the values, 0 to 1, does not exceed.
    #[must_use]
    pub fn at(&self, quantile: f64) -> Option<Duration> {
        let reaches = |point: &&Quantile| point.quantile >= quantile - f64::EPSILON;
        self.quantiles.iter().find(reaches).map(|point| point.time)
    }
}
