//! ICMP errors, and what they quote.

use etherparse::PacketBuilder;

use super::{frame, packet};
use crate::decode::{Decoded, IcmpError, IcmpKind, LinkType, Payload, decode};

/// The segment that the errors are about: its headers and the first 20 bytes of TCP's.
fn quoted(v6: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    if v6 {
        let builder = PacketBuilder::ipv6([1; 16], [2; 16], 9);
        builder.tcp(50_000, 443, 0x0102_0304, 1).write(&mut bytes, b"hello").expect("memory takes it");
    } else {
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9);
        builder.tcp(50_000, 443, 0x0102_0304, 1).write(&mut bytes, b"hello").expect("memory takes it");
    }
    bytes
}

/// An ICMP message of a router.
fn message(v6: bool, kind: u8, code: u8, quoted: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let payload = [&[0; 4], quoted].concat();
    // The builder wants to know the message: take any, and change it.
    if v6 {
        let builder = PacketBuilder::ipv6([3; 16], [1; 16], 60).icmpv6_raw(kind, code, [0; 4]);
        builder.write(&mut bytes, quoted).expect("memory takes it");
    } else {
        let builder = PacketBuilder::ipv4([10, 9, 9, 9], [10, 0, 0, 1], 60).icmpv4_raw(kind, code, [0; 4]);
        builder.write(&mut bytes, quoted).expect("memory takes it");
    }
    assert!(bytes.ends_with(&payload));
    bytes
}

fn error(bytes: &[u8]) -> IcmpError {
    match packet(&frame(LinkType::Ip, bytes)).payload {
        Payload::Icmp(error) => error,
        Payload::Tcp(tcp) => panic!("{tcp:?}"),
    }
}

#[test]
fn errors_name_the_segment_that_they_are_about() {
    for v6 in [false, true] {
        let (quoted, kind) = (quoted(v6), if v6 { 1 } else { 3 });
        let headers = if v6 { 40 } else { 20 };
        for length in 0..=quoted.len() {
            let bytes = message(v6, kind, if v6 { 4 } else { 3 }, &quoted[..length]);
            if length < headers + 4 {
                assert!(matches!(decode(&frame(LinkType::Ip, &bytes)), Decoded::Damaged), "{length} bytes");
                continue;
            }
            let (source, destination) = if v6 {
                ([1; 16].into(), [2; 16].into())
            } else {
                ([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
            };
            let expected = IcmpError {
                kind: IcmpKind::PortUnreachable,
                source: (source, 50_000),
                destination: (destination, 443),
                // 8 bytes are quoted at least, which is up to the sequence number.
                seq: (length >= headers + 8).then_some(0x0102_0304),
            };
            assert_eq!(error(&bytes), expected, "{length} bytes");
        }
        let bytes = message(v6, kind, 1, &quoted);
        let found = packet(&frame(LinkType::Ip, &bytes));
        let router = if v6 { [3; 16].into() } else { [10, 9, 9, 9].into() };
        assert_eq!((found.source, found.ttl), (router, 60), "the router sent the error");
    }
}

#[test]
fn kinds_are_told_apart() {
    use IcmpKind::{
        HostUnreachable, NetworkUnreachable, Other, PacketTooBig, ParameterProblem, PortUnreachable,
        Prohibited, ProtocolUnreachable, TimeExceeded,
    };
    let kinds = [
        (false, 3, 0, NetworkUnreachable),
        (false, 3, 1, HostUnreachable),
        (false, 3, 2, ProtocolUnreachable),
        (false, 3, 3, PortUnreachable),
        (false, 3, 4, PacketTooBig),
        (false, 3, 5, Other(3, 5)),
        (false, 3, 13, Prohibited),
        (false, 4, 0, Other(4, 0)),
        (false, 11, 0, TimeExceeded),
        (false, 12, 0, ParameterProblem),
        (true, 1, 0, NetworkUnreachable),
        (true, 1, 1, Prohibited),
        (true, 1, 3, HostUnreachable),
        (true, 1, 4, PortUnreachable),
        (true, 1, 7, Other(1, 7)),
        (true, 2, 0, PacketTooBig),
        (true, 3, 0, TimeExceeded),
        (true, 4, 1, ParameterProblem),
    ];
    for (v6, kind, code, expected) in kinds {
        assert_eq!(error(&message(v6, kind, code, &quoted(v6))).kind, expected, "{kind} {code}");
    }
}

#[test]
fn other_messages_are_left_aside() {
    let mut udp = quoted(false);
    udp[9] = 17;
    // Echo, redirect, a neighbour's solicitation, and an error about UDP.
    for (v6, kind, quoted) in
        [(false, 8, quoted(false)), (false, 5, quoted(false)), (true, 135, quoted(true)), (false, 3, udp)]
    {
        let bytes = message(v6, kind, 0, &quoted);
        assert!(matches!(decode(&frame(LinkType::Ip, &bytes)), Decoded::Other), "{kind}");
    }
}
