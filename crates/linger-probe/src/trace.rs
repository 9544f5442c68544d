//! Who sent what when, as the client's socket sees it.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Event, Side, What};

/// The events of one connection.
#[derive(Debug)]
pub(crate) struct Trace {
    begun: Instant,
    events: Vec<Event>,
}

impl Trace {
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now(), events: Vec::new() }
    }

    /// The time since the connection's start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn add(&mut self, side: Side, what: What) {
        self.events.push(Event { at: self.elapsed(), side, what });
        if self.events.len() > EVENTS {
            self.events = folded(std::mem::take(&mut self.events));
        }
    }

    /// Adds data. Consecutive data of one side is one event, at the time of its first byte.
    pub(crate) fn data(&mut self, side: Side, bytes: u64) {
        match self.events.last_mut() {
            Some(Event { side: last, what: What::Data(sum), .. }) if *last == side => *sum += bytes,
            _ => self.add(side, What::Data(bytes)),
        }
    }

    pub(crate) fn bytes_sent(&self) -> u64 {
        let sent = |event: &Event| match (event.side, &event.what) {
            (Side::Client, What::Data(bytes)) => *bytes,
            _ => 0,
        };
        self.events.iter().map(sent).sum()
    }

    pub(crate) fn has(&self, side: Side, what: &What) -> bool {
        self.events.iter().any(|event| event.side == side && event.what == *what)
    }

    /// The index of the first event of this kind.
    pub(crate) fn place(&self, side: Side, what: &What) -> Option<usize> {
        self.events.iter().position(|event| event.side == side && event.what == *what)
    }

    /// The time of the server's FIN.
    pub(crate) fn server_fin(&self) -> Option<Duration> {
        let is_fin = |event: &&Event| event.side == Side::Server && event.what == What::Fin;
        self.events.iter().find(is_fin).map(|event| event.at)
    }

    /// The events, shortened for display.
    pub(crate) fn into_ladder(self) -> Vec<Event> {
        folded(self.events)
    }
}

/// How many events are kept before they are folded. It is more than a page shows.
const EVENTS: usize = 4096;

/// Shortens events to what fits on a page. Where the sides send in turns for long, all their data becomes one
/// event for each side.
pub(crate) fn folded(events: Vec<Event>) -> Vec<Event> {
    const RUN: usize = 8;
    let mut ladder: Vec<Event> = Vec::new();
    let mut run = 0;
    for event in events {
        run = if matches!(event.what, What::Data(_)) { run + 1 } else { 0 };
        let same_side = |earlier: &&mut Event| earlier.side == event.side;
        let earlier = ladder.iter_mut().rev().take(2).find(same_side);
        match (earlier, &event.what) {
            (Some(Event { what: What::Data(sum), .. }), What::Data(bytes)) if run > RUN => *sum += bytes,
            _ => ladder.push(event),
        }
    }
    ladder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_in_a_row_is_one_event_and_long_turns_are_folded() {
        let mut trace = Trace::begin();
        trace.data(Side::Client, 1);
        trace.data(Side::Client, 2);
        assert_eq!((trace.events.len(), trace.bytes_sent()), (1, 3));
        for _ in 0..100 {
            trace.data(Side::Server, 1);
            trace.data(Side::Client, 1);
        }
        trace.add(Side::Server, What::Fin);
        assert!(trace.server_fin().is_some());
        let (mut sums, ladder) = ([0, 0], trace.into_ladder());
        for event in &ladder {
            if let What::Data(bytes) = event.what {
                sums[usize::from(event.side == Side::Server)] += bytes;
            }
        }
        assert_eq!(sums, [103, 100], "nothing is lost");
        assert!(ladder.len() < 12, "{}", ladder.len());
        assert_eq!(ladder.last().expect("not empty").what, What::Fin);
    }
}
