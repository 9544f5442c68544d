//! What a trace shows of one connection.

use std::net::SocketAddr;
use std::time::Duration;

use super::doubt::Doubt;
use super::end::End;
use super::finding::Finding;
use super::tls::Tls;
use crate::transcript::{Event, Side};

/// What a trace shows of one connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its number, from 1 in the order of the connections' first packets.
    pub number: u64,
    /// The side that connected.
    pub client: SocketAddr,
    /// The side that accepted.
    pub server: SocketAddr,
    /// How it is known which side is which.
    pub roles: Roles,
    /// How it began.
    pub opening: Opening,
    /// When its first packet was captured, since 1970.
    pub first_at: Duration,
    /// When its last packet was captured, since 1970.
    pub last_at: Duration,
    /// How many packets it had, ICMP errors about it included.
    pub packets: u64,
    /// What the client sent.
    pub client_sent: Sent,
    /// What the server sent.
    pub server_sent: Sent,
    /// Whether data of the client came last, and nothing followed from the server. The rest of an upload that
    /// was answered early does not count, where that shows: the server had not yet acknowledged all of it, or
    /// it does not begin as an HTTP/1 request does. Over TLS, data means application data.
    pub unanswered: bool,
    /// The status of the last HTTP/1 response that is visible.
    pub last_status: Option<u16>,
    /// Its TLS session, if it had one.
    pub tls: Option<Tls>,
    /// How it ended.
    pub end: End,
    /// What deserves a word.
    pub findings: Vec<Finding>,
    /// What the trace lacks, so that something of the above is not known.
    pub doubts: Vec<Doubt>,
    /// Who sent what when. Data in a row of one side is one event. Cut in the middle if it is long: then the
    /// numbers above still count everything.
    pub ladder: Vec<Event>,
}

impl Connection {
    /// What this side sent.
    #[must_use]
    pub fn sent(&self, side: Side) -> &Sent {
        match side {
            Side::Client => &self.client_sent,
            Side::Server => &self.server_sent,
        }
    }
}

/// How it is known which side is the client. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Roles {
    /// A SYN or SYN-ACK shows it.
    Handshake,
    /// The user named the server's port.
    Port,
    /// The trace has no handshake of it: the lower port, or the port that more connections share, is taken
    /// for the server's.
    Guess,
}

/// How a connection began. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opening {
    /// SYN, SYN-ACK and a packet that acknowledges it.
    Complete,
    /// A SYN or SYN-ACK was seen, but not the whole handshake, and the connection did not go on in the trace.
    Incomplete,
    /// The SYN was answered by a reset.
    Refused,
    /// The SYN was answered by an acknowledgement of something else: the port's last connection is still
    /// there (RFC 9293 §3.10.7.4, a challenge ACK; RFC 5961 §4).
    Challenged,
    /// The SYN was not answered.
    Unanswered,
    /// The trace begins in the middle of the connection.
    NotSeen,
}

/// What one side sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Bytes of its stream, each counted once, those included that are [missing](Self::missing); over TLS
    /// with what the records add.
    pub bytes: u64,
    /// Of these, bytes that the other side had not acknowledged at the end of the trace.
    pub unacknowledged: u64,
    /// Bytes of its stream that were acknowledged but are not in the trace.
    pub missing: u64,
    /// Bytes that it sent after the other side had released its socket: after a reset of the other side that
    /// ends the connection, or in answer to nothing but a reset.
    pub after_close: u64,
    /// Segments of data, FIN or SYN that were sent again.
    pub retransmissions: u64,
    /// Keepalive probes (RFC 9293 §3.8.4).
    pub keepalives: u64,
    /// Probes of a window of zero (RFC 9293 §3.8.6.1).
    pub window_probes: u64,
    /// How long the longest time was in which it announced a window of zero.
    pub zero_window: Duration,
    /// Resets.
    pub resets: u64,
    /// When its FIN left, since 1970.
    pub fin_at: Option<Duration>,
    /// Whether the FIN was acknowledged.
    pub fin_acknowledged: bool,
}
