//! What a capture saw, as events and as text.

use std::collections::BTreeSet;
use std::fmt;
use std::mem::discriminant;
use std::net::SocketAddr;
use std::time::Duration;

use crate::tls::add;

/// Who sent a segment. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The side that connected.
    Client,
    /// The side that owns the watched port.
    Server,
}

impl Side {
    /// The peer of this side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// One thing that a segment does. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The client opens the connection.
    Syn,
    /// The server accepts it.
    SynAck,
    /// Only an acknowledgement, a window update or a probe. Hidden unless [asked for](Transcript::with_acks).
    Ack,
    /// Only what was sent before. Hidden unless [asked for](Transcript::with_acks).
    Again,
    /// TLS handshake records.
    Handshake,
    /// Bytes of the stream. Over TLS: application data, with what its records add to it.
    Data(usize),
    /// A TLS alert, with the number of its description if it is not encrypted.
    Alert(Option<u8>),
    /// The end of this side's stream.
    Fin,
    /// A reset.
    Rst,
    /// Bytes that were not captured: the capture lost them, or they were dropped before the wire.
    Gap(usize),
}

impl Part {
    /// Whether it belongs to the TCP or the TLS handshake.
    fn is_opening(self) -> bool {
        match self {
            Self::Syn | Self::SynAck | Self::Handshake => true,
            Self::Ack
            | Self::Again
            | Self::Data(_)
            | Self::Alert(_)
            | Self::Fin
            | Self::Rst
            | Self::Gap(_) => false,
        }
    }

    /// Whether it adds nothing to what was sent before.
    pub(crate) fn is_hidden(self) -> bool {
        match self {
            Self::Ack | Self::Again => true,
            Self::Syn
            | Self::SynAck
            | Self::Handshake
            | Self::Data(_)
            | Self::Alert(_)
            | Self::Fin
            | Self::Rst
            | Self::Gap(_) => false,
        }
    }
}

/// One segment, or several consecutive ones that were summed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The number of the connection, from 0 in the order of their first segments.
    pub connection: usize,
    /// The client's address.
    pub client: SocketAddr,
    /// When its first segment left, since 1970.
    pub at: Duration,
    /// The sender.
    pub side: Side,
    /// What was in it, in the order of the stream.
    pub parts: Vec<Part>,
}

/// What was captured, in the order in which it left the hosts.
///
/// `Display` prints one event per line, such as `server: alert + FIN`. Parts on one line left in one segment,
/// except that data (or handshake records) of consecutive segments is summed up: `data 300 + FIN` may be two
/// segments, the second with data and FIN. [`exact`](Self::exact) shows each segment.
#[derive(Debug, Clone)]
pub struct Transcript {
    events: Vec<Event>,
    problems: Vec<String>,
    acks: bool,
    exact: bool,
}

impl Transcript {
    #[cfg(target_os = "linux")]
    pub(crate) fn new(events: Vec<Event>, problems: Vec<String>) -> Self {
        Self { events, problems, acks: false, exact: false }
    }

    /// The same transcript with pure acknowledgements and retransmissions.
    #[must_use]
    pub fn with_acks(self) -> Self {
        Self { acks: true, ..self }
    }

    /// The same transcript with an event for each segment.
    #[must_use]
    pub fn exact(self) -> Self {
        Self { exact: true, ..self }
    }

    /// Only the connection with this number.
    #[must_use]
    pub fn connection(mut self, number: usize) -> Self {
        self.events.retain(|event| event.connection == number);
        self
    }

    /// How many connections were seen.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.events.iter().map(|event| event.connection + 1).max().unwrap_or(0)
    }

    /// Only what comes after the TCP and TLS handshakes of each connection.
    #[must_use]
    pub fn close_part(mut self) -> Self {
        for number in 0..self.connections() {
            let of_this = |event: &Event| event.connection == number;
            let last = self
                .events
                .iter()
                .rposition(|event| of_this(event) && event.parts.iter().any(|part| part.is_opening()));
            let Some(last) = last else { continue };
            let mut index = 0;
            self.events.retain_mut(|event| {
                if of_this(event) && index == last {
                    let kept = event
                        .parts
                        .iter()
                        .rposition(|part| part.is_opening())
                        .map_or(0, |opening| opening + 1);
                    event.parts.drain(..kept);
                } else if of_this(event) && index < last {
                    event.parts.clear();
                }
                index += 1;
                !event.parts.is_empty()
            });
        }
        self
    }

    /// The events as they are printed.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let mut shown: Vec<Event> = Vec::new();
        for event in &self.events {
            if !self.acks && event.parts.iter().all(|part| part.is_hidden()) {
                continue;
            }
            match shown.last_mut() {
                Some(last) if !self.exact && last.is_continued_by(event) => {
                    for part in &event.parts {
                        add(&mut last.parts, *part);
                    }
                }
                _ => shown.push(event.clone()),
            }
        }
        shown
    }

    /// The index in [`events`](Self::events) of the first event in which this side sends such a part.
    ///
    /// The number inside the part is ignored: `Part::Data(0)` finds any data.
    #[must_use]
    pub fn position(&self, side: Side, part: Part) -> Option<usize> {
        self.events().iter().position(|event| event.has(side, part))
    }

    /// The index of the last such event.
    #[must_use]
    pub fn last_position(&self, side: Side, part: Part) -> Option<usize> {
        self.events().iter().rposition(|event| event.has(side, part))
    }

    /// The number of segments in which this side sent such a part. The number inside the part is ignored.
    #[must_use]
    pub fn count(&self, side: Side, part: Part) -> usize {
        self.events.iter().filter(|event| event.has(side, part)).count()
    }

    /// The number of connections that this side reset, that is, on which it sent the first reset. Later
    /// resets do not count: a reset destroys the receiver's socket too, so the receiver's kernel may answer
    /// what is still under way with resets.
    #[must_use]
    pub fn resets(&self, side: Side) -> usize {
        let mut seen = BTreeSet::new();
        let resets = self.events.iter().filter(|event| event.has(event.side, Part::Rst));
        resets.filter(|event| seen.insert(event.connection) && event.side == side).count()
    }

    /// How many bytes of data this side sent.
    #[must_use]
    pub fn data(&self, side: Side) -> usize {
        let parts = self.events.iter().filter(|event| event.side == side).flat_map(|event| &event.parts);
        parts.map(|part| if let Part::Data(bytes) = part { *bytes } else { 0 }).sum()
    }

    /// Why this transcript may lack packets. Empty if it is complete.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The lines that `Display` prints. Problems of the capture follow as lines of their own, so that a
    /// comparison with the expected lines fails.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let several = self.events.iter().any(|event| event.connection != self.events[0].connection);
        let line = |event: &Event| {
            if several { format!("[{}] {event}", event.connection) } else { event.to_string() }
        };
        let problems = self.problems.iter().map(|problem| format!("! {problem}"));
        self.events().iter().map(line).chain(problems).collect()
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl Event {
    /// Whether this side sends such a part here. The number inside the part is ignored.
    #[must_use]
    pub fn has(&self, side: Side, part: Part) -> bool {
        self.side == side && self.parts.iter().any(|own| discriminant(own) == discriminant(&part))
    }

    /// Whether `next` continues the data or the handshake with which this event ends.
    fn is_continued_by(&self, next: &Self) -> bool {
        let joins = matches!(
            (self.parts.last(), next.parts.first()),
            (Some(Part::Data(_)), Some(Part::Data(_))) | (Some(Part::Handshake), Some(Part::Handshake))
        );
        joins && self.connection == next.connection && self.side == next.side
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.parts.iter().map(Part::to_string).collect();
        write!(f, "{}: {}", self.side, parts.join(" + "))
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syn => f.write_str("SYN"),
            Self::SynAck => f.write_str("SYN-ACK"),
            Self::Ack => f.write_str("ACK"),
            Self::Again => f.write_str("again"),
            Self::Handshake => f.write_str("handshake"),
            Self::Data(bytes) => write!(f, "data {bytes}"),
            Self::Alert(None) => f.write_str("alert"),
            Self::Alert(Some(description)) => write!(f, "alert {description}"),
            Self::Fin => f.write_str("FIN"),
            Self::Rst => f.write_str("RST"),
            Self::Gap(bytes) => write!(f, "gap {bytes}"),
        }
    }
}
