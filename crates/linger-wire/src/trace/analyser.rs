//! Follows connections through a trace.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::TIME_WAIT;
use super::connection::Connection;
use super::entry::Entry;
use super::flow::{Flow, Reused, Shared};
use super::key::Key;
use super::roles::Ends;
use super::table::{List, Place, Table};
use crate::decode::{IcmpError, Packet, Payload, Tcp};
use crate::secrets::Secrets;
use crate::tls::Session;
use crate::transcript::Side;

/// How a trace is read.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Ports that servers listen on, for connections whose handshake is not in the trace.
    pub server_ports: Vec<u16>,
    /// How many events of a ladder are kept of each open connection. 0 keeps none. Each takes 16 bytes.
    pub ladder_events: usize,
    /// How long a connection that is over is held back, in case more packets of it come: by default until its
    /// [`TIME_WAIT`] is over, or for that long if this is longer. A live capture shows ends sooner with a
    /// shorter time, such as 3 s. Then what comes still later is not part of the connection any more: a reset
    /// in `TIME_WAIT`, or packets that show that a reset was forged. A SYN from a port in `TIME_WAIT` is told
    /// all the same.
    pub held_back: Option<Duration>,
    /// Secrets of TLS sessions, by which their encrypted alerts are named. The feature `secrets` reads them.
    pub secrets: Option<Arc<Secrets>>,
}

/// Follows connections through a trace.
///
/// Its memory grows with the connections that are open or in `TIME_WAIT`, not with the trace, and has bounds:
/// - An open connection takes about 2 KiB, with a ladder of 64 events. At most 500 000 are followed at the
///   same time; of these, at most 100 000 of which packets of one side only were seen, as in a flood of SYNs.
///   Beyond that, the oldest is given out as if the trace ended for it.
/// - A connection that closed normally, with nothing that deserves a word, takes about 200 bytes until its
///   [`TIME_WAIT`] is over, and loses its ladder, but for the first 64 of the trace. Any other stays as it
///   is. At most 500 000 of both, and at most 128 MiB of them, are kept: beyond that, the oldest is given out
///   early, and if packets of it come late, they are taken for a connection whose beginning was not seen.
/// - Segments that arrived before others that precede them take at most 32 MiB together.
///
/// # Where the same packet is captured twice
///
/// A capture of several interfaces (`-i any`, or two files merged) may show each packet twice. The second one
/// counts as a packet of its connection, but as nothing else, if it can be told from a segment that was sent
/// again: its IP identification, numbers, flags, window and timestamps are the same, and it follows within
/// 5 ms. Where there is no identification (IPv6, or 0) it must follow within 0.5 ms, and resets all count.
///
/// # When it gives connections out
///
/// A connection that was closed or reset comes out of [`next_ended`](Self::next_ended) after its
/// [`TIME_WAIT`], or when its ports are used again. Where one side asks in vain, the connection comes out
/// after four minutes of silence: Linux waits at most two minutes between two attempts. Others stay until
/// [`finish`](Self::finish).
#[derive(Debug, Default)]
pub struct Analyser {
    settings: Settings,
    pub(super) limits: Limits,
    table: Table<Entry>,
    ends: Ends,
    shared: Shared,
    ended: VecDeque<Connection>,
    /// How many bytes the connections take that are in `TIME_WAIT`.
    kept: usize,
    numbers: u64,
    now: Duration,
    swept: Duration,
    finished: bool,
}

impl Analyser {
    /// An analyser that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let shared = Shared { ladder_events: settings.ladder_events, ..Shared::default() };
        Self { settings, shared, ..Self::default() }
    }

    /// Takes the next packet. Returns the number of the connection that it belongs to: that of an earlier
    /// connection of the same ports for a late packet, and a new one for a SYN that opens one. `None` for an
    /// ICMP error about a connection that is not known, and for a late packet of one that was given out.
    pub fn push(&mut self, packet: &Packet<'_>) -> Option<u64> {
        self.advance(packet.at);
        match &packet.payload {
            Payload::Tcp(tcp) => self.segment(packet, tcp),
            Payload::Icmp(icmp) => self.icmp(packet, icmp),
        }
    }

    /// Tells the time where no packet does, on a live capture: ends what is over by then.
    pub fn advance(&mut self, now: Duration) {
        if now <= self.now {
            return;
        }
        self.now = now;
        while let Some(place) = self.table.first(List::Ended) {
            let ended_at = self.table.get(place).map_or(Duration::ZERO, |entry| entry.ended_at());
            if now.saturating_sub(ended_at) < self.settings.held_back.unwrap_or(TIME_WAIT) {
                break;
            }
            self.give_out_and_note(place);
        }
        while let Some(place) = self.table.first(List::GivenOut) {
            let ended_at = self.table.get(place).map_or(Duration::ZERO, |entry| entry.ended_at());
            if now.saturating_sub(ended_at) < TIME_WAIT
                && self.table.count(List::GivenOut) <= self.limits.ended
            {
                break;
            }
            self.table.remove(place);
        }
        if now.saturating_sub(self.swept) >= SWEEP {
            self.swept = now;
            self.sweep();
        }
    }

    /// A connection that is over, and whose `TIME_WAIT` is over, too, or
    /// [`held_back`](Settings::held_back).
    pub fn next_ended(&mut self) -> Option<Connection> {
        if self.ended.is_empty() && self.finished {
            let lists = [List::Ended, List::OneSided, List::Open];
            if let Some(place) = lists.into_iter().find_map(|list| self.table.first(list)) {
                self.give_out(place);
            }
        }
        self.ended.pop_front()
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.table.count(List::Open) + self.table.count(List::OneSided)
    }

    /// Ends the trace: every connection that is left comes out of [`next_ended`](Self::next_ended) now, with
    /// the doubt that its end was not seen where that is so.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// How many bytes are held until the holes before them are filled.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.shared.held
    }

    fn segment(&mut self, packet: &Packet<'_>, tcp: &Tcp<'_>) -> Option<u64> {
        let source = (packet.source, tcp.source_port);
        let (key, from_low) = Key::of(source, (packet.destination, tcp.destination_port));
        let Some(place) = self.table.find(&key) else { return self.begin(key, from_low, packet, tcp, None) };
        let entry = self.table.get(place)?;
        let side = if from_low == entry.client_is_low() { Side::Client } else { Side::Server };
        if entry.is_another(tcp, side) {
            let client = tcp.ack.is_none() && side == Side::Client;
            let reused = entry.time_wait(packet.at).filter(|_| client);
            self.give_out(place);
            return self.begin(key, from_low, packet, tcp, reused);
        }
        entry.push(&mut self.shared, packet, tcp, side, &key);
        let number = entry.number();
        self.place(place);
        number
    }

    fn begin(
        &mut self,
        key: Key,
        from_low: bool,
        packet: &Packet<'_>,
        tcp: &Tcp<'_>,
        reused: Option<Duration>,
    ) -> Option<u64> {
        let source = SocketAddr::new(packet.source, tcp.source_port);
        let destination = SocketAddr::new(packet.destination, tcp.destination_port);
        let ports = &self.settings.server_ports;
        let (from_client, roles) = self.ends.is_source_client(source, destination, tcp, ports);
        let (client, server) = if from_client { (source, destination) } else { (destination, source) };
        self.numbers += 1;
        let mut flow = Box::new(Flow::new(self.numbers, client, server, packet.at));
        flow.roles = roles;
        flow.client_is_low = from_low == from_client;
        flow.session = Session::new(self.settings.secrets.clone());
        flow.reused = reused.map(|since| Reused { since, answer: None });
        let side = if from_client { Side::Client } else { Side::Server };
        flow.push(&mut self.shared, packet, tcp, side);
        let place = self.table.insert(key, List::OneSided, Entry::Flow(flow))?;
        self.place(place);
        self.bound();
        Some(self.numbers)
    }

    fn icmp(&mut self, packet: &Packet<'_>, icmp: &IcmpError) -> Option<u64> {
        let (key, from_low) = Key::of(icmp.source, icmp.destination);
        let place = self.table.find(&key)?;
        let entry = self.table.get(place)?;
        let about = if from_low == entry.client_is_low() { Side::Client } else { Side::Server };
        if entry.unreachable(packet, icmp, about) { entry.number() } else { None }
    }

    /// Moves a connection to the list that it belongs to now.
    fn place(&mut self, place: Place) {
        let list = self.table.list(place);
        let Some(entry) = self.table.get(place) else { return };
        let belongs = entry.list();
        if list == belongs {
            return;
        }
        if list == List::Ended {
            self.kept = self.kept.saturating_sub(entry.memory());
        }
        if belongs == List::Ended {
            entry.pack(self.limits.examples);
            self.kept += entry.memory();
        }
        self.table.move_to(place, belongs);
        self.bound();
    }

    /// Gives out the oldest of what is too many.
    fn bound(&mut self) {
        let Limits { one_sided, open, ended, memory, .. } = self.limits;
        for (list, limit) in [(List::OneSided, one_sided), (List::Open, open), (List::Ended, ended)] {
            if self.table.count(list) > limit {
                if let Some(place) = self.table.first(list) {
                    self.give_out(place);
                }
            }
        }
        while self.kept > memory {
            let Some(place) = self.table.first(List::Ended) else { break };
            self.give_out(place);
        }
    }

    /// Gives out what waits in vain.
    fn sweep(&mut self) {
        for list in [List::OneSided, List::Open] {
            let mut next = self.table.first(list);
            while let Some(place) = next {
                next = self.table.after(place);
                let now = self.now;
                if self.table.get(place).is_some_and(|entry| entry.waits_in_vain(now)) {
                    self.give_out(place);
                }
            }
        }
    }

    fn give_out(&mut self, place: Place) {
        let list = self.table.list(place);
        if let Some((key, entry)) = self.table.remove(place) {
            if list == List::Ended {
                self.kept = self.kept.saturating_sub(entry.memory());
            }
            self.ended.extend(entry.outcome(&mut self.shared, self.now, &key));
        }
    }

    /// Gives out what is over, and notes it until its `TIME_WAIT` is over.
    fn give_out_and_note(&mut self, place: Place) {
        let now = self.now;
        match self.table.get(place).and_then(|entry| entry.note(now)) {
            Some(note) => {
                let key = self.table.key(place);
                self.give_out(place);
                self.table.insert(key, List::GivenOut, note);
            }
            None => self.give_out(place),
        }
    }
}

/// How much is kept; see [`Analyser`].
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) one_sided: usize,
    pub(super) open: usize,
    pub(super) ended: usize,
    /// In bytes, of those that ended.
    pub(super) memory: usize,
    /// How many connections keep their ladder although they closed normally.
    pub(super) examples: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { one_sided: 100_000, open: 500_000, ended: 500_000, memory: 128 << 20, examples: 64 }
    }
}

/// How often all open connections are looked at.
const SWEEP: Duration = Duration::from_secs(30);
