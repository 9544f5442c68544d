//! Frames with all headers, whole and cut.

mod icmp;
mod tcp;

use std::time::Duration;

use super::{Decoded, Frame, LinkType, Packet, decode};

/// A frame of this link type, all of which was captured.
fn frame(link: LinkType, bytes: &[u8]) -> Frame<'_> {
    let length = u32::try_from(bytes.len()).expect("it is short");
    Frame { at: Duration::from_secs(7), link, length, bytes }
}

fn packet<'a>(frame: &Frame<'a>) -> Packet<'a> {
    match decode(frame) {
        Decoded::Packet(packet) => packet,
        other => panic!("{other:?} of {:?} {:x?}", frame.link, frame.bytes),
    }
}
