//! The last packets of each connection, in bounded memory.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use linger_wire::decode::{Frame, LinkType, Packet, Payload};

/// A packet that is kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    at: Duration,
    length: u32,
    bytes: Box<[u8]>,
}

impl Kept {
    pub(crate) fn frame(&self) -> Frame<'_> {
        Frame { at: self.at, link: LinkType::Ip, length: self.length, bytes: &self.bytes }
    }
}

/// The packets of connections whose end is not known yet.
///
/// Of each connection its first [`FIRST`] and its last [`LAST`] packets are kept. If that is too much memory
/// for all of them, those that look like a normal close go first, and then the oldest.
#[derive(Debug)]
pub(crate) struct Rings {
    by_number: HashMap<u64, Ring>,
    bytes: usize,
    most_bytes: usize,
    /// Connections in the order in which both FINs were seen.
    closed: VecDeque<u64>,
    /// Connections in the order of their first kept packet.
    oldest: VecDeque<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    first: Vec<Kept>,
    last: VecDeque<Kept>,
    bytes: usize,
    /// The ports of the senders of a FIN, without a reset.
    fins: [Option<u16>; 2],
    is_odd: bool,
}

impl Ring {
    fn looks_normal(&self) -> bool {
        self.fins[1].is_some() && !self.is_odd
    }

    /// Notes what the packet says about the end. Returns whether the connection looks normal only now.
    fn note(&mut self, packet: &Packet<'_>) -> bool {
        let looked_normal = self.looks_normal();
        match packet.payload {
            Payload::Icmp(_) => self.is_odd = true,
            Payload::Tcp(tcp) => {
                self.is_odd |= tcp.flags.rst;
                let port = tcp.source_port;
                if tcp.flags.fin && self.fins[0] != Some(port) {
                    let place = usize::from(self.fins[0].is_some());
                    self.fins[place] = Some(port);
                }
            }
        }
        self.looks_normal() && !looked_normal
    }

    fn keep(&mut self, kept: Kept) {
        self.bytes += cost(&kept);
        if self.first.len() < FIRST {
            self.first.push(kept);
            return;
        }
        self.last.push_back(kept);
        if self.last.len() > LAST {
            let gone = self.last.pop_front();
            self.bytes -= gone.as_ref().map_or(0, cost);
        }
    }
}

impl Rings {
    /// Keeps at most this much memory.
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self {
            by_number: HashMap::new(),
            bytes: 0,
            most_bytes,
            closed: VecDeque::new(),
            oldest: VecDeque::new(),
        }
    }

    /// Keeps a packet of the connection with this number.
    pub(crate) fn keep(&mut self, connection: u64, frame: &Frame<'_>, packet: &Packet<'_>) {
        let ring = self.by_number.entry(connection).or_insert_with(|| {
            self.oldest.push_back(connection);
            self.bytes += RING_BYTES;
            Ring::default()
        });
        if ring.note(packet) {
            self.closed.push_back(connection);
        }
        let before = ring.bytes;
        ring.keep(Kept { at: frame.at, length: frame.length, bytes: frame.bytes.into() });
        self.bytes = self.bytes + ring.bytes - before;
        while self.bytes > self.most_bytes {
            if !self.forget_one() {
                break;
            }
        }
    }

    /// The kept packets of a connection that is over, oldest first. None if they were forgotten.
    pub(crate) fn take(&mut self, connection: u64) -> Vec<Kept> {
        let Some(ring) = self.by_number.remove(&connection) else { return Vec::new() };
        self.bytes -= ring.bytes + RING_BYTES;
        self.tidy();
        ring.first.into_iter().chain(ring.last).collect()
    }

    /// Forgets the connection that is least worth keeping. Returns whether there was one.
    fn forget_one(&mut self) -> bool {
        while let Some(connection) = self.closed.pop_front() {
            if self.by_number.get(&connection).is_some_and(Ring::looks_normal) {
                return !self.take(connection).is_empty();
            }
        }
        while let Some(connection) = self.oldest.pop_front() {
            if self.by_number.contains_key(&connection) {
                return !self.take(connection).is_empty();
            }
        }
        false
    }

    /// The queues must not grow with connections that are gone.
    fn tidy(&mut self) {
        let most = 2 * self.by_number.len() + 1000;
        for queue in [&mut self.closed, &mut self.oldest] {
            if queue.len() > most {
                queue.retain(|connection| self.by_number.contains_key(connection));
            }
        }
    }
}

fn cost(kept: &Kept) -> usize {
    size_of::<Kept>() + kept.bytes.len() + ALLOCATION
}

/// How many packets are kept from a connection's beginning: its handshake and its first request.
pub(crate) const FIRST: usize = 8;
/// How many packets are kept from its end.
pub(crate) const LAST: usize = 56;
/// What an allocation costs beside its bytes.
const ALLOCATION: usize = 16;
/// What a connection costs beside its packets.
const RING_BYTES: usize = size_of::<(u64, Ring)>() + 2 * size_of::<u64>() + 2 * ALLOCATION;

#[cfg(test)]
mod tests {
    use linger_wire::decode::{Flags, Options, Tcp};

    use super::*;

    fn keep(rings: &mut Rings, connection: u64, source_port: u16, flags: Flags, bytes: &[u8]) {
        let local = std::net::Ipv4Addr::LOCALHOST.into();
        let at = Duration::ZERO;
        let payload = Payload::Tcp(Tcp {
            source_port,
            destination_port: 80,
            seq: 0,
            ack: None,
            flags,
            window: 0,
            options: Options::default(),
            payload: &[],
            length: 0,
        });
        let packet = Packet { at, source: local, destination: local, ttl: 64, id: None, payload };
        let frame = Frame { at, link: LinkType::Ip, length: 1500, bytes };
        rings.keep(connection, &frame, &packet);
    }

    const DATA: Flags = Flags { syn: false, fin: false, rst: false, psh: true };
    const FIN: Flags = Flags { fin: true, ..DATA };
    const RST: Flags = Flags { rst: true, ..DATA };

    #[test]
    fn the_first_and_the_last_packets_are_kept() {
        let mut rings = Rings::new(1 << 20);
        for number in 0..200 {
            keep(&mut rings, 7, 1, DATA, &[number]);
        }
        let kept: Vec<u8> = rings.take(7).iter().map(|kept| kept.frame().bytes[0]).collect();
        let expected: Vec<u8> = (0..8).chain(200 - 56..200).collect();
        assert_eq!(kept, expected);
        assert_eq!((rings.bytes, rings.take(7).len()), (0, 0));
    }

    #[test]
    fn normal_closes_are_forgotten_first() {
        let mut rings = Rings::new(40_000);
        for (connection, last) in [(1, DATA), (2, RST), (3, FIN)] {
            keep(&mut rings, connection, 9, FIN, &[0; 100]);
            keep(&mut rings, connection, 80, last, &[0; 100]);
        }
        // Not another FIN of the other side, but the same one again.
        keep(&mut rings, 4, 9, FIN, &[0; 100]);
        keep(&mut rings, 4, 9, FIN, &[0; 100]);
        let mut number = 10;
        while rings.by_number.contains_key(&3) {
            keep(&mut rings, number, 1, DATA, &[0; 100]);
            number += 1;
        }
        assert!([1, 2, 4].iter().all(|connection| rings.by_number.contains_key(connection)));
        for connection in number..number + 1000 {
            keep(&mut rings, connection, 1, DATA, &[0; 100]);
            assert!(rings.bytes <= 40_000, "{}", rings.bytes);
        }
        assert!(!rings.by_number.contains_key(&1), "the oldest are next");
        assert!(rings.oldest.len() < 3000 && rings.by_number.len() > 100, "{}", rings.oldest.len());
    }
}
