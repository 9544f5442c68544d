//! Connections that ended well, as small as they can be kept while their `TIME_WAIT` lasts.

use std::net::SocketAddr;
use std::time::Duration;

use super::connection::{Connection, Opening, Roles, Sent};
use super::end::{End, Way};
use super::key::Key;
use super::tls::Tls;
use crate::decode::Tcp;
use crate::transcript::Side;

/// A connection that closed normally and deserves no word.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) number: u64,
    /// Times in nanoseconds since 1970.
    first_at: u64,
    last_at: u64,
    pub(super) ended_at: u64,
    tls: Option<Box<Tls>>,
    client: PackedHalf,
    server: PackedHalf,
    packets: u32,
    last_status: Option<u16>,
    pub(super) client_is_low: bool,
    unanswered: bool,
    roles: Roles,
    pub(super) closed_first: Side,
}

#[derive(Debug)]
struct PackedHalf {
    fin_at: u64,
    bytes: u32,
    zero_window: u32,
    retransmissions: u16,
    keepalives: u16,
    window_probes: u16,
}

impl Packed {
    /// `None` if it is not one of these, or if its numbers are too large.
    pub(super) fn pack(connection: Connection, client_is_low: bool) -> Option<Box<Self>> {
        let packed = Self::numbers(&connection, client_is_low)?;
        Some(Box::new(Self { tls: connection.tls.map(Box::new), ..packed }))
    }

    fn numbers(connection: &Connection, client_is_low: bool) -> Option<Self> {
        let plain = connection.end.way == Way::Normal
            && connection.opening == Opening::Complete
            && connection.end.signs.is_empty()
            && connection.findings.is_empty()
            && connection.doubts.is_empty();
        if !plain {
            return None;
        }
        let closed_first = connection.end.closed_first?;
        Some(Self {
            number: connection.number,
            first_at: nanos(connection.first_at)?,
            last_at: nanos(connection.last_at)?,
            ended_at: nanos(connection.end.at)?,
            tls: None,
            client: PackedHalf::pack(&connection.client_sent)?,
            server: PackedHalf::pack(&connection.server_sent)?,
            packets: connection.packets.try_into().ok()?,
            last_status: connection.last_status,
            client_is_low,
            unanswered: connection.unanswered,
            roles: connection.roles,
            closed_first,
        })
    }

    /// Counts a late packet of one side.
    pub(super) fn late(&mut self, at: Duration, tcp: Option<&Tcp<'_>>, side: Side) {
        self.packets = self.packets.saturating_add(1);
        self.last_at = self.last_at.max(nanos(at).unwrap_or(u64::MAX));
        if tcp.is_some_and(|tcp| tcp.flags.fin || tcp.length > 0) {
            let half = match side {
                Side::Client => &mut self.client,
                Side::Server => &mut self.server,
            };
            half.retransmissions = half.retransmissions.saturating_add(1);
        }
    }

    pub(super) fn unpack(&self, key: &Key) -> Connection {
        let (client, server): (SocketAddr, SocketAddr) =
            (key.end(self.client_is_low), key.end(!self.client_is_low));
        Connection {
            number: self.number,
            client,
            server,
            roles: self.roles,
            opening: Opening::Complete,
            first_at: Duration::from_nanos(self.first_at),
            last_at: Duration::from_nanos(self.last_at),
            packets: self.packets.into(),
            client_sent: self.client.unpack(),
            server_sent: self.server.unpack(),
            unanswered: self.unanswered,
            last_status: self.last_status,
            tls: self.tls.as_deref().cloned(),
            end: End {
                way: Way::Normal,
                by: Some(self.closed_first),
                at: Duration::from_nanos(self.ended_at),
                closed_first: Some(self.closed_first),
                reset: None,
                icmp: None,
                silence: None,
                signs: Vec::new(),
            },
            findings: Vec::new(),
            doubts: Vec::new(),
            ladder: Vec::new(),
        }
    }
}

impl PackedHalf {
    fn pack(sent: &Sent) -> Option<Self> {
        let whole = sent.unacknowledged == 0
            && sent.missing == 0
            && sent.after_close == 0
            && sent.resets == 0
            && sent.fin_acknowledged;
        if !whole {
            return None;
        }
        Some(Self {
            fin_at: nanos(sent.fin_at?)?,
            bytes: sent.bytes.try_into().ok()?,
            zero_window: sent.zero_window.as_nanos().try_into().ok()?,
            retransmissions: sent.retransmissions.try_into().ok()?,
            keepalives: sent.keepalives.try_into().ok()?,
            window_probes: sent.window_probes.try_into().ok()?,
        })
    }

    fn unpack(&self) -> Sent {
        Sent {
            bytes: self.bytes.into(),
            retransmissions: self.retransmissions.into(),
            keepalives: self.keepalives.into(),
            window_probes: self.window_probes.into(),
            zero_window: Duration::from_nanos(self.zero_window.into()),
            fin_at: Some(Duration::from_nanos(self.fin_at)),
            fin_acknowledged: true,
            ..Sent::default()
        }
    }
}

fn nanos(at: Duration) -> Option<u64> {
    at.as_nanos().try_into().ok()
}
