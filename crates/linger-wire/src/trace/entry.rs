//! A connection in the table: followed in full, or packed until its `TIME_WAIT` is over.

use std::time::Duration;

use super::TIME_WAIT;
use super::connection::Connection;
use super::doubt::Doubt;
use super::end::Way;
use super::finding::Finding;
use super::flow::{Flow, Shared};
use super::given_out::GivenOut;
use super::key::Key;
use super::lacks::SOON;
use super::packed::Packed;
use super::table::List;
use crate::decode::{IcmpError, Packet, Tcp};
use crate::transcript::Side;

/// A connection in the table.
#[derive(Debug)]
pub(super) enum Entry {
    /// It is open, or its end deserves a word.
    Flow(Box<Flow>),
    /// It closed normally.
    Packed(Box<Packed>),
    /// It closed normally, and then a reset came. With whether its client has the key's lower end.
    Late(Box<Connection>, bool),
    /// It was given out.
    GivenOut(Box<GivenOut>),
}

impl Entry {
    /// Its number, unless it was given out.
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Self::Flow(flow) => Some(flow.number),
            Self::Packed(packed) => Some(packed.number),
            Self::Late(connection, _) => Some(connection.number),
            Self::GivenOut(_) => None,
        }
    }

    pub(super) fn client_is_low(&self) -> bool {
        match self {
            Self::Flow(flow) => flow.client_is_low,
            Self::Packed(packed) => packed.client_is_low,
            Self::Late(_, client_is_low) => *client_is_low,
            Self::GivenOut(given) => given.client_is_low,
        }
    }

    /// Whether this segment opens another connection of the same ports.
    pub(super) fn is_another(&self, tcp: &Tcp<'_>, side: Side) -> bool {
        match self {
            Self::Flow(flow) => flow.is_another(tcp, side),
            Self::Packed(_) | Self::Late(..) | Self::GivenOut(_) => {
                tcp.flags.syn && (tcp.ack.is_none() || side == Side::Server)
            }
        }
    }

    pub(super) fn push(
        &mut self,
        shared: &mut Shared,
        packet: &Packet<'_>,
        tcp: &Tcp<'_>,
        side: Side,
        key: &Key,
    ) {
        match self {
            Self::Flow(flow) => flow.push(shared, packet, tcp, side),
            Self::Packed(closed) => {
                closed.late(packet.at, Some(tcp), side);
                if tcp.flags.rst {
                    let low = closed.client_is_low;
                    let mut connection = closed.unpack(key);
                    connection.findings.push(Finding::TimeWaitAssassination { by: side });
                    count_reset(&mut connection, side);
                    *self = Self::Late(Box::new(connection), low);
                }
            }
            Self::Late(connection, _) => {
                connection.packets += 1;
                connection.last_at = connection.last_at.max(packet.at);
                if tcp.flags.rst {
                    count_reset(connection, side);
                }
            }
            Self::GivenOut(_) => {}
        }
    }

    /// Takes an ICMP error about a segment of one side. Returns whether it is about this connection.
    pub(super) fn unreachable(&mut self, packet: &Packet<'_>, icmp: &IcmpError, about: Side) -> bool {
        match self {
            Self::Flow(flow) => flow.unreachable(packet, icmp, about),
            Self::Packed(closed) => {
                closed.late(packet.at, None, about);
                true
            }
            Self::Late(connection, _) => {
                connection.packets += 1;
                true
            }
            Self::GivenOut(_) => false,
        }
    }

    pub(super) fn list(&self) -> List {
        match self {
            Self::Flow(flow) if flow.is_over() => List::Ended,
            Self::Flow(flow) if flow.is_two_sided() => List::Open,
            Self::Flow(_) => List::OneSided,
            Self::Packed(_) | Self::Late(..) => List::Ended,
            Self::GivenOut(_) => List::GivenOut,
        }
    }

    /// Makes a connection that is over as small as it can be, but for the first `examples`.
    pub(super) fn pack(&mut self, examples: u64) {
        let Self::Flow(flow) = self else { return };
        flow.ladder.shrink();
        flow.kept = flow.memory() + PLACE;
        let holds = flow.client_half.held_bytes() + flow.server_half.held_bytes() > 0;
        if flow.number <= examples || holds {
            return;
        }
        if let Some(settled) = flow.settled_at.filter(|_| flow.aborted.is_none()) {
            let connection = flow.summary(settled.saturating_add(SOON));
            if let Some(packed) = Packed::pack(connection, flow.client_is_low) {
                *self = Self::Packed(packed);
            }
        }
    }

    pub(super) fn ended_at(&self) -> Duration {
        match self {
            Self::Flow(flow) => match &flow.aborted {
                Some(aborted) => aborted.at,
                None => flow.settled_at.unwrap_or(flow.last_at),
            },
            Self::Packed(packed) => Duration::from_nanos(packed.ended_at),
            Self::Late(connection, _) => connection.end.at,
            Self::GivenOut(given) => given.ended_at,
        }
    }

    /// How long the server has been in `TIME_WAIT`, if it is.
    pub(super) fn time_wait(&self, now: Duration) -> Option<Duration> {
        let holds = match self {
            Self::Flow(flow) => {
                let closed = flow.simultaneous || flow.closed_first == Some(Side::Server);
                closed && flow.settled_at.is_some() && flow.late_reset.is_none()
            }
            Self::Packed(packed) => packed.closed_first == Side::Server,
            Self::Late(..) => false,
            Self::GivenOut(given) => given.holds,
        };
        let since = now.saturating_sub(self.ended_at());
        (holds && since < TIME_WAIT).then_some(since)
    }

    /// Whether one side asks in vain, and has stopped to.
    pub(super) fn waits_in_vain(&self, now: Duration) -> bool {
        match self {
            Self::Flow(flow) => flow.waits(now).is_some() && now.saturating_sub(flow.last_at) > LONGEST_PAUSE,
            Self::Packed(_) | Self::Late(..) | Self::GivenOut(_) => false,
        }
    }

    /// What is to be kept of it when it is given out, if its `TIME_WAIT` is not over.
    pub(super) fn note(&self, now: Duration) -> Option<Self> {
        let ended_at = self.ended_at();
        let given =
            GivenOut { client_is_low: self.client_is_low(), ended_at, holds: self.time_wait(now).is_some() };
        (now.saturating_sub(ended_at) < TIME_WAIT).then(|| Self::GivenOut(Box::new(given)))
    }

    /// How many bytes of memory it took when it was packed, roughly.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Flow(flow) => flow.kept,
            Self::Packed(_) => size_of::<Packed>() + PLACE,
            Self::Late(..) => size_of::<Connection>() + PLACE,
            Self::GivenOut(_) => size_of::<GivenOut>() + PLACE,
        }
    }

    /// Everything that the trace shows of it. `None` if it was given out.
    pub(super) fn outcome(self, shared: &mut Shared, now: Duration, key: &Key) -> Option<Connection> {
        match self {
            Self::Flow(mut flow) => {
                flow.release_all(shared);
                Some(flow.outcome(now))
            }
            Self::Packed(packed) => {
                let mut connection = packed.unpack(key);
                if connection.end.way == Way::Normal && now.saturating_sub(connection.end.at) < SOON {
                    connection.doubts.push(Doubt::EndsInTimeWait);
                }
                Some(connection)
            }
            Self::Late(connection, _) => Some(*connection),
            Self::GivenOut(_) => None,
        }
    }
}

fn count_reset(connection: &mut Connection, side: Side) {
    match side {
        Side::Client => connection.client_sent.resets += 1,
        Side::Server => connection.server_sent.resets += 1,
    }
}

/// Linux waits at most two minutes between two attempts (`TCP_RTO_MAX`).
const LONGEST_PAUSE: Duration = Duration::from_secs(240);
/// What a place in the table takes, and what the allocator adds.
const PLACE: usize = 120;
