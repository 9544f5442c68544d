//! What was written is read.

use std::time::Duration;

use super::{Ending, read_all};
use crate::decode::{Frame, LinkType};
use crate::file::Writer;

#[test]
fn what_was_written_is_read() {
    use LinkType::{Ethernet, Ip, LinuxSll, LinuxSll2, Loop, Null};
    for link in [Ethernet, Ip, LinuxSll, LinuxSll2, Null, Loop] {
        let mut writer = Writer::new(Vec::new(), link).expect("memory takes it");
        let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        // Every length modulo the padding, and packets that were cut.
        let lengths = [0, 1, 2, 3, 4, 59, 60, 70_000];
        let at =
            |index: usize| Duration::new(1_700_000_000, 123_456_789) * u32::try_from(index + 1).expect("few");
        for (index, length) in lengths.into_iter().enumerate() {
            let original = u32::try_from(length).expect("it is short") * 2;
            let frame = Frame { at: at(index), link, length: original, bytes: &bytes[..length] };
            writer.write(&frame).expect("memory takes it");
        }
        let (frames, ending) = read_all(&writer.into_inner());
        assert_eq!((frames.len(), ending), (lengths.len(), Ending::Complete));
        for (index, (frame, length)) in frames.iter().zip(lengths).enumerate() {
            assert_eq!((frame.at, frame.link), (at(index), link));
            assert_eq!((frame.length as usize, &frame.bytes[..]), (length * 2, &bytes[..length]));
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut writer = Writer::new(Vec::new(), LinkType::Ip).expect("memory takes it");
    let frame = Frame { at: Duration::ZERO, link: LinkType::Ethernet, length: 1, bytes: b"a" };
    let refused = writer.write(&frame).expect_err("another link type");
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(refused.to_string(), "a frame of link type Ethernet in a file of link type Ip");
    let frame = Frame { link: LinkType::Ip, bytes: &vec![0; 16 << 20], ..frame };
    assert_eq!(writer.write(&frame).expect_err("too long").kind(), std::io::ErrorKind::InvalidInput);
    let largest = Frame { bytes: &vec![0; (16 << 20) - 64], ..frame };
    writer.write(&largest).expect("memory takes it");
    let (frames, ending) = read_all(&writer.into_inner());
    assert_eq!((frames.len(), frames[0].bytes.len(), ending), (1, largest.bytes.len(), Ending::Complete));
}
