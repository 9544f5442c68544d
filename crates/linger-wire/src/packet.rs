//! Selects the packets of the watched port.

use std::borrow::Cow;
use std::net::SocketAddr;

use crate::decode::{Decoded, Frame, Packet, Payload, decode};
use crate::segment::Segment;
use crate::transcript::Side;

/// The segment in a frame. `None` if it is not of this server port.
pub(crate) fn parse<'a>(frame: &Frame<'a>, port: u16) -> Option<Segment<'a>> {
    match decode(frame) {
        Decoded::Packet(packet) => segment(&packet, port),
        Decoded::Fragment | Decoded::Other | Decoded::Damaged => None,
    }
}

fn segment<'a>(packet: &Packet<'a>, port: u16) -> Option<Segment<'a>> {
    let Payload::Tcp(tcp) = packet.payload else { return None };
    let (client, side) = if tcp.source_port == port {
        (SocketAddr::new(packet.destination, tcp.destination_port), Side::Server)
    } else if tcp.destination_port == port {
        (SocketAddr::new(packet.source, tcp.source_port), Side::Client)
    } else {
        return None;
    };
    Some(Segment {
        at: packet.at,
        client,
        side,
        seq: tcp.seq,
        ack: tcp.ack,
        syn: tcp.flags.syn,
        fin: tcp.flags.fin,
        rst: tcp.flags.rst,
        payload: Cow::Borrowed(tcp.payload),
        missing: (tcp.length as usize).saturating_sub(tcp.payload.len()),
    })
}
