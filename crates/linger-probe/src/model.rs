//! What a run found: the one value that every output format is made from.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use self::gate::Gate;
use self::load::LoadReport;
use self::restart::RestartReport;
pub use self::used::UsedOptions;
use crate::remedy::Remedy;

pub mod gate;
mod json;
pub mod load;
pub mod restart;
mod used;

/// The version of the JSON report's schema, `schema/report.schema.json`. It is raised when a field changes
/// its meaning or its type, or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// That of the JSON form: [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version of the probe.
    pub version: &'static str,
    /// When the run began.
    #[serde(serialize_with = "rfc_3339")]
    pub started: SystemTime,
    /// How servers were checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<UsedOptions>,
    /// What was judged, in the order in which it was named.
    pub targets: Vec<TargetReport>,
    /// What was loaded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub load: Vec<LoadReport>,
    /// What was ended, or restarted, under a light load.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<RestartReport>,
    /// What should have been judged, and is not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// Which failures count, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Why the run ended before everything was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<String>,
}

/// A server that could not be started, or not be judged at all.
#[derive(Debug, Clone, Serialize)]
pub struct Gap {
    /// How to call it, short.
    pub name: String,
    /// Why, in a few words: `not installed: …`.
    pub why: String,
}

impl Default for Report {
    /// A report without anything in it yet, begun now by this version.
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

/// What a ladder's events were seen by. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ladders {
    /// The client's socket: what it wrote and what it read, in that order.
    SocketEvents,
    /// Packets, as they left.
    Packets,
}

/// What one server did.
#[derive(Debug, Clone, Serialize)]
pub struct TargetReport {
    /// How to call it, short: the host and port, or a program's name.
    pub name: String,
    /// What was probed.
    pub url: String,
    /// What its `Server` header says.
    pub server: Option<String>,
    /// Where the ladders come from.
    pub ladders: Ladders,
    /// One row per scenario, in the battery's order.
    pub rows: Vec<Row>,
    /// Why the rest could not be tried: it took no more connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
    /// What would mend failing rows, where that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<Remedy>,
}

/// One scenario against one server.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The scenario's name, as `--only` takes it: `early.stops_at_error`.
    pub scenario: &'static str,
    /// What the client does, in a few words.
    pub title: &'static str,
    /// The clause that asks for it: `RFC 9112 §9.6`.
    pub clause: &'static str,
    /// The judgement.
    pub verdict: Verdict,
    /// What a failure would mean, or means.
    pub severity: Severity,
    /// One sentence: why, in words about what a user of that server would see.
    pub reason: String,
    /// Each try.
    pub attempts: Vec<Attempt>,
    /// Of one try that shows the verdict: who sent what when.
    pub ladder: Vec<Event>,
}

/// What it means that a server fails a row, the worst first. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A client that does nothing wrong loses a response.
    LosesResponses,
    /// A client cannot tell what a protocol has a message for.
    BreaksProtocol,
    /// A client can hold on to the server's sockets.
    CanBeHeldOpen,
    /// The server could be gentler: a client that has everything, or that misbehaves, meets a reset.
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
    /// At least one did not.
    Fail,
    /// The server has nothing that this could be tried on.
    NotApplicable,
}

/// One try.
#[derive(Debug, Clone, Serialize)]
pub struct Attempt {
    /// Whether it went as the scenario expects.
    pub passed: bool,
    /// What did not, and what that means to the server's users, in a sentence. None where it passed.
    pub fault: Option<String>,
    /// What it saw, in a few words: `413, whole, then FIN`.
    pub saw: String,
    /// The status, where a response's head arrived.
    pub status: Option<u16>,
    /// Bytes of body that arrived.
    pub body_bytes: u64,
    /// Whether the whole response arrived.
    pub complete: bool,
    /// How the connection ended.
    pub end: End,
    /// Whether a reset followed that end.
    pub reset_later: bool,
    /// Whether the server announced the end, by a `close_notify` or a fatal alert. None on plain TCP.
    pub announced: Option<bool>,
    /// From the first byte sent to the response's last byte.
    #[serde(serialize_with = "milliseconds", rename = "latency_ms")]
    pub latency: Option<Duration>,
    /// From the server's FIN, or from the response where there is none, to when its socket was known to be
    /// released.
    #[serde(serialize_with = "milliseconds", rename = "release_ms")]
    pub release: Option<Duration>,
}

/// How a connection ended, for the client. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum End {
    /// The server's FIN.
    Fin,
    /// A `close_notify` without a FIN, also when it had been answered.
    CloseNotify,
    /// A reset, met by a read or by a write.
    Reset,
    /// A fatal alert, by its name, and then a FIN.
    Alert(String),
    /// It did not: nothing came for the stated time.
    TimedOut,
    /// It did not: more came than the probe takes.
    Endless,
    /// Anything else.
    Failed(String),
}

/// One line of a ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Since the connection's beginning.
    #[serde(serialize_with = "some_milliseconds", rename = "at_ms")]
    pub at: Duration,
    /// Who sent it.
    pub side: Side,
    /// What it is.
    pub what: What,
}

/// A side of the connection. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The probe.
    Client,
    /// The server under test.
    Server,
}

/// What was sent. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The connection, or the answer to it.
    Connect,
    /// The TLS handshake is done.
    Handshake,
    /// So many bytes of data, one or more segments of it.
    Data(u64),
    /// The TLS closure alert, RFC 8446 §6.1.
    CloseNotify,
    /// Any other alert, by its name.
    Alert(String),
    /// The end of this side's data.
    Fin,
    /// A reset: the connection is gone, with what was under way.
    Reset,
    /// A write that failed, after so many bytes: the side cannot send on.
    WriteFailed(u64),
    /// This side's socket was released.
    Release,
}

impl Serialize for What {
    /// An object whose fields have one type each, whatever the kind.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            kind: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            bytes: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            alert: Option<&'a str>,
        }
        let (kind, bytes, alert) = match self {
            Self::Connect => ("connect", None, None),
            Self::Handshake => ("handshake", None, None),
            Self::Data(bytes) => ("data", Some(*bytes), None),
            Self::CloseNotify => ("close_notify", None, None),
            Self::Alert(name) => ("alert", None, Some(name.as_str())),
            Self::Fin => ("fin", None, None),
            Self::Reset => ("reset", None, None),
            Self::WriteFailed(bytes) => ("write_failed", Some(*bytes), None),
            Self::Release => ("release", None, None),
        };
        Flat { kind, bytes, alert }.serialize(serializer)
    }
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

fn some_milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1e3)
}
