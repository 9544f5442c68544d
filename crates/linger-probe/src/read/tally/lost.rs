//! What connections lost, and how such sums are added.

use linger_wire::Side;
use linger_wire::trace::{Connection, Doubt, Finding, Way};

use crate::read::model::{Counts, Losses, RuleCount};
use crate::read::verdict::Severity;

/// What this connection lost.
pub(super) fn lost(connection: &Connection, worst: Option<Severity>) -> Losses {
    let has = |wanted: fn(&Finding) -> bool| u64::from(connection.findings.iter().any(wanted));
    let is_one_sided = connection.doubts.iter().any(|doubt| matches!(doubt, Doubt::OneDirection(_)));
    let has_ended = connection.end.way != Way::Open;
    let is_known = has_ended && !is_one_sided;
    let unacknowledged = |side: Side| if is_known { connection.sent(side).unacknowledged } else { 0 };
    Losses {
        connections: u64::from(worst == Some(Severity::LosesResponses)),
        response_bytes: unacknowledged(Side::Server),
        request_bytes: unacknowledged(Side::Client),
        bytes_after_close: connection.client_sent.after_close,
        unanswered: u64::from(connection.unanswered && is_known),
        without_close_notify: has(|finding| matches!(finding, Finding::NoCloseNotify { side: Side::Server })),
        cut_in_record: has(|finding| matches!(finding, Finding::CutInRecord { .. })),
    }
}

impl Losses {
    pub(super) fn add(&mut self, other: &Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.connections, other.connections);
        add(&mut self.response_bytes, other.response_bytes);
        add(&mut self.request_bytes, other.request_bytes);
        add(&mut self.bytes_after_close, other.bytes_after_close);
        add(&mut self.unanswered, other.unanswered);
        add(&mut self.without_close_notify, other.without_close_notify);
        add(&mut self.cut_in_record, other.cut_in_record);
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.lossy += other.lossy;
        self.response_bytes_lost = self.response_bytes_lost.saturating_add(other.response_bytes_lost);
        self.kinds.iter_mut().zip(other.kinds).for_each(|(sum, count)| *sum += count);
        other.verdicts.iter().for_each(|count| self.add_verdict(*count));
    }

    pub(super) fn add_verdict(&mut self, more: RuleCount) {
        let is_same = |count: &&mut RuleCount| (count.rule, count.side) == (more.rule, more.side);
        match self.verdicts.iter_mut().find(is_same) {
            Some(count) => count.connections += more.connections,
            None => self.verdicts.push(more),
        }
    }
}
