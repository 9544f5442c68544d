//! Files of all kinds, and none.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::Ordering;

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::{ErrorKind, Input, InputError};

/// A file of these bytes, which goes with the directory.
fn open(bytes: &[u8]) -> Result<Input, InputError> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("capture");
    std::fs::write(&path, bytes).expect("it is written");
    Input::open(&path)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// More than all buffers, and not all alike.
fn bytes() -> Vec<u8> {
    (0_u32..100_000).flat_map(u32::to_be_bytes).collect()
}

#[test]
fn packed_files_are_unpacked_and_counted_as_they_are() {
    let (bytes, half) = (bytes(), bytes().len() / 2);
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let files = [
        bytes.clone(),
        gzip(&bytes),
        [gzip(&bytes[..half]), gzip(&bytes[half..])].concat(),
        zstd(&bytes),
        [zstd(&bytes[..half]), skipped, zstd(&bytes[half..])].concat(),
    ];
    for (index, file) in files.iter().enumerate() {
        let mut input = open(file).expect("it is opened");
        let mut read = Vec::new();
        input.read_to_end(&mut read).expect("it is read");
        assert!(read == bytes, "file {index} is unpacked whole");
        assert_eq!(input.total(), Some(file.len() as u64));
        assert_eq!(input.counter().load(Ordering::Relaxed), file.len() as u64);
    }
}

#[test]
fn packed_files_that_are_cut_off_say_so() {
    for file in [gzip(&bytes()), zstd(&bytes())] {
        for length in [7, file.len() / 2, file.len() - 1] {
            let mut input = open(&file[..length]).expect("it is opened");
            let error = input.read_to_end(&mut Vec::new()).expect_err("it is cut off");
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{length} bytes: {error}");
        }
    }
}

#[test]
fn packed_files_that_are_damaged_say_so() {
    for (name, mut file) in [("gzip", gzip(&bytes())), ("zstd", zstd(&bytes()))] {
        let end = file.len() / 3;
        file[20..end].fill(0xff);
        let error =
            open(&file).expect("it is opened").read_to_end(&mut Vec::new()).expect_err("it is damaged");
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        assert!(error.to_string().starts_with(&format!("the {name} data is damaged: ")), "{error}");
    }
}

#[test]
fn what_cannot_be_read_is_told_in_one_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let line = |path: &Path| Input::open(path).expect_err("it is refused").to_string();
    let expect = |path: &Path, words: &str| {
        assert_eq!(line(path), format!("{}: {words}", path.display()));
    };
    expect(&path("none"), "there is no such file");
    expect(directory.path(), "this is a directory: name the capture files in it");
    std::fs::write(path("empty"), b"").expect("it is written");
    expect(&path("empty"), "it is empty");
    std::fs::write(path("a.xz"), b"\xfd7zXZ\0...").expect("it is written");
    let words = "it is packed with xz: unpack it first, as in `xz -dc";
    expect(&path("a.xz"), &format!("{words} {} | …`", path("a.xz").display()));
    // A file that is shorter than what it is recognised by.
    std::fs::write(path("short"), b"B").expect("it is written");
    let mut read = Vec::new();
    Input::open(&path("short")).expect("it is opened").read_to_end(&mut read).expect("it is read");
    assert_eq!(read, b"B");
}
