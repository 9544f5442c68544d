//! The older format.

use std::time::Duration;

use super::{Ending, FileError, Owned, Reader, read_all};
use crate::decode::LinkType;

/// A form of the format.
pub(super) struct Form {
    magic: [u8; 4],
    big_endian: bool,
    /// Bytes of other fields before each packet.
    extra: usize,
}

pub(super) const LITTLE: Form = Form { magic: [0xd4, 0xc3, 0xb2, 0xa1], big_endian: false, extra: 0 };
pub(super) const BIG: Form = Form { magic: [0xa1, 0xb2, 0xc3, 0xd4], big_endian: true, extra: 0 };
const NANOSECONDS: Form = Form { magic: [0x4d, 0x3c, 0xb2, 0xa1], big_endian: false, extra: 0 };
const BIG_NANOSECONDS: Form = Form { magic: [0xa1, 0xb2, 0x3c, 0x4d], big_endian: true, extra: 0 };
const MODIFIED: Form = Form { magic: [0x34, 0xcd, 0xb2, 0xa1], big_endian: false, extra: 8 };

impl Form {
    fn number(&self, number: u32) -> [u8; 4] {
        if self.big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn version(&self) -> [u8; 4] {
        if self.big_endian { [0, 2, 0, 4] } else { [2, 0, 4, 0] }
    }
}

/// A file of these packets: seconds, their fraction, and what was captured of 100 bytes.
pub(super) fn file(form: &Form, link: u32, packets: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut file =
        [form.magic, form.version(), [0; 4], [0; 4], form.number(65_535), form.number(link)].concat();
    for (seconds, fraction, bytes) in packets {
        let captured = u32::try_from(bytes.len()).expect("it is short");
        for number in [*seconds, *fraction, captured, 100] {
            file.extend(form.number(number));
        }
        file.extend(vec![0xff; form.extra]);
        file.extend(*bytes);
    }
    file
}

#[test]
fn all_forms_are_read() {
    for (form, unit) in
        [(LITTLE, 1000), (BIG, 1000), (NANOSECONDS, 1), (BIG_NANOSECONDS, 1), (MODIFIED, 1000)]
    {
        let file = file(&form, 1, &[(1_700_000_000, 123_456, b"abc"), (1_700_000_001, 7, b"defg")]);
        let frame = |seconds, fraction: u32, bytes: &[u8]| Owned {
            at: Duration::new(seconds, fraction * unit),
            link: LinkType::Ethernet,
            length: 100,
            bytes: bytes.to_vec(),
        };
        let expected = vec![frame(1_700_000_000, 123_456, b"abc"), frame(1_700_000_001, 7, b"defg")];
        assert_eq!(read_all(&file), (expected, Ending::Complete), "{:?}", form.magic);
    }
}

#[test]
fn link_types_are_told_apart() {
    let links = [
        (0, LinkType::Null),
        (101, LinkType::Ip),
        (12, LinkType::Ip),
        (108, LinkType::Loop),
        (113, LinkType::LinuxSll),
        (276, LinkType::LinuxSll2),
        // An Ethernet that says that its frames end with four bytes of check sequence.
        (0x4400_0001, LinkType::Ethernet),
    ];
    for (number, link) in links {
        assert_eq!(read_all(&file(&BIG, number, &[(1, 1, b"a")])).0[0].link, link, "{number}");
    }
    let refused = Reader::new(&file(&LITTLE, 189, &[])[..]).expect_err("USB has no TCP");
    assert!(matches!(refused, FileError::LinkType(189)), "{refused:?}");
}

#[test]
fn a_cut_file_ends_in_the_packet_that_is_cut() {
    let whole = file(&NANOSECONDS, 1, &[(1, 1, b"abc"), (2, 2, b"defg")]);
    let second = 24 + 16 + 3;
    for length in 24..whole.len() {
        let (frames, ending) = read_all(&whole[..length]);
        let expected = match length {
            24 => (0, Ending::Complete),
            ..43 => (0, Ending::Truncated(24)),
            43 => (1, Ending::Complete),
            44.. => (1, Ending::Truncated(second)),
        };
        assert_eq!((frames.len(), ending), expected, "{length} bytes");
    }
    for length in 4..24 {
        assert_eq!(read_all(&whole[..length]), (vec![], Ending::Truncated(0)), "{length} bytes");
    }
}

#[test]
fn a_length_that_no_packet_has_is_damage() {
    let mut damaged = file(&LITTLE, 1, &[(1, 1, b"abc"), (2, 2, b"defg")]);
    damaged[43 + 8..43 + 12].copy_from_slice(&300_000_u32.to_le_bytes());
    let (frames, ending) = read_all(&damaged);
    assert_eq!((frames.len(), ending), (1, Ending::Damaged(43)));
}
