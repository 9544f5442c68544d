//! Segments below all link-layer headers.

use std::net::IpAddr;
use std::time::Duration;

use etherparse::{PacketBuilder, TcpHeader, TcpOptionElement};

use super::{frame, packet};
use crate::decode::{Decoded, Flags, Frame, LinkType, Options, Payload, Tcp, decode};

/// A segment with 5 bytes of payload, from the IP header on.
fn v4() -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 63);
    builder.tcp_header(header()).write(&mut bytes, b"hello").expect("memory takes it");
    bytes[4..6].copy_from_slice(&0xbeef_u16.to_be_bytes());
    bytes
}

fn v6() -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ipv6([0xfd; 16], [0xfe; 16], 62);
    builder.tcp_header(header()).write(&mut bytes, b"hello").expect("memory takes it");
    bytes
}

fn header() -> TcpHeader {
    let mut header = TcpHeader::new(50_000, 443, 0x0102_0304, 65_535);
    (header.ack, header.psh, header.acknowledgment_number) = (true, true, 0x0506_0708);
    header.set_options(&[TcpOptionElement::Timestamp(11, 12)]).expect("they fit");
    header
}

/// Checks all that [`v4`] or [`v6`] says.
fn check(tcp: &Tcp<'_>, payload: &[u8]) {
    assert_eq!((tcp.source_port, tcp.destination_port), (50_000, 443));
    assert_eq!((tcp.seq, tcp.ack, tcp.window), (0x0102_0304, Some(0x0506_0708), 65_535));
    assert_eq!(tcp.flags, Flags { psh: true, ..Flags::default() });
    assert_eq!(tcp.options, Options { timestamps: Some((11, 12)), ..Options::default() });
    assert_eq!((tcp.payload, tcp.length), (payload, 5));
}

fn tcp<'a>(frame: &Frame<'a>) -> Tcp<'a> {
    match packet(frame).payload {
        Payload::Tcp(tcp) => tcp,
        Payload::Icmp(error) => panic!("{error:?}"),
    }
}

#[test]
fn segments_are_found_below_every_link_layer_header() {
    let ethernet = |tail: &[u8]| [&[0; 12], tail].concat();
    let cooked = |protocol: [u8; 2]| [&[0; 14][..], &protocol].concat();
    let cooked2 = |protocol: [u8; 2]| [&protocol[..], &[0xff; 18]].concat();
    let both: [(LinkType, Vec<u8>, Vec<u8>); 5] = [
        (LinkType::Ip, vec![], vec![]),
        (LinkType::Ethernet, ethernet(&[8, 0]), ethernet(&[0x86, 0xdd])),
        (
            LinkType::Ethernet,
            ethernet(&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 0x91, 0, 0, 3, 0x92, 0, 0, 4, 8, 0]),
            ethernet(&[0x81, 0, 0, 2, 0x86, 0xdd]),
        ),
        (LinkType::LinuxSll, cooked([8, 0]), cooked([0x86, 0xdd])),
        (LinkType::LinuxSll2, cooked2([8, 0]), cooked2([0x86, 0xdd])),
    ];
    for (link, before_v4, before_v6) in both {
        for (before, ip) in [(before_v4, v4()), (before_v6, v6())] {
            check(&tcp(&frame(link, &[before, ip].concat())), b"hello");
        }
    }
    for family in [2_u32, 10, 24, 28, 30] {
        let ip = if family == 2 { v4() } else { v6() };
        for order in [family.to_le_bytes(), family.to_be_bytes()] {
            for link in [LinkType::Null, LinkType::Loop] {
                check(&tcp(&frame(link, &[&order[..], &ip].concat())), b"hello");
            }
        }
    }
}

#[test]
fn the_ip_header_tells_who_and_from_how_far() {
    let (v4, v6) = (v4(), v6());
    let packet4 = packet(&frame(LinkType::Ip, &v4));
    assert_eq!(packet4.at, Duration::from_secs(7));
    assert_eq!((packet4.source, packet4.destination), (IpAddr::from([10, 0, 0, 1]), [10, 0, 0, 2].into()));
    assert_eq!((packet4.ttl, packet4.id), (63, Some(0xbeef)));
    let packet6 = packet(&frame(LinkType::Ip, &v6));
    assert_eq!((packet6.source, packet6.destination), (IpAddr::from([0xfd; 16]), [0xfe; 16].into()));
    assert_eq!((packet6.ttl, packet6.id), (62, None));
}

#[test]
fn padding_of_ethernet_is_no_payload() {
    for (kind, ip) in [([8, 0], v4()), ([0x86, 0xdd], v6())] {
        let padded = [&[0; 12][..], &kind, &ip, &[0xaa; 9]].concat();
        check(&tcp(&frame(LinkType::Ethernet, &padded)), b"hello");
    }
}

#[test]
fn a_cut_packet_keeps_its_length() {
    for (ip, headers) in [(v4(), 20), (v6(), 40)] {
        let whole = frame(LinkType::Ip, &ip);
        for length in 0..ip.len() {
            let cut = Frame { bytes: &ip[..length], ..whole };
            if length < headers + 20 {
                assert!(matches!(decode(&cut), Decoded::Damaged), "{length} bytes");
                continue;
            }
            let found = tcp(&cut);
            // Two bytes of padding follow the option.
            let options = length >= headers + 30;
            assert_eq!(found.options.timestamps, options.then_some((11, 12)), "{length} bytes");
            let payload = ip.get(headers + 32..length).unwrap_or_default();
            check(
                &Tcp { options: Options { timestamps: Some((11, 12)), ..found.options }, ..found },
                payload,
            );
        }
    }
}

#[test]
fn without_a_length_in_the_ip_header_that_of_the_frame_counts() {
    let (mut v4, mut v6) = (v4(), v6());
    v4[2..4].fill(0);
    v6[4..6].fill(0);
    for (kind, ip) in [([8, 0], v4), ([0x86, 0xdd], v6)] {
        let bytes = [&[0; 12][..], &kind, &ip].concat();
        let whole = frame(LinkType::Ethernet, &bytes);
        check(&tcp(&whole), b"hello");
        // Cut by the capture: 70 000 bytes and more that it left out.
        let cut = tcp(&Frame { length: whole.length + 70_000, ..whole });
        assert_eq!((cut.length, cut.payload), (70_005, &b"hello"[..]));
    }
}

#[test]
fn headers_between_ip_and_tcp_are_skipped() {
    // IPv4 with options: a record of the route.
    let mut options = v4();
    options[0] = 0x46;
    options[2..4].copy_from_slice(&61_u16.to_be_bytes());
    options.splice(20..20, [7, 4, 4, 0]);
    check(&tcp(&frame(LinkType::Ip, &options)), b"hello");
    // IPv6 with options for every hop, a route, and options for the destination.
    let mut headers = v6();
    headers[6] = 0;
    headers[4..6].copy_from_slice(&(37_u16 + 24).to_be_bytes());
    let extensions = [[43, 0, 1, 4, 0, 0, 0, 0], [60, 0, 3, 0, 0, 0, 0, 0], [6, 0, 1, 4, 0, 0, 0, 0]];
    headers.splice(40..40, extensions.concat());
    check(&tcp(&frame(LinkType::Ip, &headers)), b"hello");
}

#[test]
fn fragments_are_named() {
    let mut first = v4();
    first[6] = 0x20;
    let mut later = v4();
    later[7] = 1;
    let fragment6 = |offset: [u8; 2]| {
        let mut ip = v6();
        ip[6] = 44;
        ip[5] += 8;
        ip.splice(40..40, [6, 0, offset[0], offset[1], 0, 0, 0, 9]);
        ip
    };
    for ip in [&first, &later, &fragment6([0, 1]), &fragment6([0, 8])] {
        assert!(matches!(decode(&frame(LinkType::Ip, ip)), Decoded::Fragment), "{ip:x?}");
    }
    // A fragment header without fragmentation (RFC 6946).
    check(&tcp(&frame(LinkType::Ip, &fragment6([0, 0]))), b"hello");
    // Fragments of anything but TCP are of no interest.
    first[9] = 17;
    assert!(matches!(decode(&frame(LinkType::Ip, &first)), Decoded::Other));
}

#[test]
fn options_behind_unknown_ones_are_read() {
    let with = |options: &[u8]| {
        let mut header = header();
        (header.syn, header.psh) = (true, false);
        header.set_options_raw(options).expect("they fit");
        let mut bytes = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 63);
        builder.tcp_header(header).write(&mut bytes, b"").expect("memory takes it");
        tcp(&frame(LinkType::Ip, &bytes)).options
    };
    let syn = [2, 4, 5, 0xb4, 30, 4, 0, 0, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7];
    let expected = Options { mss: Some(1460), window_scale: Some(7), timestamps: Some((1, 2)), sack: false };
    assert_eq!(with(&syn), expected);
    let sack = [34, 2, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    assert_eq!(with(&sack), Options { sack: true, ..Options::default() });
    // What follows the end, or lengths that make no sense, is not read.
    for ends in [[0, 3, 3, 7], [9, 0, 3, 3], [9, 1, 3, 3], [9, 40, 3, 3], [1, 1, 1, 9]] {
        assert_eq!(with(&ends), Options::default(), "{ends:?}");
    }
}

#[test]
fn all_flags_are_told() {
    let cases: [(u8, Flags); 4] = [
        (0x01, Flags { fin: true, ..Flags::default() }),
        (0x02, Flags { syn: true, ..Flags::default() }),
        (0x04, Flags { rst: true, ..Flags::default() }),
        (0x08, Flags { psh: true, ..Flags::default() }),
    ];
    for (bits, flags) in cases {
        let mut ip = v4();
        ip[33] = bits;
        let found = tcp(&frame(LinkType::Ip, &ip));
        assert_eq!((found.flags, found.ack), (flags, None));
    }
}

#[test]
fn what_is_no_tcp_is_left_aside() {
    let other = |link, bytes: &[u8]| {
        assert!(matches!(decode(&frame(link, bytes)), Decoded::Other), "{link:?} {bytes:x?}");
    };
    let mut udp = v4();
    udp[9] = 17;
    other(LinkType::Ip, &udp);
    other(LinkType::Ethernet, &[&[0; 12][..], &[8, 6], &[0; 28]].concat());
    other(LinkType::LinuxSll, &[&[0; 14][..], &[0, 4], &[0; 28]].concat());
    other(LinkType::Null, &[0, 0, 0, 7, 0x45]);
}

#[test]
fn what_makes_no_sense_is_damaged() {
    let damaged = |bytes: &[u8]| {
        assert!(matches!(decode(&frame(LinkType::Ip, bytes)), Decoded::Damaged), "{bytes:x?}");
    };
    let change = |at: usize, to: u8| {
        let mut ip = v4();
        ip[at] = to;
        ip
    };
    damaged(b"");
    damaged(&change(0, 0x15)); // IP version 1
    damaged(&change(0, 0x44)); // a header shorter than any
    damaged(&change(3, 19)); // a packet shorter than its header
    damaged(&change(3, 51)); // a packet shorter than its TCP header
    damaged(&change(32, 0x40)); // a TCP header shorter than any
    assert!(matches!(decode(&frame(LinkType::Ethernet, &[0; 13])), Decoded::Damaged));
    assert!(matches!(
        decode(&frame(LinkType::Ethernet, &[&[0; 12][..], &[0x81, 0, 0]].concat())),
        Decoded::Damaged
    ));
    assert!(matches!(decode(&frame(LinkType::Null, &[2, 0, 0])), Decoded::Damaged));
}
