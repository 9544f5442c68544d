//! One connection in a report: all facts, what they mean, and what is in doubt.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use linger_wire::trace::{
    Asked, Cause, Connection, Opening, Reset, Roles, Sent, Silence, Tls, TlsSide, Unreachable,
};
use serde::Serialize;

use super::{At, DoubtReport};
use crate::model::{Event, Side, some_milliseconds};
use crate::read::kind::Kind;
use crate::read::ladder::{alert, ladder, side};
use crate::read::verdict::{Severity, Verdict, words};
use crate::shown::shown;

/// A connection.
#[derive(Debug, Clone, Serialize)]
pub struct ConnectionReport {
    /// Its number, from 1 in the order of the connections' first packets.
    pub number: u64,
    /// The side that connected.
    pub client: SocketAddr,
    /// The side that accepted.
    pub server: SocketAddr,
    /// How it is known which side is which: `handshake`, `port` or `guess`.
    pub roles: &'static str,
    /// How it began: `complete`, `incomplete`, `refused`, `challenged`, `unanswered` or `not_seen`.
    pub opening: &'static str,
    /// When its first packet was captured.
    pub first: At,
    /// When its last packet was captured.
    pub last: At,
    /// The time between them.
    #[serde(serialize_with = "some_milliseconds", rename = "lasted_ms")]
    pub lasted: Duration,
    /// How many packets it had.
    pub packets: u64,
    /// How it ended, and by whom.
    pub kind: Kind,
    /// The worst severity of its verdicts. `None` without any.
    pub severity: Option<Severity>,
    /// How it ended, in detail.
    pub end: EndReport,
    /// What the client sent.
    pub client_sent: SentReport,
    /// What the server sent.
    pub server_sent: SentReport,
    /// Whether its last request has no answer.
    pub unanswered: bool,
    /// The status of the last HTTP/1 response that is visible.
    pub last_status: Option<u16>,
    /// Its TLS session, if it had one.
    pub tls: Option<TlsReport>,
    /// What deserves a word, the worst first.
    pub verdicts: Vec<Verdict>,
    /// What the trace lacks, so that something of the above is not known.
    pub doubts: Vec<DoubtReport>,
    /// Who sent what when. Empty where it was not kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ladder: Vec<Event>,
}

impl ConnectionReport {
    /// The connection with these verdicts on it. `--each` leaves the ladder out.
    #[must_use]
    pub fn new(connection: &Connection, verdicts: Vec<Verdict>, with_ladder: bool) -> Self {
        Self {
            number: connection.number,
            client: connection.client,
            server: connection.server,
            roles: match connection.roles {
                Roles::Handshake => "handshake",
                Roles::Port => "port",
                Roles::Guess => "guess",
            },
            opening: match connection.opening {
                Opening::Complete => "complete",
                Opening::Incomplete => "incomplete",
                Opening::Refused => "refused",
                Opening::Challenged => "challenged",
                Opening::Unanswered => "unanswered",
                Opening::NotSeen => "not_seen",
            },
            first: At(connection.first_at),
            last: At(connection.last_at),
            lasted: connection.last_at.saturating_sub(connection.first_at),
            packets: connection.packets,
            kind: Kind::of(connection),
            severity: verdicts.first().map(|verdict| verdict.severity),
            end: EndReport::new(connection),
            client_sent: (&connection.client_sent).into(),
            server_sent: (&connection.server_sent).into(),
            unanswered: connection.unanswered,
            last_status: connection.last_status,
            tls: connection.tls.as_ref().map(Into::into),
            verdicts,
            doubts: connection.doubts.iter().map(Into::into).collect(),
            ladder: if with_ladder { ladder(connection) } else { Vec::new() },
        }
    }
}

/// How a connection ended, in detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndReport {
    /// The way: `normal`, `half_closed`, `reset`, `icmp`, `timeout`, `middlebox` or `open`.
    pub way: &'static str,
    /// Who ended it.
    pub by: Option<Side>,
    /// When.
    pub at: At,
    /// The side whose FIN came first.
    pub closed_first: Option<Side>,
    /// The reset, if one ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset: Option<ResetReport>,
    /// The ICMP error, if one was the last word about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<IcmpReport>,
    /// Who fell silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<SilenceReport>,
    /// What does not fit the side that a packet claims to come from, in words. Signs are no proof.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signs: Vec<String>,
}

impl EndReport {
    fn new(connection: &Connection) -> Self {
        let end = &connection.end;
        Self {
            way: end.way.name(),
            by: end.by.map(side),
            at: At(end.at),
            closed_first: end.closed_first.map(side),
            reset: end.reset.as_ref().map(Into::into),
            icmp: end.icmp.as_ref().map(Into::into),
            silence: end.silence.as_ref().map(Into::into),
            signs: end.signs.iter().map(words::sign).collect(),
        }
    }
}

/// The reset that ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ResetReport {
    /// Its sender, as it claims.
    pub by: Side,
    /// What it follows on: `refused`, `answers_late_segment`, `after_fin`, `unread_data`, `abort`, `gave_up` or
    /// `in_time_wait`.
    pub cause: &'static str,
    /// Whether the other side was still sending.
    pub while_sending: bool,
    /// Bytes of the other side in the sender's receive buffer, estimated from its window.
    pub unread: u64,
}

impl From<&Reset> for ResetReport {
    fn from(reset: &Reset) -> Self {
        let cause = match reset.cause {
            Cause::Refused => "refused",
            Cause::AnswersLateSegment => "answers_late_segment",
            Cause::AfterFin => "after_fin",
            Cause::UnreadData => "unread_data",
            Cause::Abort => "abort",
            Cause::GaveUp => "gave_up",
            Cause::InTimeWait => "in_time_wait",
        };
        Self { by: side(reset.by), cause, while_sending: reset.while_sending, unread: reset.unread }
    }
}

/// The ICMP error that was the last word about a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IcmpReport {
    /// What it says: `port unreachable`.
    pub says: String,
    /// Who sent it.
    pub from: IpAddr,
    /// The side whose segment it is about.
    pub about: Side,
    /// How many such errors there were.
    pub count: u64,
}

impl From<&Unreachable> for IcmpReport {
    fn from(icmp: &Unreachable) -> Self {
        Self { says: words::icmp(icmp.kind), from: icmp.from, about: side(icmp.about), count: icmp.count }
    }
}

/// One side that fell silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SilenceReport {
    /// The side that did not answer.
    pub of: Side,
    /// What it did not answer: `syn`, `retransmission`, `keepalive` or `window_probe`.
    pub asked_by: &'static str,
    /// How many of them.
    pub attempts: u64,
    /// From the first of them to the end of the trace, or to the reset.
    #[serde(serialize_with = "some_milliseconds", rename = "lasted_ms")]
    pub lasted: Duration,
}

impl From<&Silence> for SilenceReport {
    fn from(silence: &Silence) -> Self {
        let asked_by = match silence.asked_by {
            Asked::Syn => "syn",
            Asked::Retransmission => "retransmission",
            Asked::Keepalive => "keepalive",
            Asked::WindowProbe => "window_probe",
        };
        Self { of: side(silence.of), asked_by, attempts: silence.attempts, lasted: silence.lasted }
    }
}

/// What one side sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SentReport {
    /// Bytes of its stream, each counted once; over TLS with what the records add.
    pub bytes: u64,
    /// Of these, bytes that the other side never acknowledged.
    pub unacknowledged: u64,
    /// Bytes that were acknowledged, but are not in the trace.
    pub missing: u64,
    /// Bytes that it sent after the other side had released its socket.
    pub after_close: u64,
    /// Segments of data, FIN or SYN that were sent again.
    pub retransmissions: u64,
    /// Keep-alive probes.
    pub keepalives: u64,
    /// Probes of a zero window.
    pub window_probes: u64,
    /// The longest time in which it announced a window of zero.
    #[serde(serialize_with = "some_milliseconds", rename = "zero_window_ms")]
    pub zero_window: Duration,
    /// Resets.
    pub resets: u64,
    /// When its FIN left.
    pub fin_at: Option<At>,
    /// Whether the FIN was acknowledged.
    pub fin_acknowledged: bool,
}

impl From<&Sent> for SentReport {
    fn from(sent: &Sent) -> Self {
        Self {
            bytes: sent.bytes,
            unacknowledged: sent.unacknowledged,
            missing: sent.missing,
            after_close: sent.after_close,
            retransmissions: sent.retransmissions,
            keepalives: sent.keepalives,
            window_probes: sent.window_probes,
            zero_window: sent.zero_window,
            resets: sent.resets,
            fin_at: sent.fin_at.map(At),
            fin_acknowledged: sent.fin_acknowledged,
        }
    }
}

/// A TLS session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsReport {
    /// The version, such as `TLS 1.3`. `None` if its `ServerHello` was not captured.
    pub version: Option<String>,
    /// The name that the client asked for (SNI), with hidden characters escaped.
    pub server_name: Option<String>,
    /// What the client's stream shows.
    pub client: TlsSideReport,
    /// What the server's stream shows.
    pub server: TlsSideReport,
}

impl From<&Tls> for TlsReport {
    fn from(tls: &Tls) -> Self {
        let version = |number: u16| match number {
            0x0300 => "SSL 3.0".to_owned(),
            0x0301 => "TLS 1.0".to_owned(),
            0x0302 => "TLS 1.1".to_owned(),
            0x0303 => "TLS 1.2".to_owned(),
            0x0304 => "TLS 1.3".to_owned(),
            other => format!("{other:#06x}"),
        };
        Self {
            version: tls.version.map(version),
            server_name: tls.server_name.as_deref().map(shown),
            client: (&tls.client).into(),
            server: (&tls.server).into(),
        }
    }
}

/// What one side's stream shows of TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub struct TlsSideReport {
    /// Whether records of application data were seen.
    pub has_data: bool,
    /// How many alerts there were.
    pub alerts: u32,
    /// The name of the last alert, if it is visible or was decrypted.
    pub last_alert: Option<String>,
    /// Whether the last record was an alert.
    pub ends_with_alert: bool,
    /// Whether the stream ended within a record.
    pub cut_in_record: bool,
    /// Whether the boundaries of records were lost, so that an alert may have been missed.
    pub lost: bool,
}

impl From<&TlsSide> for TlsSideReport {
    fn from(side: &TlsSide) -> Self {
        Self {
            has_data: side.has_data,
            alerts: side.alerts,
            last_alert: side.last_alert.map(|number| alert(Some(number))),
            ends_with_alert: side.ends_with_alert,
            cut_in_record: side.cut_in_record,
            lost: side.lost,
        }
    }
}
