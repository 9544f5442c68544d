//! The worst few of many connections.

use std::cmp::Reverse;

use linger_wire::Side;
use linger_wire::trace::Connection;

use super::model::ConnectionReport;
use super::verdict::{Severity, Verdict};

/// How bad a connection is: the least is the worst. Of two that are as bad, the earlier one comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Badness {
    /// A connection without a verdict comes last.
    is_fine: bool,
    severity: Option<Severity>,
    /// Bytes of response that were lost, then the other bytes that arrived for nothing.
    lost: Reverse<u64>,
    wasted: Reverse<u64>,
    number: u64,
}

impl Badness {
    pub(super) fn of(connection: &Connection, verdicts: &[Verdict]) -> Self {
        let (client, server) = (&connection.client_sent, &connection.server_sent);
        let severity = verdicts.first().map(|verdict| verdict.severity);
        let unread = connection.end.reset.as_ref().filter(|reset| reset.by == Side::Server);
        let unread = unread.map_or(0, |reset| reset.unread);
        Self {
            is_fine: severity.is_none(),
            severity,
            lost: Reverse(server.unacknowledged),
            wasted: Reverse(client.after_close.saturating_add(client.unacknowledged).saturating_add(unread)),
            number: connection.number,
        }
    }
}

/// Keeps the worst connections.
#[derive(Debug)]
pub(super) struct Worst {
    most: usize,
    /// The worst first.
    kept: Vec<(Badness, ConnectionReport)>,
}

impl Worst {
    pub(super) fn new(most: usize) -> Self {
        Self { most, kept: Vec::new() }
    }

    /// Whether such a connection would be kept.
    pub(super) fn wants(&self, badness: &Badness) -> bool {
        self.kept.len() < self.most || self.kept.last().is_some_and(|(least, _)| badness < least)
    }

    pub(super) fn keep(&mut self, badness: Badness, report: ConnectionReport) {
        let place = self.kept.partition_point(|(kept, _)| *kept < badness);
        self.kept.insert(place, (badness, report));
        self.kept.truncate(self.most);
    }

    /// The worst `most` connections of all these, the worst first. Each has at most `alike` of them, unless
    /// the others have too few.
    pub(super) fn of_all(
        all: impl Iterator<Item = Self>,
        most: usize,
        alike: usize,
    ) -> Vec<ConnectionReport> {
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        for mut worst in all {
            rest.extend(worst.kept.drain(alike.min(worst.kept.len())..));
            first.extend(worst.kept);
        }
        for part in [&mut first, &mut rest] {
            part.sort_by_key(|(badness, _)| *badness);
        }
        first.extend(rest);
        let mut kept: Vec<_> = first.into_iter().take(most).collect();
        kept.sort_by_key(|(badness, _)| *badness);
        kept.into_iter().map(|(_, report)| report).collect()
    }

    pub(super) fn finish(self) -> Vec<ConnectionReport> {
        self.kept.into_iter().map(|(_, report)| report).collect()
    }
}
