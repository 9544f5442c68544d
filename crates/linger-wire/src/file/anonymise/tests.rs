//! What stays, and what does not.

mod hello;
mod order;
mod packets;

use std::time::Duration;

use etherparse::PacketBuilder;

use super::Anonymiser;
use crate::decode::{Decoded, Frame, LinkType, Packet, Payload, Tcp, decode};

/// What must not be in the result. No byte of it occurs in what stays.
const SECRET: u8 = 0xa7;

const CLIENT: [u8; 4] = [SECRET; 4];
const SERVER: [u8; 4] = [SECRET, SECRET, SECRET, SECRET + 1];

/// A frame with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owned {
    at: Duration,
    length: u32,
    bytes: Vec<u8>,
}

impl Owned {
    fn frame(&self) -> Frame<'_> {
        Frame { at: self.at, link: LinkType::Ip, length: self.length, bytes: &self.bytes }
    }

    /// Cut by the capture to so many bytes.
    fn cut(mut self, to: usize) -> Self {
        self.bytes.truncate(to);
        self
    }
}

/// A segment of a connection.
fn segment(from_client: bool, seq: u32, ack: Option<u32>, flags: &str, payload: &[u8]) -> Owned {
    let (source, destination, ports) =
        if from_client { (CLIENT, SERVER, (50_000, 443)) } else { (SERVER, CLIENT, (443, 50_000)) };
    let mut builder = PacketBuilder::ipv4(source, destination, 61).tcp(ports.0, ports.1, seq, 500).psh();
    if let Some(ack) = ack {
        builder = builder.ack(ack);
    }
    for flag in flags.chars() {
        builder = match flag {
            'S' => builder.syn(),
            'F' => builder.fin(),
            'R' => builder.rst(),
            other => panic!("{other}"),
        };
    }
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).expect("memory takes it");
    Owned { at: Duration::from_secs(seq.into()), length: u32::try_from(bytes.len()).expect("short"), bytes }
}

fn client(seq: u32, payload: &[u8]) -> Owned {
    segment(true, seq, None, "", payload)
}

/// The client's SYN, after which its stream begins at 1.
fn syn() -> Owned {
    segment(true, 0, None, "S", b"")
}

/// All that comes out, pushed one by one.
fn anonymised<'a>(frames: impl IntoIterator<Item = &'a Owned>) -> Vec<Owned> {
    let (mut anonymiser, mut result) = (Anonymiser::new(), Vec::new());
    for frame in frames {
        anonymiser.push(&frame.frame());
        take(&mut anonymiser, &mut result);
    }
    anonymiser.finish();
    take(&mut anonymiser, &mut result);
    result
}

fn take(anonymiser: &mut Anonymiser, result: &mut Vec<Owned>) {
    while let Some(frame) = anonymiser.next_frame() {
        assert_eq!(frame.link, LinkType::Ip);
        result.push(Owned { at: frame.at, length: frame.length, bytes: frame.bytes.to_vec() });
    }
}

fn packet(owned: &Owned) -> Packet<'_> {
    match decode(&owned.frame()) {
        Decoded::Packet(packet) => packet,
        other => panic!("{other:?}"),
    }
}

fn tcp(owned: &Owned) -> Tcp<'_> {
    match packet(owned).payload {
        Payload::Tcp(tcp) => tcp,
        Payload::Icmp(error) => panic!("{error:?}"),
    }
}

/// The payloads of what comes out, which must be as many as went in.
fn payloads(frames: &[Owned]) -> Vec<Vec<u8>> {
    let result = anonymised(frames);
    assert_eq!(result.len(), frames.len());
    for (before, after) in frames.iter().zip(&result) {
        assert_eq!(tcp(before).length, tcp(after).length);
        assert!(!shows_secrets(after), "{:x?}", after.bytes);
    }
    result.iter().map(|frame| tcp(frame).payload.to_vec()).collect()
}

/// Whether an address or the payload of a segment without options shows a secret. By chance other numbers may
/// have such a byte.
fn shows_secrets(frame: &Owned) -> bool {
    [&frame.bytes[12..20], &frame.bytes[40..]].concat().contains(&SECRET)
}

/// A record of this type with a body of secrets.
fn record(kind: u8, length: u16) -> Vec<u8> {
    [&[kind, 3, 3][..], &length.to_be_bytes(), &vec![SECRET; length.into()]].concat()
}

/// What stays of it.
fn head(kind: u8, length: u16) -> Vec<u8> {
    [&[kind, 3, 3][..], &length.to_be_bytes(), &vec![0; length.into()]].concat()
}
