//! What deserves a word in how a connection ended: how bad it is, why, by which clause, and what helps.

use linger_wire::trace::Connection;
use serde::Serialize;

mod end;
mod finding;
mod rule;
mod table;
mod title;
mod tls;
pub(super) mod words;

pub use rule::Rule;

use self::table::entry;
use super::ladder::side;
use crate::model::{self, Side};

/// What a verdict means to those who use the connection. The worst comes first; the first four are those of
/// `check`. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A side that does nothing wrong loses a response, or could not get one.
    LosesResponses,
    /// A side misses a message of the protocol, and cannot tell an end from a cut.
    BreaksProtocol,
    /// A side holds on to the other's socket.
    CanBeHeldOpen,
    /// A reset that took nothing, as far as the trace tells.
    Harsh,
    /// Nobody loses anything: it is named because it can be seen.
    Harmless,
}

impl Severity {
    /// All severities, the worst first.
    pub const ALL: [Self; 5] =
        [Self::LosesResponses, Self::BreaksProtocol, Self::CanBeHeldOpen, Self::Harsh, Self::Harmless];

    /// Its name in words: `loses responses`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LosesResponses => "loses responses",
            Self::BreaksProtocol => "breaks protocol",
            Self::CanBeHeldOpen => "can be held open",
            Self::Harsh => "harsh",
            Self::Harmless => "harmless",
        }
    }
}

impl From<model::Severity> for Severity {
    fn from(severity: model::Severity) -> Self {
        match severity {
            model::Severity::LosesResponses => Self::LosesResponses,
            model::Severity::BreaksProtocol => Self::BreaksProtocol,
            model::Severity::CanBeHeldOpen => Self::CanBeHeldOpen,
            model::Severity::Harsh => Self::Harsh,
        }
    }
}

/// A verdict on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// By which rule.
    #[serde(rename = "name")]
    pub rule: Rule,
    /// Whose doing it is.
    pub side: Side,
    /// What it means.
    pub severity: Severity,
    /// What happened, in one sentence with its numbers, without a full stop.
    pub reason: String,
    /// The clause that it is about: `RFC 9112 §9.6`.
    pub clause: &'static str,
    /// What to change, in sentences.
    pub remedy: &'static str,
}

impl Verdict {
    fn new(rule: Rule, by: linger_wire::Side, reason: String) -> Self {
        let side = side(by);
        let entry = entry(rule, side);
        Self { rule, side, severity: entry.severity, reason, clause: entry.clause, remedy: entry.remedy }
    }
}

/// The verdicts on a connection, the worst first. None if it ended normally, without anything that deserves a
/// word, or is open.
#[must_use]
pub fn judge(connection: &Connection) -> Vec<Verdict> {
    let mut found: Vec<Verdict> = Vec::new();
    for finding in &connection.findings {
        found.extend(finding::judge(connection, finding));
    }
    if let Some(by_end) = end::judge(connection, &found) {
        found.insert(0, by_end);
    }
    found.sort_by_key(|verdict| verdict.severity);
    found
}
