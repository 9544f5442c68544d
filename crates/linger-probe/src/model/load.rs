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
    /// Connections that could not be opened. None where all could.
    pub unopened: Option<Unopened>,
    /// TLS handshakes that resumed a session. None on plain TCP.
    pub resumed: Option<u64>,
    /// Requests of an open loop that were due, and for which no connection was free before the end.
    pub unsent: u64,
    /// Of the server's sockets after the end of their data: how long its process holds each, on average.
    /// Known on Linux, for a server on this machine, where connections end.
    #[serde(serialize_with = "milliseconds", rename = "held_ms")]
    pub held: Option<Duration>,
    /// What this probe itself spent on each request.
    #[serde(serialize_with = "milliseconds", rename = "probe_cpu_ms")]
    pub probe_cpu: Option<Duration>,
    /// What the server's processes spent on each request. Known where the probe started them.
    #[serde(serialize_with = "milliseconds", rename = "server_cpu_ms")]
    pub server_cpu: Option<Duration>,
}

/// Connections that could not be opened: they were refused, nobody answered, or their handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unopened {
    /// How many.
    pub connections: u64,
    /// Why the first of them could not.
    pub why: String,
}

/// One kind of request.
///
/// Each request that was begun is counted once more: in `complete`, `unfinished`, or one of the kinds of loss
/// (`refused`, `reset`, `cut`, `timeout`, `unopened`).
#[derive(Debug, Clone, Default, Serialize)]
pub struct KindReport {
    /// As `--mix` takes it.
    pub kind: &'static str,
    /// Requests that were begun.
    pub requests: u64,
    /// Those whose whole response arrived, whatever its status.
    pub complete: u64,
    /// The statuses of the whole responses, ascending.
    pub statuses: Vec<StatusCount>,
    /// Whole responses with a status that this kind of request does not expect, and that was not allowed.
    pub unexpected: u64,
    /// Requests that were sent again on a new connection, because the server had ended the kept one without a
    /// response. Such a request is still one request.
    pub retried: u64,
    /// Lost: the connection was refused.
    pub refused: u64,
    /// Lost: the connection was reset before the response was whole.
    pub reset: u64,
    /// Lost: the response was missing or cut short, or was not HTTP.
    pub cut: u64,
    /// Lost: the response was not whole within the timeout.
    pub timeout: u64,
    /// Lost: the connection could not be opened for another reason than a refusal, or its handshake failed.
    pub unopened: u64,
    /// Requests that were under way when the run ended, and had no whole response in the time that was left
    /// to them. They are not counted as lost: their timeout had not passed.
    pub unfinished: u64,
    /// Connections that were over after this request, as the client saw, whether it had its response or not.
    pub ended: u64,
    /// Those of them that ended in a reset, after the response or instead of it.
    pub ended_in_reset: u64,
    /// Those of them whose end the server announced by a `close_notify`. None on plain TCP.
    pub announced: Option<u64>,
    /// As measured: from the moment when a client began the request, connecting included, to its response's
    /// last byte.
    pub latency: Times,
    /// Corrected for coordinated omission. In an open loop each request counts from the moment when it was
    /// due. In a closed loop the requests are added that a connection would have made at its mean pace while
    /// it waited longer.
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
    /// Requests that got no whole response, and were not still under way at the end.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.refused + self.reset + self.cut + self.timeout + self.unopened
    }

    /// Whether each response arrived whole, with a status that is expected. Of requests that were begun, one
    /// at least must have been answered.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.lost() == 0 && self.unexpected == 0 && (self.complete > 0 || self.requests == 0)
    }
}

impl LoadReport {
    /// All kinds' requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.sum(|kind| kind.requests)
    }

    /// All kinds' whole responses.
    #[must_use]
    pub fn complete(&self) -> u64 {
        self.sum(|kind| kind.complete)
    }

    /// All kinds' lost requests.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sum(KindReport::lost)
    }

    /// All kinds' responses with a status that is not expected.
    #[must_use]
    pub fn unexpected(&self) -> u64 {
        self.sum(|kind| kind.unexpected)
    }

    fn sum(&self, of: impl Fn(&KindReport) -> u64) -> u64 {
        self.kinds.iter().map(of).sum()
    }

    /// Whole responses a second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn rate(&self) -> f64 {
        self.complete() as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Whether there were requests, and every kind of them passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.unopened.is_none() && self.requests() > 0 && self.kinds.iter().all(KindReport::passed)
    }
}

/// A distribution of times, without the single values.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Times {
    /// How many values.
    pub count: u64,
    /// Quantiles, ascending, from 0 to 1, each with the time that so large a part of the values does not
    /// exceed.
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
