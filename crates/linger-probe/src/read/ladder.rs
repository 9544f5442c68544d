//! The ladder of a connection in a trace.

use std::time::Duration;

use linger_wire::trace::Connection;
use linger_wire::{Part, Side};
use tokio_rustls::rustls::AlertDescription;

use super::verdict::words;
use crate::model::{self, Event, What};
use crate::tls_words;
use crate::trace::folded;

/// Who sent what when, from the connection's first packet on.
pub(super) fn ladder(connection: &Connection) -> Vec<Event> {
    let since = |at: Duration| at.saturating_sub(connection.first_at);
    let mut found = Vec::new();
    for event in &connection.ladder {
        for part in &event.parts {
            let what = match *part {
                Part::Syn | Part::SynAck => What::Connect,
                Part::Handshake => What::Handshake,
                Part::Data(bytes) => What::Data(bytes as u64),
                Part::Alert(Some(0)) => What::CloseNotify,
                Part::Alert(description) => What::Alert(alert(description)),
                Part::Fin => What::Fin,
                Part::Rst => What::Reset,
                Part::Gap(bytes) => What::Missing(bytes as u64),
                Part::Again => What::Again,
                Part::Ack => continue,
            };
            found.push(Event { at: since(event.at), side: side(event.side), what });
        }
    }
    // ICMP errors are no segments of either side: an arrow towards the side whose segment failed.
    if let Some(icmp) = &connection.end.icmp {
        let what = What::Icmp(words::icmp(icmp.kind));
        let at = since(connection.end.at);
        let place = found.partition_point(|event| event.at <= at);
        found.insert(place, Event { at, side: side(icmp.about.other()), what });
    }
    folded(found)
}

/// The name of an alert by its number.
pub(super) fn alert(description: Option<u8>) -> String {
    description
        .map_or_else(|| "encrypted".to_owned(), |number| tls_words::alert(AlertDescription::from(number)))
}

pub(super) fn side(side: Side) -> model::Side {
    match side {
        Side::Client => model::Side::Client,
        Side::Server => model::Side::Server,
    }
}
