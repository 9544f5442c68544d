//! Makes a ladder from packets.

use linger_wire::{Event, Part, Side};

use crate::model::{self, What};
use crate::trace::folded;

/// The ladder of these packets of one connection.
///
/// `noticed` is the ladder from the client's socket. It adds what packets do not show: which alert an
/// encrypted one is (TLS 1.3), and what a socket does without a packet.
pub(crate) fn ladder(packets: &[Event], noticed: &[model::Event]) -> Vec<model::Event> {
    let Some(begin) = packets.first().map(|event| event.at) else { return Vec::new() };
    let alerts = |side| {
        let of_side = move |event: &&model::Event| event.side == side;
        let is_alert = |what: &What| shown_by(what) == ShownBy::PacketAndSocket;
        noticed.iter().filter(of_side).map(|event| event.what.clone()).filter(is_alert)
    };
    let mut alerts = [alerts(model::Side::Client), alerts(model::Side::Server)];
    let mut found: Vec<model::Event> = Vec::new();
    for event in packets {
        let at = event.at.saturating_sub(begin);
        let (side, alerts) = match event.side {
            Side::Client => (model::Side::Client, &mut alerts[0]),
            Side::Server => (model::Side::Server, &mut alerts[1]),
        };
        for part in &event.parts {
            let what = match *part {
                Part::Syn | Part::SynAck => What::Connect,
                Part::Handshake => What::Handshake,
                // Bytes of a gap were sent, although they were not captured.
                Part::Data(bytes) | Part::Gap(bytes) => What::Data(bytes as u64),
                Part::Alert(_) => alerts.next().unwrap_or(What::CloseNotify),
                Part::Fin => What::Fin,
                Part::Rst => What::Reset,
                Part::Ack | Part::Again => continue,
            };
            found.push(model::Event { at, side, what });
        }
    }
    // The last record of the handshake completes it.
    let done = found.iter().rposition(|event| event.what == What::Handshake);
    let mut index = 0;
    found.retain(|event| {
        index += 1;
        event.what != What::Handshake || Some(index - 1) == done
    });
    let unseen = |event: &&model::Event| shown_by(&event.what) == ShownBy::Socket;
    found.extend(noticed.iter().filter(unseen).cloned());
    found.sort_by_key(|event| event.at);
    folded(found)
}

/// What shows an event.
#[derive(PartialEq, Eq)]
enum ShownBy {
    Packet,
    /// A packet shows when it was sent, the socket shows what it is.
    PacketAndSocket,
    Socket,
}

fn shown_by(what: &What) -> ShownBy {
    match what {
        // The last three are in ladders of traces alone.
        What::Connect
        | What::Handshake
        | What::Data(_)
        | What::Fin
        | What::Reset
        | What::Again
        | What::Missing(_)
        | What::Icmp(_) => ShownBy::Packet,
        What::CloseNotify | What::Alert(_) => ShownBy::PacketAndSocket,
        What::WriteFailed(_) | What::Release => ShownBy::Socket,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn packets_say_when_and_the_socket_says_what() {
        let at = |millis: u64, side, parts: &[Part]| Event {
            connection: 0,
            client: ([127, 0, 0, 1], 50_000).into(),
            at: Duration::from_millis(1000 + millis),
            side,
            parts: parts.to_vec(),
        };
        let packets = [
            at(0, Side::Client, &[Part::Syn]),
            at(1, Side::Server, &[Part::SynAck]),
            at(2, Side::Client, &[Part::Handshake]),
            at(3, Side::Server, &[Part::Handshake]),
            at(4, Side::Client, &[Part::Handshake, Part::Data(10)]),
            at(5, Side::Server, &[Part::Alert(None), Part::Fin]),
            at(7, Side::Client, &[Part::Rst]),
        ];
        let noticed = |millis, side, what| model::Event { at: Duration::from_millis(millis), side, what };
        let (client, server) = (model::Side::Client, model::Side::Server);
        let name = What::Alert("CertificateRequired".to_owned());
        let found =
            ladder(&packets, &[noticed(9, server, name.clone()), noticed(6, client, What::WriteFailed(10))]);
        let expected = [
            noticed(0, client, What::Connect),
            noticed(1, server, What::Connect),
            noticed(4, client, What::Handshake),
            noticed(4, client, What::Data(10)),
            noticed(5, server, name),
            noticed(5, server, What::Fin),
            noticed(6, client, What::WriteFailed(10)),
            noticed(7, client, What::Reset),
        ];
        assert_eq!(found, expected);
    }
}
