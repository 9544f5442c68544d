//! The kinds of ends, by which connections are counted and chosen.

use std::fmt;

use linger_wire::Side;
use linger_wire::trace::{Asked, Cause, Connection, Finding, Opening, Reset, Way};
use serde::Serialize;

/// How a connection ended, and by whom. Each connection has exactly one kind. Exhaustive: a new variant is a
/// breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// FINs of both sides, both acknowledged.
    Normal,
    /// One side closed, and the other one never did.
    HalfClosed,
    /// The server reset while the client was sending, or with data of the client unread.
    ServerResetWhileReceiving,
    /// The client reset while the server was sending, or with data of the server unread.
    ClientResetWhileReceiving,
    /// The server reset, and the client was not sending.
    ServerReset,
    /// The client reset, and the server was not sending.
    ClientReset,
    /// The SYN was answered by a reset, or for the port's last connection.
    Refused,
    /// The SYN, or the SYN-ACK, was not answered.
    NoAnswer,
    /// An ICMP error was the last word about it.
    Icmp,
    /// A side stopped answering.
    Timeout,
    /// Something in its end does not fit the side that it claims to come from.
    Middlebox,
    /// The trace ends first.
    Open,
}

impl Kind {
    /// All kinds, in the order in which tables show them.
    pub const ALL: [Self; 12] = [
        Self::Normal,
        Self::HalfClosed,
        Self::ServerResetWhileReceiving,
        Self::ClientResetWhileReceiving,
        Self::ServerReset,
        Self::ClientReset,
        Self::Refused,
        Self::NoAnswer,
        Self::Icmp,
        Self::Timeout,
        Self::Middlebox,
        Self::Open,
    ];

    /// The kind of this connection.
    #[must_use]
    pub fn of(connection: &Connection) -> Self {
        let end = &connection.end;
        let is_challenged = connection.opening == Opening::Challenged;
        match end.way {
            Way::Normal => Self::Normal,
            Way::HalfClosed => Self::HalfClosed,
            Way::Icmp => Self::Icmp,
            Way::Middlebox => Self::Middlebox,
            Way::Open => Self::Open,
            Way::Timeout if is_challenged => Self::Refused,
            Way::Timeout => match end.silence.map(|silence| silence.asked_by) {
                Some(Asked::Syn) => Self::NoAnswer,
                Some(Asked::Retransmission | Asked::Keepalive | Asked::WindowProbe) | None => Self::Timeout,
            },
            Way::Reset => match &end.reset {
                Some(reset) if reset.cause == Cause::Refused || is_challenged => Self::Refused,
                Some(reset) => {
                    let by = reset.by;
                    let is_late_alert = |finding: &Finding| *finding == Finding::CloseNotifyReset { by };
                    let was_receiving =
                        (reset.while_sending || reset.unread > 0) && !is_instead_of_answer(connection, reset);
                    Self::reset(reset.by, was_receiving && !connection.findings.iter().any(is_late_alert))
                }
                None => Self::reset(end.by.unwrap_or(Side::Server), false),
            },
        }
    }

    fn reset(by: Side, while_receiving: bool) -> Self {
        match (by, while_receiving) {
            (Side::Server, true) => Self::ServerResetWhileReceiving,
            (Side::Client, true) => Self::ClientResetWhileReceiving,
            (Side::Server, false) => Self::ServerReset,
            (Side::Client, false) => Self::ClientReset,
        }
    }

    /// Its name in the syntax of `--filter` and `--on`, and in JSON: `half_closed`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::HalfClosed => "half_closed",
            Self::ServerResetWhileReceiving => "server_reset_while_receiving",
            Self::ClientResetWhileReceiving => "client_reset_while_receiving",
            Self::ServerReset => "server_reset",
            Self::ClientReset => "client_reset",
            Self::Refused => "refused",
            Self::NoAnswer => "no_answer",
            Self::Icmp => "icmp",
            Self::Timeout => "timeout",
            Self::Middlebox => "middlebox",
            Self::Open => "open",
        }
    }

    /// The kind of this name, which may also be written with hyphens.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        let key = key.replace('-', "_");
        Self::ALL.into_iter().find(|kind| kind.key() == key)
    }

    /// Its place in [`ALL`](Self::ALL).
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// What happened to such a connection, as a continuation of "12 connections were …".
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::HalfClosed => "half-closed and left",
            Self::ServerResetWhileReceiving => "reset by the server while the client was sending",
            Self::ClientResetWhileReceiving => "reset by the client while the server was sending",
            Self::ServerReset => "reset by the server",
            Self::ClientReset => "reset by the client",
            Self::Refused => "refused",
            Self::NoAnswer => "not answered",
            Self::Icmp => "ended by an ICMP error",
            Self::Timeout => "timed out",
            Self::Middlebox => "ended with signs of a middlebox",
            Self::Open => "open at the end",
        }
    }

    /// A short name, for the head of a column.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::HalfClosed => "Half-closed",
            Self::ServerResetWhileReceiving => "Server RST, client sending",
            Self::ClientResetWhileReceiving => "Client RST, server sending",
            Self::ServerReset => "Server RST",
            Self::ClientReset => "Client RST",
            Self::Refused => "Refused",
            Self::NoAnswer => "No answer",
            Self::Icmp => "ICMP",
            Self::Timeout => "Timeout",
            Self::Middlebox => "Middlebox signs",
            Self::Open => "Open",
        }
    }

    /// What that means, in a sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Normal => "Both sides sent a FIN, and both FINs were acknowledged.",
            Self::HalfClosed => {
                "One side sent a FIN. The other side did not close before the end of the trace, and nothing \
                 else ended the connection."
            }
            Self::ServerResetWhileReceiving => {
                "The server sent a RST while the client was still sending, or with data of the client \
                 unread. A client may lose the response that way."
            }
            Self::ClientResetWhileReceiving => {
                "The client sent a RST while the server was still sending, or with data of the server \
                 unread: it gave up on the rest."
            }
            Self::ServerReset => "The server sent a RST, and the client was not sending.",
            Self::ClientReset => "The client sent a RST, and the server was not sending.",
            Self::Refused => {
                "The SYN was answered by a RST, or by an ACK of an older connection on the same ports."
            }
            Self::NoAnswer => "No packet answered the SYN or the SYN-ACK.",
            Self::Icmp => "An ICMP error named the connection, and no later packet shows that it went on.",
            Self::Timeout => {
                "A side sent again, or probed, and the other one did not answer until the end of the trace \
                 or until the asking side gave up."
            }
            Self::Middlebox => {
                "A RST or FIN does not fit the side that it claims to come from. These are signs of a device \
                 on the way, and no proof."
            }
            Self::Open => "The trace ends before the connection, so how it ended is not known.",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// Whether the server reset the connection instead of answering a short request, all of which it had
/// acknowledged. Whether it had read the request does not show.
pub(super) fn is_instead_of_answer(connection: &Connection, reset: &Reset) -> bool {
    let (client, server) = (&connection.client_sent, &connection.server_sent);
    reset.by == Side::Server
        && server.bytes == 0
        && server.fin_at.is_none()
        && (1..=SHORT_REQUEST).contains(&client.bytes)
        && client.unacknowledged == 0
        && client.after_close == 0
}

/// A request of at most this many bytes may well be complete: more than most heads of requests have.
const SHORT_REQUEST: u64 = 8 << 10;
