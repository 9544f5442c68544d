//! The newer format.

use std::time::Duration;

use super::blocks::Blocks;
use super::{Ending, FileError, Owned, Reader, read, read_all};
use crate::decode::LinkType;

const ETHERNET: u16 = 1;
const COOKED: u16 = 113;
const BLUETOOTH: u16 = 201;

fn orders() -> [Blocks; 2] {
    [Blocks::little(), Blocks::big()]
}

#[test]
fn interfaces_have_their_own_link_types_and_resolutions() {
    const TICKS: u64 = 0x0006_0c5b_1234_5678;
    let resolutions: [(u8, u32); 5] = [(6, 1000), (9, 1), (3, 1_000_000), (0, 1_000_000_000), (7, 100)];
    for mut file in orders() {
        file.section();
        for (index, (resolution, _)) in resolutions.iter().enumerate() {
            file.interface(if index == 0 { COOKED } else { ETHERNET }, 0, &[(9, &[*resolution])]);
        }
        for index in 0..5 {
            file.enhanced(index, TICKS, 90, b"abcde");
        }
        let (frames, ending) = read_all(&file.bytes);
        assert_eq!(ending, Ending::Complete);
        for (index, (frame, (_, unit))) in frames.iter().zip(resolutions).enumerate() {
            let nanoseconds = u128::from(TICKS) * u128::from(unit);
            let link = if index == 0 { LinkType::LinuxSll } else { LinkType::Ethernet };
            assert_eq!((frame.at.as_nanos(), frame.link), (nanoseconds, link), "{index}");
            assert_eq!((frame.length, &frame.bytes[..]), (90, &b"abcde"[..]));
        }
        assert_eq!(frames.len(), 5);
    }
}

#[test]
fn unusual_resolutions_and_offsets_count() {
    for mut file in orders() {
        let (later, earlier) = (file.n64(1000), file.n64(0_u64.wrapping_sub(2)));
        file.section();
        // 2^10 in a second; 10^12 in a second; an offset of 1000 s; one of -2 s.
        file.interface(ETHERNET, 0, &[(9, &[0x8a])]).interface(ETHERNET, 0, &[(9, &[12])]);
        file.interface(ETHERNET, 0, &[(14, &later)]).interface(ETHERNET, 0, &[(14, &earlier)]);
        file.enhanced(0, 5 * 1024 + 512, 1, b"a").enhanced(1, 7_000_000_001_500, 1, b"a");
        file.enhanced(2, 3_000_000, 1, b"a").enhanced(3, 3_000_000, 1, b"a").enhanced(3, 1, 1, b"a");
        let times: Vec<_> = read_all(&file.bytes).0.iter().map(|frame| frame.at).collect();
        let (second, nanosecond) = (Duration::from_secs(1), Duration::from_nanos(1));
        assert_eq!(
            times,
            [second * 11 / 2, second * 7 + nanosecond, second * 1003, second, Duration::ZERO],
            "an early time with a negative offset is 0"
        );
    }
    // Even resolutions that nobody has do no harm.
    for resolution in 0..=255 {
        let mut file = Blocks::little();
        file.section().interface(ETHERNET, 0, &[(9, &[resolution])]).enhanced(0, u64::MAX, 1, b"a");
        assert_eq!(read_all(&file.bytes).0.len(), 1, "{resolution}");
    }
}

#[test]
fn a_section_may_have_another_byte_order_and_begins_its_own_interfaces() {
    let [mut little, mut big] = orders();
    little.section().interface(ETHERNET, 0, &[]).interface(ETHERNET, 0, &[]).enhanced(1, 1, 1, b"a");
    big.section().interface(COOKED, 0, &[]).enhanced(0, 2, 2, b"bc");
    let file = [&little.bytes[..], &big.bytes, &little.bytes].concat();
    let (frames, ending) = read_all(&file);
    let seen: Vec<_> = frames.iter().map(|frame| (frame.link, frame.bytes.len())).collect();
    let ethernet = (LinkType::Ethernet, 1);
    assert_eq!((seen, ending), (vec![ethernet, (LinkType::LinuxSll, 2), ethernet], Ending::Complete));
    // The second section has no interface 1.
    let begins = little.bytes.len() + big.bytes.len();
    big.enhanced(1, 2, 2, b"bc");
    let file = [&little.bytes[..], &big.bytes].concat();
    let (frames, ending) = read_all(&file);
    assert_eq!((frames.len(), ending), (2, Ending::Damaged(begins as u64)));
}

#[test]
fn old_and_simple_packets_are_read() {
    for mut file in orders() {
        let obsolete =
            [&file.n16(0)[..], &file.n16(3), &file.n32(0), &file.n32(9), &file.n32(2), &file.n32(60), b"xy"];
        let (obsolete, simple) = (obsolete.concat(), [&file.n32(5)[..], b"abcde"].concat());
        // As the interface keeps no more than 4 bytes, what follows is padding or a mistake.
        file.section().interface(ETHERNET, 4, &[]).block(2, &obsolete).block(3, &simple);
        let mut reader = Reader::new(&file.bytes[..]).expect("a capture");
        let frames = read(&mut reader).expect("it is read");
        let frame = |length, bytes: &[u8]| Owned {
            // A simple packet has no time: it takes that of the packet before.
            at: Duration::from_micros(9),
            link: LinkType::Ethernet,
            length,
            bytes: bytes.to_vec(),
        };
        assert_eq!(frames, [frame(60, b"xy"), frame(5, b"abcd")]);
        assert_eq!((reader.ending(), reader.dropped()), (Ending::Complete, 3));
    }
}

#[test]
fn drops_are_summed_up() {
    for mut file in orders() {
        let statistics = |file: &Blocks, interface: u32, dropped: u64, by_system: u64| {
            let counts = [file.option(5, &file.n64(dropped)), file.option(7, &file.n64(by_system))].concat();
            [file.n32(interface), file.n32(0), file.n32(0)]
                .concat()
                .into_iter()
                .chain(counts)
                .collect::<Vec<_>>()
        };
        let blocks = [(0, 10, 1), (1, 5, 0), (0, 12, 1), (7, 99, 99)];
        let blocks = blocks.map(|(interface, by, system)| statistics(&file, interface, by, system));
        file.section().interface(ETHERNET, 0, &[]).interface(ETHERNET, 0, &[]);
        for block in &blocks {
            file.block(5, block);
        }
        // Another section, which has its own.
        file.section().interface(ETHERNET, 0, &[]).block(5, &blocks[0]);
        let mut reader = Reader::new(&file.bytes[..]).expect("a capture");
        assert_eq!(read(&mut reader).expect("it is read"), []);
        assert_eq!(reader.dropped(), 13 + 5 + 11);

        let option = file.option(4, &file.n64(40));
        file.enhanced_with(0, 1, 1, b"a", &option);
        let mut reader = Reader::new(&file.bytes[..]).expect("a capture");
        assert_eq!(read(&mut reader).expect("it is read").len(), 1);
        assert_eq!(reader.dropped(), 40, "packets and statistics tell of the same drops");
    }
}

#[test]
fn unknown_blocks_and_options_are_skipped() {
    for mut file in orders() {
        let comment = file.option(1, b"a comment");
        file.section().block(0x0bad_0bad, b"anything").block(10, b"").interface(ETHERNET, 0, &[(2, b"eth0")]);
        file.block(4, &[0xff; 40]).enhanced_with(0, 1, 1, b"a", &comment).block(9, b"entry");
        let (frames, ending) = read_all(&file.bytes);
        assert_eq!((frames.len(), ending), (1, Ending::Complete));
    }
}

#[test]
fn frames_of_unknown_link_types_are_counted_and_fail_only_if_there_are_no_others() {
    let mut file = Blocks::little();
    file.section().interface(BLUETOOTH, 0, &[]).interface(ETHERNET, 0, &[]);
    assert_eq!(read_all(&file.bytes).0.len(), 0, "an interface without a packet does no harm");
    file.enhanced(0, 1, 1, b"a").enhanced(0, 1, 1, b"a");
    let mut reader = Reader::new(&file.bytes[..]).expect("a capture");
    let failed = read(&mut reader).expect_err("there is no frame to read");
    assert!(matches!(failed, FileError::LinkType(201)), "{failed:?}");
    file.enhanced(1, 1, 1, b"b");
    let mut reader = Reader::new(&file.bytes[..]).expect("a capture");
    assert_eq!(read(&mut reader).expect("it is read").len(), 1);
    assert_eq!(reader.skipped(), 2);
}

#[test]
fn damage_and_cuts_are_told_with_their_place() {
    for mut file in orders() {
        file.section().interface(ETHERNET, 0, &[]);
        let first = file.bytes.len();
        file.enhanced(0, 1, 60, b"abc");
        let second = file.bytes.len();
        file.enhanced(0, 2, 60, b"defg");
        for length in first..file.bytes.len() {
            let (frames, ending) = read_all(&file.bytes[..length]);
            let (count, begins) = if length < second { (0, first) } else { (1, second) };
            let cut = length > begins;
            let expected = if cut { Ending::Truncated(begins as u64) } else { Ending::Complete };
            assert_eq!((frames.len(), ending), (count, expected), "{length} bytes");
        }
        let changes: [(usize, u32); 4] = [
            // Lengths: none, one that is not repeated at the end, and one that would take gigabytes.
            (second + 4, 0),
            (second + 4, 32),
            (second + 4, 0x7fff_fffc),
            // Captured bytes that do not fit into the block.
            (second + 20, 400),
        ];
        for (at, number) in changes {
            let mut damaged = file.bytes.clone();
            damaged[at..at + 4].copy_from_slice(&file.n32(number));
            let (frames, ending) = read_all(&damaged);
            assert_eq!((frames.len(), ending), (1, Ending::Damaged(second as u64)), "{number} at {at}");
        }
    }
}
