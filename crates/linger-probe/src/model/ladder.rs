//! A ladder: who sent what when on one connection.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::some_milliseconds;

/// How a ladder's events were observed. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ladders {
    /// At the client's socket: what it wrote and read, in that order.
    SocketEvents,
    /// In packets, at the time when they left.
    Packets,
}

/// One line of a ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The time since the connection began.
    #[serde(serialize_with = "some_milliseconds", rename = "at_ms")]
    pub at: Duration,
    /// Who sent it.
    pub side: Side,
    /// What it is.
    pub what: What,
}

/// A side of the connection. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The side that connected: the probe, unless it reads a trace.
    Client,
    /// The side that accepted: the server under test.
    Server,
}

/// What was sent. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The client connects, or the server accepts.
    Connect,
    /// The TLS handshake is done.
    Handshake,
    /// This many bytes of data, in one or more segments.
    Data(u64),
    /// The TLS closure alert, RFC 8446 §6.1.
    CloseNotify,
    /// Any other alert. The value is its name.
    Alert(String),
    /// The end of this side's data.
    Fin,
    /// A reset: the connection is gone, and so is the data that was under way.
    Reset,
    /// A write that failed after this many bytes: this side cannot send any more.
    WriteFailed(u64),
    /// This side's socket was released.
    Release,
    /// What this side had sent before, or a probe that asks whether the other side is there.
    Again,
    /// This many bytes of data that were not captured.
    Missing(u64),
    /// An ICMP error about a segment of the other side. The value is what it says.
    Icmp(String),
}

impl Serialize for What {
    /// Writes an object whose fields have the same types for all kinds.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            kind: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            bytes: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            alert: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            says: Option<&'a str>,
        }
        let (kind, bytes, alert) = match self {
            Self::Connect => ("connect", None, None),
            Self::Handshake => ("handshake", None, None),
            Self::Data(bytes) => ("data", Some(*bytes), None),
            Self::CloseNotify => ("close_notify", None, None),
            Self::Alert(name) => ("alert", None, Some(name.as_str())),
            Self::Fin => ("fin", None, None),
            Self::Reset => ("reset", None, None),
            Self::WriteFailed(bytes) => ("write_failed", Some(*bytes), None),
            Self::Release => ("release", None, None),
            Self::Again => ("again", None, None),
            Self::Missing(bytes) => ("missing", Some(*bytes), None),
            Self::Icmp(_) => ("icmp", None, None),
        };
        let says = if let Self::Icmp(says) = self { Some(says.as_str()) } else { None };
        Flat { kind, bytes, alert, says }.serialize(serializer)
    }
}
