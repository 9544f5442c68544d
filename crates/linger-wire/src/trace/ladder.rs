//! The events of a connection, kept small: 16 bytes each, and the middle is left out of a long one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::transcript::{Event, Part, Side};

/// The events of a connection.
#[derive(Debug, Default)]
pub(super) struct Ladder {
    first: Vec<Rung>,
    last: VecDeque<Rung>,
}

/// One part of an event.
#[derive(Debug, Clone, Copy)]
struct Rung {
    /// Nanoseconds since 1970.
    at: u64,
    /// A code of the part in the upper eight bits, its number in the others.
    part: u64,
}

impl Ladder {
    /// Adds a part that this side sent. `joins` if it left in the same segment as the part before it.
    /// Data and handshake records that follow on the same are summed up.
    pub(super) fn push(&mut self, limit: usize, at: Duration, side: Side, part: Part, joins: bool) {
        if limit == 0 {
            return;
        }
        let rung = Rung::new(at, side, part, joins);
        if let Some(last) = self.last.back_mut().or(self.first.last_mut()) {
            if last.is_summed_with(rung) {
                last.part = last.part.saturating_add(rung.part & NUMBER);
                return;
            }
        }
        if self.last.is_empty() && self.first.len() < limit.div_ceil(2) {
            self.first.push(rung);
            return;
        }
        if self.last.len() >= limit / 2 {
            self.last.pop_front();
        }
        if limit > 1 {
            self.last.push_back(rung);
        }
    }

    /// How many bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        (self.first.capacity() + self.last.capacity()) * size_of::<Rung>()
    }

    pub(super) fn shrink(&mut self) {
        self.first.shrink_to_fit();
        self.last.shrink_to_fit();
    }

    pub(super) fn events(&self, connection: usize, client: SocketAddr) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        for rung in self.first.iter().chain(&self.last) {
            match events.last_mut() {
                Some(last) if rung.joins() => last.parts.push(rung.part()),
                _ => events.push(Event {
                    connection,
                    client,
                    at: Duration::from_nanos(rung.at),
                    side: rung.side(),
                    parts: vec![rung.part()],
                }),
            }
        }
        events
    }
}

impl Rung {
    fn new(at: Duration, side: Side, part: Part, joins: bool) -> Self {
        let (code, number): (u64, usize) = match part {
            Part::Syn => (0, 0),
            Part::SynAck => (1, 0),
            Part::Ack => (2, 0),
            Part::Again => (3, 0),
            Part::Handshake => (4, 0),
            Part::Data(bytes) => (5, bytes),
            Part::Alert(None) => (6, 0),
            Part::Alert(Some(description)) => (7, description.into()),
            Part::Fin => (8, 0),
            Part::Rst => (9, 0),
            Part::Gap(bytes) => (10, bytes),
        };
        let code = code | u64::from(side == Side::Server) << 4 | u64::from(joins) << 5;
        let number = u64::try_from(number).unwrap_or(u64::MAX).min(NUMBER);
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        Self { at, part: code << 56 | number }
    }

    fn code(self) -> u64 {
        self.part >> 56 & 0xf
    }

    fn side(self) -> Side {
        if self.part >> 60 & 1 == 1 { Side::Server } else { Side::Client }
    }

    fn joins(self) -> bool {
        self.part >> 61 & 1 == 1
    }

    fn part(self) -> Part {
        let number = usize::try_from(self.part & NUMBER).unwrap_or(usize::MAX);
        match self.code() {
            0 => Part::Syn,
            1 => Part::SynAck,
            2 => Part::Ack,
            3 => Part::Again,
            4 => Part::Handshake,
            5 => Part::Data(number),
            6 => Part::Alert(None),
            7 => Part::Alert(u8::try_from(number).ok()),
            8 => Part::Fin,
            9 => Part::Rst,
            _ => Part::Gap(number),
        }
    }

    fn is_summed_with(self, next: Self) -> bool {
        self.code() == next.code() && self.side() == next.side() && matches!(self.code(), 4 | 5)
    }
}

const NUMBER: u64 = (1 << 56) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(ladder: &Ladder) -> Vec<String> {
        ladder.events(0, ([10, 0, 0, 1], 1).into()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_part_comes_back() {
        let parts = [
            Part::Syn,
            Part::SynAck,
            Part::Ack,
            Part::Again,
            Part::Handshake,
            Part::Data(70_000),
            Part::Alert(None),
            Part::Alert(Some(40)),
            Part::Fin,
            Part::Rst,
            Part::Gap(5_000_000),
        ];
        for part in parts {
            for side in [Side::Client, Side::Server] {
                let mut ladder = Ladder::default();
                ladder.push(4, Duration::from_nanos(7), side, part, false);
                let events = ladder.events(3, ([10, 0, 0, 1], 1).into());
                assert_eq!((events[0].side, events[0].parts.as_slice()), (side, [part].as_slice()));
                assert_eq!((events[0].at, events[0].connection), (Duration::from_nanos(7), 3));
            }
        }
    }

    #[test]
    fn the_middle_of_a_long_one_is_left_out() {
        let mut ladder = Ladder::default();
        for number in 0..9 {
            ladder.push(4, Duration::ZERO, Side::Client, Part::Alert(Some(number)), false);
        }
        assert_eq!(
            lines(&ladder),
            ["client: alert 0", "client: alert 1", "client: alert 7", "client: alert 8"]
        );
    }

    #[test]
    fn data_of_one_side_is_summed_up() {
        let mut ladder = Ladder::default();
        for part in [Part::Data(3), Part::Data(4)] {
            ladder.push(4, Duration::ZERO, Side::Client, part, false);
        }
        ladder.push(4, Duration::ZERO, Side::Client, Part::Fin, true);
        ladder.push(4, Duration::ZERO, Side::Server, Part::Data(4), false);
        assert_eq!(lines(&ladder), ["client: data 7 + FIN", "server: data 4"]);
    }
}
