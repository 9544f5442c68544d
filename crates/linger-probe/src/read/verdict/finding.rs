//! The verdict on each finding.

use std::fmt::Write as _;
use std::time::Duration;

use linger_wire::Side;
use linger_wire::trace::{Connection, Finding, Opening, Reset, SynAnswer, Way};

use super::end::half_closed;
use super::words::{name, stream};
use super::{Rule, Verdict, tls};
use crate::quantity::{counted, size, span};
use crate::read::kind::is_instead_of_answer;

/// A side that has had less time to close may still do so.
const PATIENCE: Duration = Duration::from_secs(1);

/// `None` where another finding says it better.
pub(super) fn judge(connection: &Connection, finding: &Finding) -> Option<Verdict> {
    if is_said_otherwise(connection, finding) {
        return None;
    }
    Some(match *finding {
        Finding::ResetWhileReceiving { by, unread, late, lost } => {
            let reason = reset_while_receiving(connection, by, unread, late, lost);
            Verdict::new(Rule::ResetWhileReceiving, by, reason)
        }
        Finding::DataAfterClose { closed, bytes } => data_after_close(connection, closed, bytes),
        Finding::KeepAliveRace { bytes, idle } => keep_alive_race(bytes, idle),
        Finding::TimeWaitAssassination { by } => {
            let reason = format!("a RST of the {} came in TIME_WAIT: assassination", name(by));
            Verdict::new(Rule::TimeWaitAssassination, by, reason)
        }
        Finding::PortInTimeWait { since, answer } => port_in_time_wait(connection, since, answer),
        Finding::FinWait2 { side, lasted, open } => fin_wait2(side, lasted, open),
        Finding::CloseWait { side, lasted } if lasted < PATIENCE => half_closed(side.other()),
        Finding::CloseWait { side, lasted } => close_wait(side, lasted),
        Finding::CloseNotifyReset { by } => tls::close_notify_reset(by),
        Finding::NoCloseNotify { side } => tls::no_close_notify(connection, side),
        Finding::CutInRecord { side } => tls::cut_in_record(side),
        Finding::Alert { side, description } => tls::alert(connection, side, description),
        Finding::ZeroWindow { side, lasted } => {
            let me = name(side);
            let reason = format!("the {me} announced a window of zero for {}: it did not read", span(lasted));
            Verdict::new(Rule::ZeroWindow, side, reason)
        }
        Finding::IcmpHealed { count } => {
            let errors = counted(count, "ICMP error", "ICMP errors");
            let reason = format!("the connection went on in spite of {errors}");
            Verdict::new(Rule::IcmpHealed, Side::Server, reason)
        }
        Finding::SimultaneousClose => {
            let reason = "both sides sent their FIN before they had the other's".to_owned();
            Verdict::new(Rule::SimultaneousClose, Side::Server, reason)
        }
    })
}

/// Whether another verdict says the same thing better.
fn is_said_otherwise(connection: &Connection, finding: &Finding) -> bool {
    let has = |wanted: &dyn Fn(&Finding) -> bool| connection.findings.iter().any(wanted);
    // A packet that may come from neither side says nothing about what its claimed sender did.
    let may_be_forged = connection.end.way == Way::Middlebox;
    let is_race = has(&|other| matches!(other, Finding::KeepAliveRace { .. }));
    match *finding {
        Finding::ResetWhileReceiving { by, .. } => {
            let is_refusal = |reset: &Reset| reset.by == by && is_instead_of_answer(connection, reset);
            may_be_forged
                || (is_race && by == Side::Server)
                || connection.end.reset.as_ref().is_some_and(is_refusal)
        }
        Finding::DataAfterClose { closed, .. } => {
            let is_reset =
                |other: &Finding| matches!(other, Finding::ResetWhileReceiving { by, .. } if *by == closed);
            may_be_forged || has(&is_reset) || (is_race && closed == Side::Server)
        }
        Finding::KeepAliveRace { .. } | Finding::CloseNotifyReset { .. } => may_be_forged,
        // The side that waits is not the one to change.
        Finding::FinWait2 { side, open: true, .. } => {
            has(&|other| matches!(other, Finding::CloseWait { side: other, .. } if *other != side))
        }
        // Its other side cut it.
        Finding::CutInRecord { side } => connection.end.reset.as_ref().is_some_and(|reset| reset.by != side),
        Finding::TimeWaitAssassination { .. }
        | Finding::PortInTimeWait { .. }
        | Finding::FinWait2 { open: false, .. }
        | Finding::CloseWait { .. }
        | Finding::NoCloseNotify { .. }
        | Finding::Alert { .. }
        | Finding::ZeroWindow { .. }
        | Finding::IcmpHealed { .. }
        | Finding::SimultaneousClose => false,
    }
}

/// Also for a reset without the finding, by what its end says.
pub(super) fn reset_while_receiving(
    connection: &Connection,
    by: Side,
    unread: u64,
    late: u64,
    lost: u64,
) -> String {
    let (me, other) = (name(by), name(by.other()));
    let theirs = match by {
        Side::Server => "upload",
        Side::Client => "response",
    };
    let closed = connection.sent(by).fin_at.is_some();
    let mut reason = match (unread, closed) {
        (0, true) => format!("the {me} closed while the {other} was sending"),
        (0, false) => format!("the {me} reset the connection while the {other} was sending"),
        (unread, _) => format!("the {me} closed with about {} of {theirs} unread", size(unread)),
    };
    if late > 0 {
        // Writing to a string cannot fail.
        _ = write!(reason, ", and {} more came too late", size(late));
    }
    reason + &taken(connection, by, lost)
}

/// What a reset of this side may have taken of its own stream.
fn taken(connection: &Connection, by: Side, lost: u64) -> String {
    let (own, sent) = (stream(by), connection.sent(by).bytes);
    let own = match (by, connection.last_status) {
        (Side::Server, Some(status)) => format!("the {status} {own}"),
        (Side::Server, None) | (Side::Client, _) => own.to_owned(),
    };
    match (by, lost, sent) {
        (_, 1.., _) => format!(": its RST took {} of {own}", size(lost)),
        (Side::Server, 0, 0) => ": no response was sent".to_owned(),
        (Side::Server, 0, _) => {
            format!(": {} of {own} had been acknowledged, which does not say that they were read", size(sent))
        }
        (Side::Client, 0, _) => String::new(),
    }
}

fn data_after_close(connection: &Connection, closed: Side, bytes: u64) -> Verdict {
    let (me, other) = (name(closed), name(closed.other()));
    let lost = connection.sent(closed).unacknowledged;
    let reason = format!(
        "{} of the {other} came after the {me} had closed, and {} answered by a RST{}",
        size(bytes),
        if bytes == 1 { "was" } else { "were" },
        taken(connection, closed, lost)
    );
    Verdict::new(Rule::DataAfterClose, closed, reason)
}

fn keep_alive_race(bytes: u64, idle: Duration) -> Verdict {
    let reason = format!(
        "keep-alive race: a request of {} crossed the server's FIN after {} without traffic, and was not answered",
        size(bytes),
        span(idle)
    );
    Verdict::new(Rule::KeepAliveRace, Side::Server, reason)
}

fn fin_wait2(side: Side, lasted: Duration, open: bool) -> Verdict {
    let (me, other, lasted) = (name(side), name(side.other()), span(lasted));
    let until =
        if open { format!(": the {other} had not closed when the trace ended") } else { String::new() };
    let reason =
        format!("FIN_WAIT2 for {lasted}: the {me} had closed and waited for the {other}'s FIN{until}");
    Verdict::new(Rule::FinWait2, side, reason)
}

fn close_wait(side: Side, lasted: Duration) -> Verdict {
    let (me, other, lasted) = (name(side), name(side.other()), span(lasted));
    let reason = format!(
        "CLOSE_WAIT: the {me} acknowledged the {other}'s FIN and did not close in the {lasted} until the trace ended"
    );
    Verdict::new(Rule::CloseWait, side, reason)
}

fn port_in_time_wait(connection: &Connection, since: Duration, answer: SynAnswer) -> Verdict {
    let port = connection.client.port();
    let (rule, then) = match connection.opening {
        Opening::Complete => (Rule::PortInTimeWaitDelayed, ", and the connection came later"),
        Opening::Incomplete
        | Opening::Refused
        | Opening::Challenged
        | Opening::Unanswered
        | Opening::NotSeen => (Rule::PortInTimeWait, ""),
    };
    let answer = match answer {
        SynAnswer::Reset => "was answered by a RST",
        SynAnswer::Challenge => "was answered by a challenge ACK",
        SynAnswer::Silence => "was not answered",
    };
    let since = span(since);
    let reason = format!(
        "the SYN {answer}, because the last connection of port {port} is in TIME_WAIT (it ended {since} before){then}"
    );
    Verdict::new(rule, Side::Client, reason)
}
