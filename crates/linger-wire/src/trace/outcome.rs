//! In which way a connection ended.

use std::time::Duration;

use super::connection::Connection;
use super::end::{Asked, Cause, End, Reset, Silence, Way};
use super::flow::Flow;
use super::half::Asking;
use super::reset::{Aborted, is_strong};
use crate::transcript::Side;

impl Flow {
    /// Everything that the trace shows of it. `now` is the time of the trace's last packet.
    pub(super) fn outcome(&mut self, now: Duration) -> Connection {
        let ladder = self.ladder.events(usize::try_from(self.number).unwrap_or(1) - 1, self.client);
        Connection { ladder, ..self.summary(now) }
    }

    /// Everything but the ladder.
    pub(super) fn summary(&mut self, now: Duration) -> Connection {
        for half in [&mut self.client_half, &mut self.server_half] {
            half.window.end_zero(self.settled_at.unwrap_or(now));
        }
        let end = self.end(now);
        let tls = self.session.facts(&self.client_half.scanner, &self.server_half.scanner);
        let findings = self.findings(&end, tls.as_ref(), now);
        let doubts = self.doubts(&end, now);
        Connection {
            number: self.number,
            client: self.client,
            server: self.server,
            roles: self.roles,
            opening: self.opening(),
            first_at: self.first_at,
            last_at: self.last_at,
            packets: self.packets,
            client_sent: self.client_half.sent(self.after_close(Side::Client)),
            server_sent: self.server_half.sent(self.after_close(Side::Server)),
            unanswered: self.last_content == Some(Side::Client) && !self.goes_on,
            last_status: self.last_status,
            tls,
            end,
            findings,
            doubts,
            ladder: Vec::new(),
        }
    }

    fn end(&self, now: Duration) -> End {
        let mut end = End {
            way: Way::Open,
            by: None,
            at: self.last_at,
            closed_first: self.closed_first,
            reset: None,
            icmp: None,
            silence: None,
            signs: self.survived.clone(),
        };
        end.signs.extend(&self.fin_signs);
        if let Some(at) = self.settled_at.filter(|_| self.aborted.is_none()) {
            (end.way, end.by, end.at) = (Way::Normal, self.closed_first, at);
        } else if let Some(aborted) = &self.aborted {
            self.end_by_reset(aborted, &mut end);
        } else if let Some(errors) = &self.errors {
            (end.way, end.at, end.icmp) = (Way::Icmp, errors.at, Some(errors.error));
        } else if let Some((side, asking)) = self.waits(now) {
            (end.way, end.by, end.at) = (Way::Timeout, Some(side), asking.last_at);
            end.silence = Some(silence(side, asking, now));
        } else if let Some(side) = self.closed_first {
            let both = self.client_half.fin.is_some() && self.server_half.fin.is_some();
            end.way = if both { Way::Normal } else { Way::HalfClosed };
            end.by = Some(side);
            end.at = if both { self.last_at } else { self.half(side).fin_at.unwrap_or(self.last_at) };
        }
        let closes = matches!(end.way, Way::Normal | Way::HalfClosed);
        if closes && self.fin_signs.iter().any(|sign| is_strong(*sign)) {
            end.way = Way::Middlebox;
        }
        end
    }

    fn end_by_reset(&self, aborted: &Aborted, end: &mut End) {
        end.signs.extend(&aborted.signs);
        end.at = aborted.at;
        if self.is_harmless(aborted) {
            (end.way, end.by) = (Way::Normal, self.closed_first);
            return;
        }
        if let Some(errors) = self.errors.as_ref().filter(|errors| errors.error.about == aborted.by) {
            (end.way, end.at, end.icmp) = (Way::Icmp, errors.at, Some(errors.error));
            return;
        }
        end.by = Some(aborted.by);
        end.way = if aborted.waited.is_some() {
            Way::Timeout
        } else if aborted.is_strange() {
            Way::Middlebox
        } else {
            Way::Reset
        };
        end.silence = aborted.waited.map(|asking| silence(aborted.by, asking, aborted.at));
        end.reset = Some(Reset {
            by: aborted.by,
            cause: aborted.cause,
            while_sending: aborted.while_sending,
            unread: aborted.unread,
        });
    }

    /// Whether a reset took nothing: its sender had closed, and all that it sent was acknowledged; the other
    /// side had closed, too, and only its FIN, or a TLS alert before it, was answered by the reset.
    pub(super) fn is_harmless(&self, aborted: &Aborted) -> bool {
        let (half, other) = (self.half(aborted.by), self.half(aborted.by.other()));
        half.fin_acked_at.is_some()
            && other.fin.is_some()
            && aborted.waited.is_none()
            && !aborted.is_strange()
            && !self.is_content_late(aborted)
    }

    /// Whether data or handshake records of the other side came after the sender of the reset had released
    /// its socket.
    pub(super) fn is_content_late(&self, aborted: &Aborted) -> bool {
        let other = self.half(aborted.by.other());
        aborted.received.is_some_and(|received| other.has_content_after(received))
    }

    /// Bytes of this side that came after the other side had released its socket.
    pub(super) fn after_close(&self, side: Side) -> u64 {
        let aborted = self.aborted.as_ref().filter(|aborted| aborted.by != side && aborted.waited.is_none());
        let received = aborted.filter(|aborted| aborted.cause != Cause::Refused);
        received.and_then(|aborted| aborted.received).map_or(0, |received| self.half(side).after(received))
    }

    /// The side that asks for an answer and gets none, and what it asks.
    pub(super) fn waits(&self, now: Duration) -> Option<(Side, Asking)> {
        let often = |asking: &Asking| {
            let waited = now.saturating_sub(asking.last_at);
            asking.count >= 2 || (asking.with == Asked::Syn && waited >= NO_SECOND_SYN)
        };
        [Side::Client, Side::Server]
            .into_iter()
            .filter(|side| !self.is_one_sided(*side))
            .filter_map(|side| Some((side, self.half(side).asking.filter(often)?)))
            .max_by_key(|(_, asking)| asking.count)
    }
}

fn silence(by: Side, asking: Asking, until: Duration) -> Silence {
    Silence {
        of: by.other(),
        asked_by: asking.with,
        attempts: asking.count,
        lasted: until.saturating_sub(asking.first_at),
    }
}

/// A SYN without an answer is sent again after a second (RFC 6298 §2). If it is not, its sender gave up.
const NO_SECOND_SYN: Duration = Duration::from_secs(3);
