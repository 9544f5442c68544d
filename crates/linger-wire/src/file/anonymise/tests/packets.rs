//! Headers and checksums.

use std::net::IpAddr;

use etherparse::checksum::Sum16BitWords;
use etherparse::{PacketBuilder, SlicedPacket, TcpHeader, TransportSlice};

use super::{Owned, SECRET, anonymised, client, packet, segment, tcp};
use crate::decode::{Flags, Frame, IcmpError, IcmpKind, LinkType, Payload};
use crate::file::Anonymiser;

/// A segment whose headers say much.
fn loaded(v6: bool) -> Owned {
    let mut header = TcpHeader::new(50_000, 443, 77, 0x1234);
    (header.ack, header.acknowledgment_number, header.urg, header.urgent_pointer) = (true, 88, true, 9);
    // Timestamps, window scale, an option with an address (Multipath TCP), a cookie (Fast Open), the end.
    let options = [
        &[8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 3, 3, 7, 1][..],
        &[30, 8, SECRET, SECRET, SECRET, SECRET, SECRET, SECRET],
        &[34, 6, SECRET, SECRET, SECRET, SECRET, 0, SECRET, SECRET],
    ];
    header.set_options_raw(&options.concat()).expect("they fit");
    let mut bytes = Vec::new();
    if v6 {
        let builder = PacketBuilder::ipv6([SECRET; 16], [SECRET - 1; 16], 61);
        builder.tcp_header(header).write(&mut bytes, &[SECRET; 33]).expect("memory takes it");
    } else {
        let builder = PacketBuilder::ipv4([SECRET; 4], [SECRET - 1; 4], 61);
        builder.tcp_header(header).write(&mut bytes, &[SECRET; 33]).expect("memory takes it");
        bytes[4..6].copy_from_slice(&0x4242_u16.to_be_bytes());
    }
    Owned {
        at: std::time::Duration::from_nanos(7),
        length: u32::try_from(bytes.len()).expect("short"),
        bytes,
    }
}

#[test]
fn headers_keep_what_tells_of_the_end() {
    for v6 in [false, true] {
        let before = loaded(v6);
        let after = anonymised([&before]);
        let [after] = after.as_slice() else { panic!("{after:?}") };
        assert!(!after.bytes.contains(&SECRET) && !after.bytes.contains(&(SECRET - 1)), "{:x?}", after.bytes);
        let (old, new) = (packet(&before), packet(after));
        assert_eq!((new.at, new.ttl, new.id), (old.at, 61, (!v6).then_some(0x4242)));
        let (old, new) = (tcp(&before), tcp(after));
        assert_eq!((new.source_port, new.destination_port), (50_000, 443));
        assert_eq!((new.seq, new.ack, new.window, new.flags), (77, Some(88), 0x1234, Flags::default()));
        assert_eq!((new.options, new.length, new.payload), (old.options, 33, &[0; 33][..]));
        assert_eq!(before.length, after.length);
        // The types and lengths of other options stay.
        let headers = if v6 { 40 } else { 20 };
        let options = &after.bytes[headers + 20..headers + 60];
        assert_eq!(options[14..28], [30, 8, 0, 0, 0, 0, 0, 0, 34, 6, 0, 0, 0, 0]);
    }
}

/// Computes the checksums by another way than the code does.
fn check_sums(bytes: &[u8]) {
    let sliced = SlicedPacket::from_ip(bytes).expect("a packet");
    let net = sliced.net.expect("it is IP");
    let (v4, v6) = (net.ipv4_ref(), net.ipv6_ref());
    if let Some(ip) = v4 {
        assert_eq!(ip.header().header_checksum(), ip.header().to_header().calc_header_checksum());
    }
    match sliced.transport.expect("it is TCP or ICMP") {
        TransportSlice::Tcp(tcp) => {
            let header = tcp.to_header();
            let sum = match (v4, v6) {
                (Some(ip), _) => header.calc_checksum_ipv4(&ip.header().to_header(), tcp.payload()),
                (_, Some(ip)) => header.calc_checksum_ipv6(&ip.header().to_header(), tcp.payload()),
                _ => panic!("neither"),
            };
            assert_eq!(sum.expect("it is short"), tcp.checksum());
        }
        // The sum of all of it, the checksum included, is all ones.
        TransportSlice::Icmpv4(icmp) => {
            assert_eq!(Sum16BitWords::new().add_slice(icmp.slice()).ones_complement(), 0);
        }
        TransportSlice::Icmpv6(icmp) => {
            let ip = v6.expect("it is IPv6").header();
            assert!(icmp.is_checksum_valid(ip.source(), ip.destination()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn checksums_are_right() {
    let record = super::record(22, 44);
    let frames = [
        loaded(false),
        loaded(true),
        client(1, &record),
        client(500, &record[..18]),
        error(false),
        error(true),
    ];
    let result = anonymised(&frames);
    assert_eq!(result.len(), frames.len());
    for frame in &result {
        check_sums(&frame.bytes);
    }
    // What was cut off counts as zeros: those that stand there then.
    let cut = anonymised([&loaded(false).cut(90)]).remove(0);
    let mut whole = cut.bytes.clone();
    whole.resize(cut.length as usize, 0);
    assert_eq!((cut.bytes.len(), whole.len()), (90, 105));
    check_sums(&whole);
}

/// An error about a segment.
fn error(v6: bool) -> Owned {
    let quoted = loaded(v6).bytes;
    let mut bytes = Vec::new();
    let rest = [0, 0, 0x05, 0x00];
    if v6 {
        let builder = PacketBuilder::ipv6([SECRET + 1; 16], [SECRET; 16], 60).icmpv6_raw(1, 4, rest);
        builder.write(&mut bytes, &quoted).expect("memory takes it");
    } else {
        let builder = PacketBuilder::ipv4([SECRET + 1; 4], [SECRET; 4], 60).icmpv4_raw(3, 3, rest);
        builder.write(&mut bytes, &quoted).expect("memory takes it");
    }
    Owned {
        at: std::time::Duration::from_nanos(8),
        length: u32::try_from(bytes.len()).expect("short"),
        bytes,
    }
}

#[test]
fn icmp_errors_name_the_same_connection() {
    for v6 in [false, true] {
        let result = anonymised(&[loaded(v6), error(v6)]);
        let [segment, error] = result.as_slice() else { panic!("{result:?}") };
        assert!(!error.bytes.contains(&SECRET) && !error.bytes.contains(&(SECRET - 1)), "{:x?}", error.bytes);
        let (segment, error) = (packet(segment), packet(error));
        let Payload::Icmp(found) = error.payload else { panic!("{error:?}") };
        let expected = IcmpError {
            kind: IcmpKind::PortUnreachable,
            source: (segment.source, 50_000),
            destination: (segment.destination, 443),
            seq: Some(77),
        };
        assert_eq!((found, error.ttl), (expected, 60));
        assert_ne!(error.source, segment.destination, "another host sent it");
    }
}

#[test]
fn addresses_are_numbered_in_the_order_of_appearance() {
    let with = |source: [u8; 4], destination: [u8; 4]| {
        let mut frame = segment(true, 1, None, "", b"");
        frame.bytes[12..16].copy_from_slice(&source);
        frame.bytes[16..20].copy_from_slice(&destination);
        frame
    };
    let (a, b, c, home) = ([192, 0, 2, 7], [198, 51, 100, 1], [10, 0, 0, 1], [127, 0, 0, 1]);
    let result = anonymised(&[with(a, b), with(b, a), with(c, a), with(home, home)]);
    let seen: Vec<_> = result.iter().map(|frame| (packet(frame).source, packet(frame).destination)).collect();
    let number = |number| IpAddr::from([10, 0, 0, number]);
    let home = IpAddr::from(home);
    assert_eq!(seen, [(number(1), number(2)), (number(2), number(1)), (number(3), number(1)), (home, home)]);
}

#[test]
fn everything_else_is_left_out() {
    let mut udp = client(1, b"").bytes;
    udp[9] = 17;
    let mut fragment = client(1, b"").bytes;
    fragment[6] = 0x20;
    let mut anonymiser = Anonymiser::new();
    for bytes in [&udp[..], &fragment, &fragment[..30], b""] {
        anonymiser.push(&Frame { at: std::time::Duration::ZERO, link: LinkType::Ip, length: 100, bytes });
    }
    anonymiser.finish();
    assert!(anonymiser.next_frame().is_none());
}

#[test]
fn link_layer_and_options_of_ip_are_left_out() {
    let mut ip = client(1, b"").bytes;
    ip[0] = 0x46;
    ip[3] += 4;
    ip.splice(20..20, [7, 4, 4, 0]);
    let bytes = [&[SECRET; 12][..], &[8, 0], &ip].concat();
    let length = u32::try_from(bytes.len()).expect("short");
    let frame = Frame { at: std::time::Duration::ZERO, link: LinkType::Ethernet, length, bytes: &bytes };
    let mut anonymiser = Anonymiser::new();
    anonymiser.push(&frame);
    let after = anonymiser.next_frame().expect("it is ready");
    assert!(!after.bytes.contains(&SECRET));
    assert_eq!((after.bytes.len(), after.length), (40, 40));
}
