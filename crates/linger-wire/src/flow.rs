//! Turns captured segments into events: one sequence space per direction, each byte counted once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::segment::Segment;
use crate::sequence::Sequence;
use crate::tls::{Scanner, Session, add};
use crate::transcript::{Event, Part, Side};

/// All connections to the watched port, and what happened on them in the order of capture.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) events: Vec<Event>,
    flows: Vec<Flow>,
    /// The index of the newest connection of each client address.
    latest: HashMap<SocketAddr, usize>,
    /// Whether consecutive data of one side is one event and pure acknowledgements are left out.
    compact: bool,
}

#[derive(Debug)]
struct Flow {
    client_address: SocketAddr,
    /// The index of its last event.
    last: Option<usize>,
    /// The sequence number of the client's SYN: a SYN with another number opens a new connection.
    initial: Option<u32>,
    session: Session,
    client: Direction,
    server: Direction,
}

#[derive(Debug, Default)]
struct Direction {
    sequence: Sequence,
    scanner: Scanner,
}

impl Recorder {
    /// A recorder for [`Capture::start_compact`](crate::Capture::start_compact).
    pub(crate) fn compact() -> Self {
        Self { compact: true, ..Self::default() }
    }

    pub(crate) fn is_compact(&self) -> bool {
        self.compact
    }

    pub(crate) fn push(&mut self, segment: Segment<'_>) {
        let id = self.connection_of(&segment);
        let side = segment.side;
        // Acknowledged bytes were on the wire: if they are not here, the capture lost them.
        if let Some(ack) = segment.ack.filter(|_| !segment.rst) {
            if self.direction(id, side.other()).sequence.is_unseen(ack) {
                self.skip_to(id, side.other(), ack);
                self.release(id, side.other());
            }
        }

        let sequence = &mut self.direction(id, side).sequence;
        if sequence.is_ahead(&segment) {
            sequence.hold(segment.into_owned());
            if sequence.held().len() > HELD_LIMIT {
                self.give_up_hole(id, side);
            }
            return;
        }
        self.deliver(id, &segment);
        self.release(id, side);
    }

    /// Records the segments that are still held: nothing will fill the holes any more.
    pub(crate) fn finish(&mut self) {
        for id in 0..self.flows.len() {
            for side in [Side::Client, Side::Server] {
                while !self.direction(id, side).sequence.held().is_empty() {
                    self.give_up_hole(id, side);
                }
            }
        }
    }

    fn connection_of(&mut self, segment: &Segment<'_>) -> usize {
        let opens = segment.syn && segment.side == Side::Client;
        let is_same = |id: &usize| !opens || self.flows[*id].initial == Some(segment.seq);
        if let Some(id) = self.latest.get(&segment.client).copied().filter(is_same) {
            return id;
        }
        self.flows.push(Flow {
            client_address: segment.client,
            last: None,
            initial: opens.then_some(segment.seq),
            session: Session::default(),
            client: Direction::default(),
            server: Direction::default(),
        });
        let id = self.flows.len() - 1;
        self.latest.insert(segment.client, id);
        id
    }

    fn direction(&mut self, id: usize, side: Side) -> &mut Direction {
        let flow = &mut self.flows[id];
        match side {
            Side::Client => &mut flow.client,
            Side::Server => &mut flow.server,
        }
    }

    /// Records a segment that begins at or before the next expected byte.
    fn deliver(&mut self, id: usize, segment: &Segment<'_>) {
        let side = segment.side;
        let Flow { session, client, server, .. } = &mut self.flows[id];
        let direction = match side {
            Side::Client => client,
            Side::Server => server,
        };
        let parts = direction.accept(session, segment);
        if !parts.is_empty() {
            self.record(id, side, parts, segment.at);
        }
    }

    fn record(&mut self, id: usize, side: Side, parts: Vec<Part>, at: Duration) {
        if self.compact {
            if parts.iter().all(|part| part.is_hidden()) {
                return;
            }
            let last = self.flows[id].last.and_then(|last| self.events.get_mut(last));
            if let Some(last) = last.filter(|last| last.side == side) {
                if let ([Part::Data(sum)], [Part::Data(more)]) = (last.parts.as_mut_slice(), parts.as_slice())
                {
                    *sum += more;
                    return;
                }
            }
        }
        let flow = &mut self.flows[id];
        flow.last = Some(self.events.len());
        self.events.push(Event { connection: id, client: flow.client_address, side, parts, at });
    }

    /// Records the held segments that follow directly on what has been seen.
    fn release(&mut self, id: usize, side: Side) {
        while let Some(segment) = self.direction(id, side).sequence.ready() {
            self.deliver(id, &segment);
        }
    }

    /// Treats the bytes before the first held segment as lost.
    fn give_up_hole(&mut self, id: usize, side: Side) {
        if let Some(after) = self.direction(id, side).sequence.after_hole() {
            self.skip_to(id, side, after);
            self.release(id, side);
        }
    }

    fn skip_to(&mut self, id: usize, side: Side, seq: u32) {
        let Flow { session, client, server, .. } = &mut self.flows[id];
        let direction = match side {
            Side::Client => client,
            Side::Server => server,
        };
        let Some(next) = direction.sequence.skip_to(seq) else { return };
        direction.scanner.lose(side, session);
        let parts = vec![Part::Gap(seq.wrapping_sub(next) as usize)];
        // Nobody knows when these bytes left: take the time of the event before them.
        let at = self.events.last().map_or(Duration::ZERO, |event| event.at);
        self.record(id, side, parts, at);
    }
}

impl Direction {
    fn accept(&mut self, session: &mut Session, segment: &Segment<'_>) -> Vec<Part> {
        let progress = self.sequence.accept(segment);
        let mut parts = Vec::new();
        if progress.syn {
            parts.push(if segment.side == Side::Client { Part::Syn } else { Part::SynAck });
        }
        if progress.len() > 0 {
            self.scanner.feed(segment.side, session, progress.bytes, progress.missing, &mut parts);
        }
        if progress.fin {
            let unfinished = self.scanner.end();
            if unfinished > 0 {
                add(&mut parts, Part::Data(unfinished));
            }
            parts.push(Part::Fin);
        }
        if segment.rst {
            parts.push(Part::Rst);
        }
        if parts.is_empty() && progress.len() == 0 {
            parts.push(if progress.again { Part::Again } else { Part::Ack });
        }
        parts
    }
}

/// Bounds the memory behind a hole: 64 MiB with the largest segments.
const HELD_LIMIT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// From the client, with data of this length beginning at this place in its stream.
    fn data(at: u32, length: usize) -> Segment<'static> {
        Segment {
            at: Duration::ZERO,
            client: ([127, 0, 0, 1], 50_000).into(),
            side: Side::Client,
            seq: ISN.wrapping_add(1 + at),
            ack: None,
            syn: false,
            fin: false,
            rst: false,
            payload: vec![b'x'; length].into(),
            missing: 0,
        }
    }

    fn fin(at: u32) -> Segment<'static> {
        Segment { fin: true, ..data(at, 0) }
    }

    /// From the server, acknowledging this much of the client's stream.
    fn ack(of: u32) -> Segment<'static> {
        Segment { side: Side::Server, seq: 7, ack: Some(ISN.wrapping_add(1 + of)), ..data(0, 0) }
    }

    fn recorded(segments: impl IntoIterator<Item = Segment<'static>>) -> Vec<String> {
        let mut recorder = Recorder::default();
        recorder.push(Segment { syn: true, seq: ISN, ..data(0, 0) });
        segments.into_iter().for_each(|segment| recorder.push(segment));
        recorder.finish();
        recorder.events[1..].iter().map(|event| format!("{event}")).collect()
    }

    #[test]
    fn counts_each_byte_once() {
        let lines = recorded([data(0, 10), data(0, 10), data(5, 10), fin(15), fin(15)]);
        assert_eq!(
            lines,
            ["client: data 10", "client: again", "client: data 5", "client: FIN", "client: again"]
        );
    }

    #[test]
    fn restores_the_order_when_a_hole_is_filled() {
        let lines = recorded([data(10, 5), fin(15), data(0, 10)]);
        assert_eq!(lines, ["client: data 10", "client: data 5", "client: FIN"]);
    }

    #[test]
    fn a_compact_one_sums_up_what_one_side_sends() {
        let mut recorder = Recorder::compact();
        for segment in [data(0, 10), ack(10), data(10, 5), ack(15), fin(15), ack(16)] {
            recorder.push(segment);
        }
        let lines: Vec<_> = recorder.events.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["client: data 15", "client: FIN"]);
    }

    #[test]
    fn names_a_hole_that_stays() {
        assert_eq!(recorded([data(10, 5), fin(15)]), ["client: gap 10", "client: data 5", "client: FIN"]);
    }

    #[test]
    fn names_bytes_that_were_acknowledged_unseen() {
        assert_eq!(recorded([ack(10), data(10, 5)]), ["client: gap 10", "server: ACK", "client: data 5"]);
    }

    /// Makes every test above cross the end of sequence space.
    const ISN: u32 = u32::MAX - 3;
}
