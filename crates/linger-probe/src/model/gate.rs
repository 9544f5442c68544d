//! Which failures count: those that are severe enough and new.

use serde::Serialize;

use super::{Row, Severity, TargetReport, Verdict};

/// What makes a run fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gate {
    /// Failures that are less severe do not count.
    pub fail_on: Severity,
    /// The comparison with an earlier run, whose failures do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Comparison>,
}

/// The failures of this run, compared with those of an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The file of the earlier run.
    pub file: String,
    /// Failures that the earlier run did not have.
    pub new: Vec<Place>,
    /// Failures of both runs.
    pub known: Vec<Place>,
    /// Rows that failed in the earlier run and pass now.
    pub healed: Vec<Place>,
}

/// A row of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The server's name in this run.
    pub target: String,
    /// The row's scenario.
    pub scenario: String,
}

/// Why a failure does not count. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excuse {
    /// The earlier run had the failure, too.
    Known,
    /// It is less severe than the severity that was asked for.
    Mild,
}

impl Gate {
    /// Why this failed row of this server does not make the run fail. `None` means that it does. The answer
    /// has no meaning for a row that did not fail.
    #[must_use]
    pub fn excuse(&self, target: &TargetReport, row: &Row) -> Option<Excuse> {
        let is_here = |place: &Place| place.target == target.name && place.scenario == row.scenario;
        match &self.baseline {
            _ if row.severity > self.fail_on => Some(Excuse::Mild),
            Some(comparison) if comparison.known.iter().any(is_here) => Some(Excuse::Known),
            _ => None,
        }
    }

    /// Whether no failure counts.
    #[must_use]
    pub fn lets_pass(&self, targets: &[TargetReport]) -> bool {
        let counts = |target: &TargetReport, row: &Row| {
            row.verdict == Verdict::Fail && self.excuse(target, row).is_none()
        };
        !targets.iter().any(|target| target.rows.iter().any(|row| counts(target, row)))
    }
}
