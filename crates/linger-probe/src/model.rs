//! What a run found. Every output format is made from this one value.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use self::gate::Gate;
pub use self::ladder::{Event, Ladders, Side, What};
use self::load::LoadReport;
use self::restart::RestartReport;
pub use self::used::UsedOptions;
use crate::remedy::Remedy;

pub mod gate;
mod json;
mod ladder;
pub mod load;
pub mod restart;
mod used;

/// The version of the JSON report's schema, `schema/report.schema.json`. It is raised when a field changes
/// its meaning or its type, or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version of the JSON schema: [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version of the probe.
    pub version: &'static str,
    /// When the run began.
    #[serde(serialize_with = "rfc_3339")]
    pub started: SystemTime,
    /// How the servers were checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<UsedOptions>,
    /// The servers that were judged, in the order in which they were named.
    pub targets: Vec<TargetReport>,
    /// The servers that were loaded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub load: Vec<LoadReport>,
    /// The servers that were ended or restarted under a light load.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<RestartReport>,
    /// The servers that could not be judged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// Which failures count, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Why the run ended before everything was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<String>,
}

/// A server that could not be started or judged at all.
#[derive(Debug, Clone, Serialize)]
pub struct Gap {
    /// Its short name.
    pub name: String,
    /// Why, in a few words: `not installed: …`.
    pub why: String,
}

impl Default for Report {
    /// An empty report by this version, begun now.
    fn default() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            version: env!("CARGO_PKG_VERSION"),
            started: SystemTime::now(),
            options: None,
            targets: Vec::new(),
            load: Vec::new(),
            restarts: Vec::new(),
            gaps: Vec::new(),
            gate: None,
            interrupted: None,
        }
    }
}

/// What one server did.
#[derive(Debug, Clone, Serialize)]
pub struct TargetReport {
    /// Its short name: the host and port, or a program's name.
    pub name: String,
    /// The URL that was probed.
    pub url: String,
    /// The value of its `Server` header.
    pub server: Option<String>,
    /// What the ladders were made from.
    pub ladders: Ladders,
    /// One row per scenario, in the battery's order.
    pub rows: Vec<Row>,
    /// Why the rest could not be tried, such as that the server accepted no more connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
    /// What would fix failing rows, where that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<Remedy>,
}

/// One scenario against one server.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The scenario's name in the syntax of `--only`: `early.stops_at_error`.
    pub scenario: &'static str,
    /// What the client does, in a few words.
    pub title: &'static str,
    /// The clause that requires it: `RFC 9112 §9.6`.
    pub clause: &'static str,
    /// The judgement.
    pub verdict: Verdict,
    /// What a failure of this row means.
    pub severity: Severity,
    /// The reason for the verdict, in one sentence about what a user of the server would see.
    pub reason: String,
    /// Each try.
    pub attempts: Vec<Attempt>,
    /// Who sent what when, in one try that shows the verdict.
    pub ladder: Vec<Event>,
}

/// What it means that a server fails a row. The worst comes first. Exhaustive: a new variant is a breaking
/// change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A client that does nothing wrong loses a response.
    LosesResponses,
    /// A client misses a message of the protocol, such as `close_notify`, and cannot tell what it says.
    BreaksProtocol,
    /// A client can hold on to the server's sockets.
    CanBeHeldOpen,
    /// The server could be gentler: it resets a client that has received everything, or that misbehaves.
    Harsh,
}

/// A judgement. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Each try went as it should.
    Pass,
    /// Each response arrived, and at least one was followed by a reset. Linux clients keep what arrived
    /// before a reset; those of other systems lose what they have not read yet.
    PassOnLinux,
    /// At least one try did not go as it should.
    Fail,
    /// The server has nothing that the scenario could be tried on.
    NotApplicable,
}

/// One try.
#[derive(Debug, Clone, Serialize)]
pub struct Attempt {
    /// Whether it went as the scenario expects.
    pub passed: bool,
    /// What went wrong, and what that means to the server's users, in one sentence. `None` if it passed.
    pub fault: Option<String>,
    /// What the client saw, in a few words: `413, whole, then FIN`.
    pub saw: String,
    /// The status, if a response's head arrived.
    pub status: Option<u16>,
    /// Bytes of body that arrived.
    pub body_bytes: u64,
    /// Whether the whole response arrived.
    pub complete: bool,
    /// How the connection ended.
    pub end: End,
    /// Whether a reset followed that end.
    pub reset_later: bool,
    /// Whether a `close_notify` or a fatal alert announced the end. `None` on plain TCP.
    pub announced: Option<bool>,
    /// From the first byte sent to the response's last byte.
    #[serde(serialize_with = "milliseconds", rename = "latency_ms")]
    pub latency: Option<Duration>,
    /// From the server's FIN, or without one from the response, to when the server's socket was known to be
    /// released.
    #[serde(serialize_with = "milliseconds", rename = "release_ms")]
    pub release: Option<Duration>,
}

/// How a connection ended, as the client saw it. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum End {
    /// The server's FIN.
    Fin,
    /// A `close_notify` without a FIN, even after the client answered it.
    CloseNotify,
    /// A reset, which a read or a write reported.
    Reset,
    /// A fatal alert and then a FIN. The value is the alert's name.
    Alert(String),
    /// The connection did not end: nothing arrived within the timeout.
    TimedOut,
    /// The connection did not end: more data arrived than the probe reads.
    Endless,
    /// Another error.
    Failed(String),
}

impl TargetReport {
    /// How many rows have this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.rows.iter().filter(|row| row.verdict == verdict).count()
    }
}

fn rfc_3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}

#[allow(clippy::ref_option, reason = "serde's signature")]
fn milliseconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => some_milliseconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn some_milliseconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1e3)
}
