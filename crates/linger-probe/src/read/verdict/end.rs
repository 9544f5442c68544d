//! The verdict on the way in which a connection ended, where no finding says it.

use linger_wire::Side;
use linger_wire::trace::{Asked, Cause, Connection, Opening, Reset, Way};

use super::finding::reset_while_receiving;
use super::words::{icmp, name, sign, stream};
use super::{Rule, Verdict};
use crate::quantity::{counted, size, span};
use crate::read::kind::is_instead_of_answer;

/// `found` are the verdicts on the findings.
pub(super) fn judge(connection: &Connection, found: &[Verdict]) -> Option<Verdict> {
    let has = |rule: Rule| found.iter().any(|verdict| verdict.rule == rule);
    match connection.end.way {
        Way::Normal => closed_unanswered(connection).filter(|_| !has(Rule::KeepAliveRace)),
        Way::Open => None,
        Way::HalfClosed if [Rule::CloseWait, Rule::FinWait2, Rule::HalfClosed].into_iter().any(has) => None,
        Way::HalfClosed => {
            Some(half_closed(connection.end.closed_first.or(connection.end.by).unwrap_or(Side::Server)))
        }
        Way::Reset if found.iter().any(|verdict| verdict.rule.explains_reset()) => None,
        Way::Reset => Some(reset(connection)),
        Way::Icmp => Some(unreachable(connection)),
        Way::Timeout if has(Rule::PortInTimeWait) => None,
        Way::Timeout => Some(timeout(connection)),
        Way::Middlebox => Some(middlebox(connection)),
    }
}

/// Only where nothing at all was answered: the last message of many protocols needs no answer.
fn closed_unanswered(connection: &Connection) -> Option<Verdict> {
    let (client, server) = (&connection.client_sent, &connection.server_sent);
    let has_asked = connection.tls.as_ref().map_or(client.bytes > 0, |tls| tls.client.has_data);
    let has_answered = connection.tls.as_ref().map_or(server.bytes > 0, |tls| tls.server.has_data);
    // An alert is an answer, too: it refuses the session.
    let is_refused = connection
        .tls
        .as_ref()
        .is_some_and(|tls| tls.server.ends_with_alert && tls.server.last_alert != Some(CLOSE_NOTIFY));
    // A side whose packets were not captured may have answered.
    if !connection.unanswered || !has_asked || has_answered || is_refused || server.missing > 0 {
        return None;
    }
    let by = connection.end.closed_first?;
    let bytes = size(client.bytes);
    let reason = match by {
        Side::Server => format!("the server closed without any answer to {bytes} of the client"),
        Side::Client => {
            let at = connection.client_sent.fin_at.unwrap_or(connection.end.at);
            let after = span(at.saturating_sub(connection.first_at));
            format!("the client closed {after} after the connection began, and had no answer to its {bytes}")
        }
    };
    Some(Verdict::new(Rule::ClosedUnanswered, by, reason))
}

/// A connection that this side alone has closed.
pub(super) fn half_closed(by: Side) -> Verdict {
    let reason =
        format!("the {} closed, and the {} had not closed when the trace ended", name(by), name(by.other()));
    Verdict::new(Rule::HalfClosed, by, reason)
}

fn reset(connection: &Connection) -> Verdict {
    let Some(reset) = &connection.end.reset else {
        let by = connection.end.by.unwrap_or(Side::Server);
        return Verdict::new(Rule::Abort, by, format!("the {} reset the connection", name(by)));
    };
    match reset.cause {
        Cause::Refused => {
            let reason = format!("the SYN to {} was answered by a RST", connection.server);
            Verdict::new(Rule::Refused, Side::Server, reason)
        }
        _ if connection.opening == Opening::Challenged => challenged(connection),
        Cause::AnswersLateSegment
        | Cause::AfterFin
        | Cause::UnreadData
        | Cause::Abort
        | Cause::GaveUp
        | Cause::InTimeWait
            if (reset.while_sending || reset.unread > 0) && !is_instead_of_answer(connection, reset) =>
        {
            let (own, theirs) = (connection.sent(reset.by), connection.sent(reset.by.other()));
            let (late, lost) = (theirs.after_close, own.unacknowledged);
            let reason = reset_while_receiving(connection, reset.by, reset.unread, late, lost);
            Verdict::new(Rule::ResetWhileReceiving, reset.by, reason)
        }
        Cause::AnswersLateSegment
        | Cause::AfterFin
        | Cause::UnreadData
        | Cause::Abort
        | Cause::GaveUp
        | Cause::InTimeWait => quiet_reset(connection, reset),
    }
}

/// A reset while the other side was not sending.
fn quiet_reset(connection: &Connection, reset: &Reset) -> Verdict {
    let (by, me) = (reset.by, name(reset.by));
    if is_instead_of_answer(connection, reset) {
        let asked = size(connection.client_sent.bytes);
        let reason = format!("the server reset the connection instead of an answer to {asked} of the client");
        return Verdict::new(Rule::ResetUnfinished, by, reason);
    }
    let lost = connection.sent(by).unacknowledged;
    let waits = connection.unanswered && by == Side::Server;
    let (rule, what) = match (lost, waits, connection.unanswered) {
        (1.., _, _) => {
            (Rule::ResetUnfinished, format!(": {} of its {} were not acknowledged", size(lost), stream(by)))
        }
        (0, true, _) => (Rule::ResetUnfinished, ": the client's last request has no answer".to_owned()),
        (0, false, true) => (
            Rule::ResetUnfinished,
            format!(
                ": it had waited {} since the connection began, without an answer to its last request",
                span(connection.end.at.saturating_sub(connection.first_at))
            ),
        ),
        (0, false, false) => (Rule::Abort, String::new()),
    };
    let after = match reset.cause {
        Cause::AnswersLateSegment => "in the form of an answer for a socket that is gone",
        Cause::AfterFin => "after its own FIN",
        Cause::UnreadData => "with data unread",
        Cause::GaveUp => "after probes without an answer",
        Cause::InTimeWait => "after both had closed",
        Cause::Refused | Cause::Abort => "without a FIN (an abort, a killed process, or a reset on the way)",
    };
    Verdict::new(rule, by, format!("the {me} reset the connection {after}{what}"))
}

fn challenged(connection: &Connection) -> Verdict {
    let reason = format!(
        "the SYN was answered by an ACK of an older connection of port {}, which the server still has",
        connection.client.port()
    );
    Verdict::new(Rule::Challenged, Side::Server, reason)
}

fn unreachable(connection: &Connection) -> Verdict {
    let Some(icmp_error) = &connection.end.icmp else {
        return Verdict::new(Rule::IcmpEnd, Side::Server, "an ICMP error was the last word".to_owned());
    };
    let about = icmp_error.about;
    let reason = format!(
        "{} said \"{}\" to the {} ({}), and nothing came afterwards",
        icmp_error.from,
        icmp(icmp_error.kind),
        name(about),
        counted(icmp_error.count, "ICMP error", "ICMP errors"),
    );
    Verdict::new(Rule::IcmpEnd, about.other(), reason)
}

fn timeout(connection: &Connection) -> Verdict {
    if connection.opening == Opening::Challenged {
        return challenged(connection);
    }
    let Some(silence) = &connection.end.silence else {
        let by = connection.end.by.unwrap_or(Side::Server);
        return Verdict::new(Rule::Timeout, by, format!("the {} did not answer any more", name(by)));
    };
    let (silent, asking) = (name(silence.of), name(silence.of.other()));
    let lasted = span(silence.lasted);
    let lost = connection.sent(silence.of.other()).unacknowledged;
    let counted = |one: &str, several: &str| counted(silence.attempts, one, several);
    let (rule, reason) = match silence.asked_by {
        Asked::Syn if silence.of == Side::Client => (
            Rule::NoAnswer,
            format!(
                "the client answered none of the server's {} in {lasted}",
                counted("SYN-ACK", "SYN-ACKs")
            ),
        ),
        Asked::Syn => (
            Rule::NoAnswer,
            format!("{} answered none of {} in {lasted}", connection.server, counted("SYN", "SYNs")),
        ),
        Asked::Retransmission if lost == 0 && !connection.unanswered => {
            let attempts = counted("retransmission", "retransmissions");
            let reason =
                format!("the {silent} answered none of the {asking}'s {attempts} of its FIN in {lasted}");
            (Rule::FinTimeout, reason)
        }
        Asked::Retransmission => {
            let what = if lost > 0 { format!(" of {}", size(lost)) } else { String::new() };
            let attempts = counted("retransmission", "retransmissions");
            (
                Rule::Timeout,
                format!("the {silent} answered none of the {asking}'s {attempts}{what} in {lasted}"),
            )
        }
        Asked::Keepalive => {
            let attempts = counted("keep-alive probe", "keep-alive probes");
            (
                Rule::KeepAliveTimeout,
                format!("the {silent} answered none of the {asking}'s {attempts} in {lasted}"),
            )
        }
        Asked::WindowProbe => {
            let attempts = counted("probe", "probes");
            (
                Rule::WindowProbeTimeout,
                format!("the {silent}'s window was zero, and it answered none of {attempts} in {lasted}"),
            )
        }
    };
    Verdict::new(rule, silence.of, reason)
}

fn middlebox(connection: &Connection) -> Verdict {
    let by = connection.end.by.unwrap_or(Side::Server);
    let what = if connection.end.reset.is_some() { "RST" } else { "FIN" };
    let signs: Vec<String> = connection.end.signs.iter().map(sign).collect();
    let reason = format!(
        "a {what} in the {}'s name has signs of a device on the way, which are no proof: {}",
        name(by),
        signs.join("; ")
    );
    Verdict::new(Rule::MiddleboxSigns, by, reason)
}

/// The description of the alert that ends a session in order (RFC 8446 §6.1).
const CLOSE_NOTIFY: u8 = 0;
