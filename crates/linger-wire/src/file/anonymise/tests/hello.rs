//! What stays of hellos.

use super::{SECRET, client, payloads, segment, syn};
use crate::tls::record::begins_with_hello;

const HANDSHAKE: u8 = 22;

/// A message, and what stays of it.
struct Message {
    secret: Vec<u8>,
    kept: Vec<u8>,
}

impl Message {
    fn new(parts: &[(&[u8], bool)]) -> Self {
        let mut message = Self { secret: Vec::new(), kept: Vec::new() };
        for (part, stays) in parts {
            message.secret.extend_from_slice(part);
            message.kept.extend(part.iter().map(|byte| if *stays { *byte } else { 0 }));
        }
        message
    }

    /// In records of at most so many bytes each.
    fn records(&self, size: usize) -> (Vec<u8>, Vec<u8>) {
        let record =
            |body: &[u8]| [&[HANDSHAKE, 3, 3, 0, u8::try_from(body.len()).expect("short")], body].concat();
        let all = |bytes: &[u8]| bytes.chunks(size).flat_map(record).collect();
        (all(&self.secret), all(&self.kept))
    }
}

/// A message of this type, with a session id, and extensions among which is `supported_versions`.
fn server_hello() -> Message {
    Message::new(&[
        // 2 + 32 + 1 + 3 + 2 + 1 + 2 + (4 + 3) + (4 + 2) + (4 + 2) bytes
        (&[2, 0, 0, 62, 3, 3], true),
        (&[SECRET; 32], false),
        (&[3], true),
        (&[SECRET; 3], false),
        (&[0x13, 0x01, 0, 0, 19], true),
        (&[0, 51, 0, 3], true),
        (&[SECRET; 3], false),
        (&[0, 43, 0, 2, 3, 4], true),
        (&[0, 44, 0, 2], true),
        (&[SECRET; 2], false),
    ])
}

#[test]
fn a_server_hello_keeps_its_structure_and_the_version() {
    let hello = server_hello();
    let next = [11, 0, 0, 40].into_iter().chain([SECRET; 40]).collect::<Vec<_>>();
    // Its length counts, whatever follows in the same record.
    let message =
        Message { secret: [&hello.secret[..], &next].concat(), kept: [&hello.kept[..], &[0; 44]].concat() };
    assert_eq!(hello.secret.len(), 66);
    for size in [200, 66, 13, 1] {
        let (secret, kept) = message.records(size);
        for cut in [secret.len(), 50, 3] {
            let mut frames = vec![segment(false, 0, None, "S", b"")];
            for (index, bytes) in secret.chunks(cut).enumerate() {
                let seq = u32::try_from(1 + index * cut).expect("short");
                frames.push(segment(false, seq, None, "", bytes));
            }
            assert_eq!(payloads(&frames).concat(), kept, "records of {size}, segments of {cut}");
        }
    }
}

#[test]
fn a_warning_before_a_server_hello_changes_nothing() {
    let warning = [21, 3, 3, 0, 2, 1, 112];
    let (secret, kept) = server_hello().records(200);
    let frames =
        [segment(false, 0, None, "S", b""), segment(false, 1, None, "", &[&warning[..], &secret].concat())];
    assert_eq!(payloads(&frames)[1], [&warning[..], &kept].concat());
}

#[test]
fn a_client_hello_keeps_what_it_is_recognised_by() {
    let message = Message::new(&[(&[1, 0, 0, 100, 3, 3], true), (&[SECRET; 98], false)]);
    let (secret, kept) = message.records(200);
    assert_eq!(payloads(&[syn(), client(1, &secret)])[1], kept);
    // After a plain beginning, too, as behind a proxy.
    let frames = [syn(), client(1, b"CONNECT \xa7"), client(10, &secret)];
    let result = payloads(&frames);
    assert_eq!(result[2], kept);
    assert!(begins_with_hello(&result[2]));
}

#[test]
fn hostile_lengths_keep_no_more() {
    for lengths in [[0, 0xff, 0xff], [0, 0, 0], [0xff, 0xff, 0xff]] {
        let hello = [&[2][..], &lengths, &[3, 3], &[0xff; 250]].concat();
        let (secret, _) = Message { secret: hello, kept: vec![] }.records(255);
        let result = payloads(&[syn(), client(1, &secret)]);
        assert_eq!(result[1].len(), secret.len());
    }
}
