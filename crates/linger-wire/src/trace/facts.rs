//! What deserves a word in how a connection ended.

use std::time::Duration;

use super::end::{Cause, End, Way};
use super::finding::{Finding, SynAnswer};
use super::flow::Flow;
use super::reset::Aborted;
use super::tls::Tls;
use crate::transcript::Side;

impl Flow {
    pub(super) fn findings(&self, end: &End, tls: Option<&Tls>, now: Duration) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(aborted) = &self.aborted {
            self.of_reset(aborted, tls, &mut findings);
        }
        if let Some(by) = self.late_reset {
            findings.push(Finding::TimeWaitAssassination { by });
        }
        if let Some(reused) = self.reused {
            let silent = (!self.handshake.syn_ack).then_some(SynAnswer::Silence);
            if let Some(answer) = reused.answer.or(silent) {
                findings.push(Finding::PortInTimeWait { since: reused.since, answer });
            }
        }
        for side in [Side::Client, Side::Server] {
            self.of_waiting(side, end, now, &mut findings);
        }
        if let Some(request) = self.request.as_ref().filter(|request| request.crossed) {
            findings.push(Finding::KeepAliveRace { bytes: request.bytes, idle: request.idle });
        }
        for side in [Side::Client, Side::Server] {
            if let Some(tls) = tls {
                self.of_tls(side, tls, &mut findings);
            }
            let lasted = self.half(side).window.longest_zero();
            if lasted >= LONG_ZERO {
                findings.push(Finding::ZeroWindow { side, lasted });
            }
        }
        if self.healed > 0 {
            findings.push(Finding::IcmpHealed { count: self.healed });
        }
        if self.simultaneous {
            findings.push(Finding::SimultaneousClose);
        }
        findings
    }

    fn of_reset(&self, aborted: &Aborted, tls: Option<&Tls>, findings: &mut Vec<Finding>) {
        match aborted.cause {
            Cause::AnswersLateSegment | Cause::AfterFin | Cause::UnreadData | Cause::Abort => {}
            Cause::Refused | Cause::GaveUp | Cause::InTimeWait => return,
        }
        let by = aborted.by;
        let late = self.after_close(by.other());
        let content = self.is_content_late(aborted);
        let other = self.half(by.other());
        let closed = self.half(by).fin.is_some();
        // Its last word was an alert: it has no data or handshake record after what was received.
        let alert = tls.is_some() && late > 0 && !content;
        if alert && (closed || other.fin.is_some()) {
            findings.push(Finding::CloseNotifyReset { by });
        } else if aborted.while_sending || aborted.unread > 0 {
            let lost = self.half(by).unacknowledged();
            findings.push(Finding::ResetWhileReceiving { by, unread: aborted.unread, late, lost });
        }
        if closed && content {
            findings.push(Finding::DataAfterClose { closed: by, bytes: late });
        }
    }

    /// `FIN_WAIT2` of this side, and `CLOSE_WAIT`.
    fn of_waiting(&self, side: Side, end: &End, now: Duration, findings: &mut Vec<Finding>) {
        let (half, other) = (self.half(side), self.half(side.other()));
        // Only the side that closed first waits for the other's FIN.
        let Some(acked) = half.fin_acked_at.filter(|_| self.closed_first == Some(side)) else { return };
        let open = other.fin.is_none() && self.aborted.is_none() && end.way == Way::HalfClosed;
        let until = match (other.fin_at, &self.aborted) {
            (Some(fin), _) => fin,
            (None, Some(aborted)) => aborted.at,
            (None, None) => now,
        };
        let lasted = until.saturating_sub(acked);
        if open || lasted >= LONG_WAIT {
            findings.push(Finding::FinWait2 { side, lasted, open });
        }
        if open {
            let fin = half.fin_at.unwrap_or(acked);
            findings.push(Finding::CloseWait { side: side.other(), lasted: now.saturating_sub(fin) });
        }
    }

    fn of_tls(&self, side: Side, tls: &Tls, findings: &mut Vec<Finding>) {
        let own = match side {
            Side::Client => tls.client,
            Side::Server => tls.server,
        };
        let closed = self.half(side).fin.is_some()
            || self.aborted.as_ref().is_some_and(|aborted| aborted.by == side && aborted.waited.is_none());
        let data = tls.client.has_data || tls.server.has_data;
        if closed && data && !own.ends_with_alert && !own.lost {
            findings.push(Finding::NoCloseNotify { side });
        }
        if closed && own.cut_in_record {
            findings.push(Finding::CutInRecord { side });
        }
        let named = own.last_alert.filter(|description| *description != CLOSE_NOTIFY);
        // Before there is data, nobody closes: a hidden alert is an error.
        let hidden = own.alerts > 0 && own.last_alert.is_none() && !data;
        if named.is_some() || hidden {
            findings.push(Finding::Alert { side, description: named });
        }
    }
}

/// RFC 8446 §6.1.
const CLOSE_NOTIFY: u8 = 0;
/// A side that waits for the other's FIN for less is not worth a word.
const LONG_WAIT: Duration = Duration::from_secs(1);
/// Linux probes a window of zero after as long as this at the earliest.
const LONG_ZERO: Duration = Duration::from_millis(200);
