//! The files that are changed: one of each format and link type, and those of the folder `CAPTURES`.

use std::time::Duration;

use linger_wire::decode::{Frame, LinkType};
use linger_wire::file::Writer;

/// The files that are changed.
pub(crate) fn files() -> Vec<Vec<u8>> {
    use LinkType::{Ethernet, Ip, LinuxSll, LinuxSll2, Loop, Null};
    let mut files: Vec<_> = [Ethernet, Ip, LinuxSll, LinuxSll2, Loop, Null].map(pcapng).into();
    files.extend([pcap(false), pcap(true)]);
    if let Some(folder) = std::env::var_os("CAPTURES") {
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .expect("CAPTURES is a folder")
            .map(|entry| entry.expect("it is read").path())
            .filter(|path| path.extension().is_some_and(|name| name == "pcap" || name == "pcapng"))
            .collect();
        paths.sort();
        files.extend(paths.iter().map(|path| std::fs::read(path).expect("it is read")));
    }
    files
}

fn pcapng(link: LinkType) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), link).expect("memory takes it");
    for (index, (v6, packet)) in packets().into_iter().enumerate() {
        let bytes = [before(link, v6), packet].concat();
        // Every fifth one is cut by the capture.
        let kept = if index % 5 == 4 { bytes.len() * 2 / 3 } else { bytes.len() };
        let length = u32::try_from(bytes.len()).expect("it is short");
        writer
            .write(&Frame { at: time(index), link, length, bytes: &bytes[..kept] })
            .expect("memory takes it");
    }
    writer.into_inner()
}

fn pcap(big_endian: bool) -> Vec<u8> {
    let number = |number: u32| if big_endian { number.to_be_bytes() } else { number.to_le_bytes() };
    let version = if big_endian { [0, 2, 0, 4] } else { [2, 0, 4, 0] };
    let mut file = [number(0xa1b2_c3d4), version, [0; 4], [0; 4], number(65_535), number(101)].concat();
    for (index, (_, packet)) in packets().into_iter().enumerate() {
        let (at, length) = (time(index), u32::try_from(packet.len()).expect("it is short"));
        let seconds = u32::try_from(at.as_secs()).expect("it is long before 2106");
        file.extend([seconds, at.subsec_micros(), length, length].map(number).concat());
        file.extend(packet);
    }
    file
}

fn time(index: usize) -> Duration {
    Duration::from_secs(1_700_000_000)
        + Duration::from_millis(10) * u32::try_from(index).expect("they are few")
}

/// The link-layer header.
fn before(link: LinkType, v6: bool) -> Vec<u8> {
    let kind: [u8; 2] = if v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
    match link {
        LinkType::Ethernet => [&[2; 12][..], &[0x81, 0, 0, 7], &kind].concat(),
        LinkType::LinuxSll => [&[0; 14][..], &kind].concat(),
        LinkType::LinuxSll2 => [&kind[..], &[0; 18]].concat(),
        LinkType::Loop => vec![0, 0, 0, if v6 { 28 } else { 2 }],
        LinkType::Null => vec![if v6 { 30 } else { 2 }, 0, 0, 0],
        LinkType::Ip => vec![],
    }
}

/// A TLS connection and its end over both versions of IP, with a hole, a retransmission and an ICMP error.
/// Each packet, and whether it is IPv6.
fn packets() -> Vec<(bool, Vec<u8>)> {
    let options = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
    let timestamps = [1, 1, 8, 10, 0, 0, 0, 2, 0, 0, 0, 1];
    let record = |kind: u8, length: u8| [vec![kind, 3, 3, 0, length], vec![kind; length.into()]].concat();
    let mut packets = Vec::new();
    for v6 in [false, true] {
        let mut add = |from_client: bool, seq: u32, ack: u32, flags: u8, options: &[u8], payload: &[u8]| {
            packets.push((v6, ip(v6, from_client, 6, &tcp(from_client, seq, ack, flags, options, payload))));
        };
        add(true, 0, 0, SYN, &options, b"");
        add(false, 0, 1, SYN | ACK, &options, b"");
        add(true, 1, 1, ACK, &timestamps, &hello());
        add(false, 1, 53, ACK, &timestamps, &server_hello());
        add(true, 53, 56, ACK, &[], &record(23, 53));
        // Behind a hole, which is filled then.
        add(false, 156, 111, ACK, &[], &record(23, 95));
        add(false, 56, 111, ACK, &[], &record(23, 95));
        add(false, 56, 111, ACK, &[], &record(23, 95));
        add(false, 256, 111, FIN_ACK, &timestamps, &record(23, 19));
        add(true, 111, 281, ACK, &[], &record(23, 200));
        add(false, 281, 0, RST, &[], b"");
        let quoted = ip(v6, true, 6, &tcp(true, 111, 281, ACK, &[], b""));
        let message = [&[if v6 { 1 } else { 3 }, 3, 0, 0, 0, 0, 0, 0][..], &quoted].concat();
        packets.push((v6, ip(v6, false, if v6 { 58 } else { 1 }, &message)));
    }
    packets
}

fn tcp(from_client: bool, seq: u32, ack: u32, flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let ports: [u8; 4] = if from_client { [0xc3, 0x50, 1, 0xbb] } else { [1, 0xbb, 0xc3, 0x50] };
    let offset = u8::try_from((20 + options.len()) * 4).expect("a header is short");
    let rest = [offset, flags, 1, 0xf4, 0, 0, 0, 0];
    [&ports[..], &seq.to_be_bytes(), &ack.to_be_bytes(), &rest, options, payload].concat()
}

fn ip(v6: bool, from_client: bool, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let (source, destination) = if from_client { (1, 2) } else { (2, 1) };
    let length = |more: usize| u16::try_from(payload.len() + more).expect("it is short").to_be_bytes();
    if v6 {
        let addresses = [[source; 16], [destination; 16]].concat();
        [&[0x60, 0, 0, 0][..], &length(0), &[protocol, 61], &addresses, payload].concat()
    } else {
        let addresses = [[10, 0, 0, source], [10, 0, 0, destination]].concat();
        [&[0x45, 0][..], &length(20), &[0, 7, 0x40, 0, 61, protocol, 0, 0], &addresses, payload].concat()
    }
}

/// A TLS session with an upload in large records. They are cut into segments without regard to them at
/// first, and then so that each begins a segment.
pub(crate) fn upload() -> Vec<u8> {
    let record = |kind: u8, length: u16| {
        [&[kind, 3, 3][..], &length.to_be_bytes(), &vec![kind.wrapping_mul(77); length.into()]].concat()
    };
    let records =
        [4000, 17, 16, 1, 900, 16_384, 100, 19, 5000, 30, 30, 3000].map(|length| record(23, length));
    let start = [hello(), record(20, 1), record(23, 53), records.concat()].concat();
    let aligned = [3000, 2000, 1500, 4000, 2900, 19].map(|length| record(23, length));
    let segments = start.chunks(1400).chain(aligned.iter().flat_map(|record| record.chunks(1400)));
    let answer = [server_hello(), record(20, 1), record(23, 900), record(23, 300), record(23, 19)].concat();
    let mut writer = Writer::new(Vec::new(), LinkType::Ip).expect("memory takes it");
    let mut packets = vec![(true, 0, 0, SYN, &[][..]), (false, 0, 1, SYN | ACK, &[])];
    let (mut sent, mut received) = (1, 1);
    for (index, bytes) in segments.enumerate() {
        packets.push((true, sent, received, ACK, bytes));
        sent += u32::try_from(bytes.len()).expect("it is short");
        let response = if index % 4 == 0 { answer.chunks(400).nth(index / 4) } else { None };
        packets.push((false, received, sent, ACK, response.unwrap_or_default()));
        received += u32::try_from(response.map_or(0, <[u8]>::len)).expect("it is short");
    }
    packets.extend([(true, sent, received, FIN_ACK, &[][..]), (false, received, sent + 1, FIN_ACK, &[])]);
    packets.push((true, sent + 1, received + 1, ACK, &[]));
    for (index, (from_client, seq, ack, flags, payload)) in packets.into_iter().enumerate() {
        let bytes = ip(false, from_client, 6, &tcp(from_client, seq, ack, flags, &[], payload));
        let length = u32::try_from(bytes.len()).expect("it is short");
        let frame = Frame { at: time(index), link: LinkType::Ip, length, bytes: &bytes };
        writer.write(&frame).expect("memory takes it");
    }
    writer.into_inner()
}

/// 52 bytes.
fn hello() -> Vec<u8> {
    [&[22, 3, 1, 0, 47, 1, 0, 0, 43, 3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0, 0, 0]].concat()
}

/// 55 bytes.
fn server_hello() -> Vec<u8> {
    [&[22, 3, 3, 0, 50, 2, 0, 0, 46, 3, 3][..], &[7; 32], &[0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4]].concat()
}

const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN_ACK: u8 = 17;
const RST: u8 = 4;
