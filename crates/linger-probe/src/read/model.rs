//! What a reading found. Every output format is made from this one value.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::kind::Kind;
use super::verdict::{Rule, Severity};
use crate::model::Side;
use crate::model::some_milliseconds;
use crate::shown::escaped_json;

mod connection;
mod doubt;
mod time;

pub use connection::{
    ConnectionReport, EndReport, IcmpReport, ResetReport, SentReport, SilenceReport, TlsReport, TlsSideReport,
};
pub use doubt::{DoubtKind, DoubtReport};
pub use time::{At, Span};

/// The version of the JSON schema of readings, `schema/read.schema.json`. It is raised when a field changes
/// its meaning or its type, or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// What was read, summed up.
#[derive(Debug, Clone, Serialize)]
pub struct Reading {
    /// The version of the JSON schema: [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version of the probe.
    pub version: &'static str,
    /// What was read, in this order.
    pub sources: Vec<Source>,
    /// Which connections count, in the syntax of `--filter`. All if there is none.
    pub filters: Vec<String>,
    /// The times of the first and last packet of the connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// How many connections there were.
    pub connections: u64,
    /// How many packets they had.
    pub packets: u64,
    /// How many connections ended in which way: each kind, also those that did not occur, in the order of
    /// [`Kind::ALL`].
    pub kinds: Vec<KindCount>,
    /// How many connections have a verdict of this severity, and none that is worse: each severity, the worst
    /// first. The rest has no verdict.
    pub severities: Vec<SeverityCount>,
    /// What was lost.
    pub losses: Losses,
    /// The servers, the busiest first: at most [`SERVERS`](super::tally::SERVERS).
    pub servers: Vec<ServerRow>,
    /// The servers that are not listed, summed up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<Others>,
    /// How many connections have each verdict: the worst severity first, then the most frequent.
    pub verdicts: Vec<VerdictCount>,
    /// What the trace lacks: the most frequent first.
    pub doubts: Vec<DoubtCount>,
    /// How many connections ended when.
    pub timeline: Timeline,
    /// The worst connections, the worst first: at most [`WORST`](super::tally::WORST), of different kinds as far
    /// as there are.
    pub worst: Vec<ConnectionReport>,
    /// Examples of each kind that occurs: at most [`EXAMPLES`](super::tally::EXAMPLES) of each, the worst
    /// first.
    pub examples: Vec<Examples>,
    /// Counters of the kernel that grew meanwhile, if the connections were watched live. They count all
    /// connections of the network namespace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kernel: Vec<KernelCount>,
    /// From which severity on a verdict makes the run fail, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_on: Option<Severity>,
    /// Why the reading ended before its sources did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<String>,
}

impl Reading {
    /// How many connections have a verdict that is at least so severe.
    #[must_use]
    pub fn at_least(&self, severity: Severity) -> u64 {
        let counts = self.severities.iter().filter(|count| count.severity <= severity);
        counts.map(|count| count.connections).sum()
    }

    /// How many connections ended so.
    #[must_use]
    pub fn count(&self, kind: Kind) -> u64 {
        self.kinds.get(kind.index()).map_or(0, |count| count.connections)
    }

    /// The reading as one JSON object, with hidden characters escaped. Its last line ends in a newline.
    ///
    /// # Panics
    /// Never: the model's maps have names as keys, and its numbers are finite, so `serde_json` refuses nothing.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("the model is all plain values");
        json.push('\n');
        escaped_json(&json)
    }
}

/// A file that was read, or an interface that was watched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Source {
    /// The file's name, `-` for standard input.
    pub name: String,
    /// The bytes that were read of it, as it is stored: compressed, if it is.
    pub bytes: u64,
    /// The packets in it that were followed: TCP, and ICMP errors about TCP.
    pub packets: u64,
    /// Fragments of IP packets, which are not followed.
    pub fragments: u64,
    /// Packets of other protocols.
    pub others: u64,
    /// Packets whose headers are cut off or make no sense.
    pub damaged: u64,
    /// Packets of interfaces whose link type is not known.
    pub unknown: u64,
    /// Packets that the capture itself says that it dropped.
    pub dropped: u64,
    /// Why not all of it could be read. `None` if it was read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// How many connections ended in a way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KindCount {
    /// The way.
    pub kind: Kind,
    /// How many.
    pub connections: u64,
    /// Their share of all connections, from 0 to 1. 0 if there is none.
    pub share: f64,
}

/// How many connections have this as their worst severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SeverityCount {
    /// The severity.
    pub severity: Severity,
    /// How many.
    pub connections: u64,
}

/// What was lost, summed up over all connections that ended. Bytes whose acknowledgement the capture cannot
/// have seen, because it has packets of one direction only, do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Losses {
    /// Connections that lost something: those with a verdict of the severity
    /// [`LosesResponses`](Severity::LosesResponses).
    pub connections: u64,
    /// Bytes of responses that were sent and never acknowledged.
    pub response_bytes: u64,
    /// Bytes of requests that were sent and never acknowledged.
    pub request_bytes: u64,
    /// Bytes that clients sent after the server had released its socket.
    pub bytes_after_close: u64,
    /// Connections whose last request has no answer.
    pub unanswered: u64,
    /// Connections whose server ended TLS without `close_notify`.
    pub without_close_notify: u64,
    /// Connections in which a stream ended within a TLS record.
    pub cut_in_record: u64,
}

fn by_kind<S: Serializer>(kinds: &[u64; Kind::ALL.len()], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(Kind::ALL.into_iter().map(Kind::key).zip(kinds))
}

/// A server, by its address and port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerRow {
    /// The address and port.
    pub server: SocketAddr,
    /// What its connections were like.
    #[serde(flatten)]
    pub counts: Counts,
}

/// The servers that are not listed, summed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Others {
    /// How many there were, or more: one that was forgotten and came back counts again.
    pub servers: u64,
    /// What their connections were like.
    #[serde(flatten)]
    pub counts: Counts,
}

/// The sums of a server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Connections.
    pub connections: u64,
    /// Connections that lost something.
    pub lossy: u64,
    /// Bytes of its responses that were sent and never acknowledged.
    pub response_bytes_lost: u64,
    /// How many of them ended in which way, in the order of [`Kind::ALL`]. In JSON, an object.
    #[serde(serialize_with = "by_kind")]
    pub kinds: [u64; Kind::ALL.len()],
    /// How many of them have which verdict, in no order.
    pub verdicts: Vec<RuleCount>,
}

/// How many connections of a server have a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RuleCount {
    /// By which rule.
    #[serde(rename = "name")]
    pub rule: Rule,
    /// Whose doing it is.
    pub side: Side,
    /// How many.
    pub connections: u64,
}

/// How many connections have a verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerdictCount {
    /// By which rule.
    #[serde(rename = "name")]
    pub rule: Rule,
    /// Whose doing it is.
    pub side: Side,
    /// What it means.
    pub severity: Severity,
    /// What these connections have in common, in a sentence without a full stop.
    pub title: &'static str,
    /// The clause that it is about.
    pub clause: &'static str,
    /// What to change, in sentences.
    pub remedy: &'static str,
    /// How many connections.
    pub connections: u64,
    /// Their share of all connections, from 0 to 1.
    pub share: f64,
    /// The sentence about the worst of them, with its numbers.
    pub example: String,
    /// The number of the connection that the example is about.
    pub example_number: u64,
}

/// How many connections have a doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoubtCount {
    /// Which.
    pub name: DoubtKind,
    /// What it is, and what is not known because of it.
    pub meaning: &'static str,
    /// How many connections.
    pub connections: u64,
}

/// By how much a counter of the kernel grew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KernelCount {
    /// Its name, as `nstat` prints it without its group: `TCPAbortOnClose`.
    pub name: &'static str,
    /// By how much.
    pub growth: u64,
    /// What it counts, in a clause.
    pub meaning: &'static str,
}

/// How many connections ended when.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Timeline {
    /// The width of a bucket.
    #[serde(serialize_with = "some_milliseconds", rename = "width_ms")]
    pub width: Duration,
    /// The buckets, one after the other without a gap, at most
    /// [`BUCKETS`](super::timeline::BUCKETS). Empty if there is no connection.
    pub buckets: Vec<Bucket>,
}

/// A part of the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Its begin.
    pub from: At,
    /// How many connections ended within it in which way, in the order of [`Kind::ALL`]. In JSON, an object.
    #[serde(serialize_with = "by_kind")]
    pub kinds: [u64; Kind::ALL.len()],
}

/// Examples of a kind.
#[derive(Debug, Clone, Serialize)]
pub struct Examples {
    /// The kind.
    pub kind: Kind,
    /// The connections.
    pub connections: Vec<ConnectionReport>,
}
