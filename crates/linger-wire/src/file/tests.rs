//! Files made by hand, in all their forms.

mod blocks;
mod pcap;
mod pcapng;
mod round_trip;

use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use super::{Ending, FileError, Reader};
use crate::decode::LinkType;

/// A frame that was read.
#[derive(Debug, PartialEq, Eq)]
struct Owned {
    at: Duration,
    link: LinkType,
    length: u32,
    bytes: Vec<u8>,
}

/// Reads to the end.
fn read(reader: &mut Reader<impl Read>) -> Result<Vec<Owned>, FileError> {
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame()? {
        let bytes = frame.bytes.to_vec();
        frames.push(Owned { at: frame.at, link: frame.link, length: frame.length, bytes });
    }
    assert!(reader.next_frame()?.is_none(), "the end is the end");
    Ok(frames)
}

fn read_all(bytes: &[u8]) -> (Vec<Owned>, Ending) {
    let mut reader = Reader::new(bytes).expect("a capture");
    let frames = read(&mut reader).expect("it is read");
    (frames, reader.ending())
}

#[test]
fn what_is_no_capture_is_refused() {
    let refused = |bytes: &[u8]| Reader::new(bytes).expect_err("it is refused");
    assert!(matches!(refused(b""), FileError::Empty));
    assert!(matches!(refused(b"\x0a"), FileError::NotACapture));
    assert!(matches!(refused(b"HTTP/1.1 200 OK\r\n"), FileError::NotACapture));
    // A section whose byte order is none.
    assert!(matches!(refused(b"\x0a\x0d\x0d\x0a\0\0\0\x1c1234"), FileError::NotACapture));
}

/// Fails as a decompressor does at the end of a file that is cut off, or where it is damaged.
#[derive(Debug)]
struct Fails(ErrorKind);

impl Read for Fails {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
}

#[test]
fn a_compressed_file_that_is_cut_off_or_damaged_ends_there() {
    let whole = pcap::file(&pcap::LITTLE, 1, &[(7, 0, b"abc"), (8, 0, b"defg")]);
    let second = 24 + 16 + 3;
    let endings = [
        (ErrorKind::UnexpectedEof, whole.len() - 2, Ending::Truncated(second)),
        (ErrorKind::InvalidData, whole.len() - 2, Ending::Damaged(second)),
        (ErrorKind::InvalidData, 43, Ending::Damaged(second)),
    ];
    for (kind, length, ending) in endings {
        let mut reader = Reader::new(whole[..length].chain(Fails(kind))).expect("a capture");
        assert_eq!(read(&mut reader).expect("it is read").len(), 1);
        assert_eq!(reader.ending(), ending);
    }
    let refused = Reader::new(Fails(ErrorKind::InvalidData)).expect_err("nothing can be read");
    assert!(matches!(refused, FileError::Io(_)), "{refused:?}");
    let mut reader = Reader::new(whole.chain(Fails(ErrorKind::TimedOut))).expect("a capture");
    assert!(matches!(read(&mut reader), Err(FileError::Io(_))), "another failure is an error");
}

/// Fails the test when it is asked for more than what is there, as a pipe would wait then.
struct Pipe<'a>(&'a [u8]);

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!self.0.is_empty(), "it waits");
        // In small pieces, so that headers come in two.
        let count = buffer.len().min(self.0.len()).min(5);
        self.0.read(&mut buffer[..count])
    }
}

#[test]
fn frames_of_a_pipe_come_as_soon_as_they_are_there() {
    let mut ng = blocks::Blocks::little();
    ng.section().interface(1, 0, &[]).enhanced(0, 7, 3, b"abc").enhanced(0, 8, 4, b"defg");
    for file in [ng.bytes, pcap::file(&pcap::BIG, 1, &[(7, 0, b"abc"), (8, 0, b"defg")])] {
        let mut reader = Reader::new(Pipe(&file)).expect("a capture");
        for bytes in [&b"abc"[..], b"defg"] {
            assert_eq!(reader.next_frame().expect("it is read").expect("a frame").bytes, bytes);
        }
    }
}
