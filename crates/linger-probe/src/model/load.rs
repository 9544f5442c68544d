//! What a load found.

use std::time::Duration;

use serde::Serialize;

use super::{milliseconds, some_milliseconds};

/// One server under load.
#[derive(Debug, Clone, Serialize)]
pub struct LoadReport {
    /// Its short name.
    pub name: String,
    /// The URL that was loaded.
    pub url: String,
    /// How it was loaded, in a few words: `closed loop, 50 connections, one request on each`.
    pub plan: String,
    /// How long the load took.
    #[serde(serialize_with = "some_milliseconds", rename = "took_ms")]
    pub took: Duration,
    /// A row for each kind of request in the mix.
    pub kinds: Vec<KindReport>,
    /// Connections that were opened.
    pub connections: u64,
    /// Connections that could not be opened. `None` if all could.
    pub unopened: Option<Unopened>,
    /// TLS handshakes that resumed a session. `None` on plain TCP.
    pub resumed: Option<u64>,
    /// Requests of an open loop that were due, and for which no connection was free before the end.
    pub unsent: u64,
    /// How long the server's process holds a socket after the end of its data, on average. It is known on
    /// Linux for a server on this machine whose connections end.
    #[serde(serialize_with = "milliseconds", rename = "held_ms")]
    pub held: Option<Duration>,
    /// The processor time that this probe used per request.
    #[serde(serialize_with = "milliseconds", rename = "probe_cpu_ms")]
    pub probe_cpu: Option<Duration>,
    /// The processor time that the server's processes used per request. It is known if the probe started
    /// them.
    #[serde(serialize_with = "milliseconds", rename = "server_cpu_ms")]
    pub server_cpu: Option<Duration>,
}

/// Connections that could not be opened: they were refused or unanswered, or their handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unopened {
    /// How many.
    pub connections: u64,
    /// Why the first of them failed.
    pub why: String,
}

/// One kind of request.
///
/// Each request counts in `requests` and in exactly one of `complete`, `unfinished` and the kinds of loss:
/// `refused`, `reset`, `cut`, `timeout` and `unopened`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct KindReport {
    /// The name in the syntax of `--mix`.
    pub kind: &'static str,
    /// Requests that began.
    pub requests: u64,
    /// Requests whose whole response arrived, whatever its status.
    pub complete: u64,
    /// The statuses of the whole responses, ascending.
    pub statuses: Vec<StatusCount>,
    /// Whole responses with a status that this kind of request does not expect and that was not allowed.
    pub unexpected: u64,
    /// Requests that were sent again on a new connection, because the server had ended the kept one without a
    /// response. Such a request still counts as one.
    pub retried: u64,
    /// Lost: the connection was refused.
    pub refused: u64,
    /// Lost: the connection was reset before the response was whole.
    pub reset: u64,
    /// Lost: the response was missing or cut short, or was not HTTP.
    pub cut: u64,
    /// Lost: the response was not whole within the timeout.
    pub timeout: u64,
    /// Lost: the connection could not be opened, for a reason other than a refusal, or its handshake failed.
    pub unopened: u64,
    /// Requests that were under way when the run ended, and had no whole response in the time that was left
    /// to them. They do not count as lost, because their timeout had not passed.
    pub unfinished: u64,
    /// Connections that the client saw end after this request, with or without a response.
    pub ended: u64,
    /// Those of the ended connections that ended in a reset, after the response or instead of it.
    pub ended_in_reset: u64,
    /// Those of the ended connections whose end a `close_notify` announced. `None` on plain TCP.
    pub announced: Option<u64>,
    /// Latency as measured: from when a client began the request, including the connection, to the response's
    /// last byte.
    pub latency: Times,
    /// Latency corrected for coordinated omission. In an open loop, each request counts from when it was due.
    /// In a closed loop, requests are added that a connection would have sent at its mean pace while it
    /// waited for a late response.
    pub latency_corrected: Times,
    /// From the response's last byte to the end of the server's data.
    pub end: Times,
}

/// How many whole responses had a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StatusCount {
    /// The status.
    pub status: u16,
    /// How many.
    pub count: u64,
}

impl KindReport {
    /// Requests without a whole response, except those that were still under way at the end.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.refused + self.reset + self.cut + self.timeout + self.unopened
    }

    /// Whether each response arrived whole, with an expected status. If there were requests, at least one
    /// must have been answered.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.lost() == 0 && self.unexpected == 0 && (self.complete > 0 || self.requests == 0)
    }
}

impl LoadReport {
    /// The requests of all kinds.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.sum(|kind| kind.requests)
    }

    /// The whole responses of all kinds.
    #[must_use]
    pub fn complete(&self) -> u64 {
        self.sum(|kind| kind.complete)
    }

    /// The lost requests of all kinds.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sum(KindReport::lost)
    }

    /// The responses of all kinds with an unexpected status.
    #[must_use]
    pub fn unexpected(&self) -> u64 {
        self.sum(|kind| kind.unexpected)
    }

    fn sum(&self, of: impl Fn(&KindReport) -> u64) -> u64 {
        self.kinds.iter().map(of).sum()
    }

    /// Whole responses per second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn rate(&self) -> f64 {
        self.complete() as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Whether there were requests, all connections could be opened, and every kind passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.unopened.is_none() && self.requests() > 0 && self.kinds.iter().all(KindReport::passed)
    }
}

/// A distribution of times, as quantiles.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Times {
    /// How many values.
    pub count: u64,
    /// The quantiles, in ascending order.
    pub quantiles: Vec<Quantile>,
}

/// A point of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantile {
    /// From 0 to 1.
    pub quantile: f64,
    /// The time that this part of the values does not exceed.
    #[serde(serialize_with = "some_milliseconds", rename = "ms")]
    pub time: Duration,
}

impl Times {
    /// The time that this part of the values, from 0 to 1, does not exceed.
    #[must_use]
    pub fn at(&self, quantile: f64) -> Option<Duration> {
        let reaches = |point: &&Quantile| point.quantile >= quantile - f64::EPSILON;
        self.quantiles.iter().find(reaches).map(|point| point.time)
    }
}
