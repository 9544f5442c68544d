//! What is done with a capture file. `fuzz/fuzz_targets/capture.rs` uses this file, too.

use linger_wire::decode::{Decoded, LinkType, decode};
use linger_wire::file::{Anonymiser, Ending, Reader, Writer};
use linger_wire::trace::{Analyser, Settings};

/// Reads these bytes as a capture file; decodes, analyses and anonymises what is in it, writes the result and
/// reads it again. Returns how many packets there were.
pub(crate) fn take(bytes: &[u8]) -> u64 {
    let Ok(mut reader) = Reader::new(bytes) else { return 0 };
    let mut analyser = Analyser::new(Settings { ladder_events: 20, ..Settings::default() });
    let mut anonymiser = Anonymiser::new();
    let mut writer = Writer::new(Vec::new(), LinkType::Ip).expect("memory takes it");
    let (mut packets, mut written, mut ended) = (0, 0, 0);
    let mut write = |anonymiser: &mut Anonymiser| {
        while let Some(frame) = anonymiser.next_frame() {
            assert!(matches!(decode(&frame), Decoded::Packet(_)), "what is written is decoded: {frame:x?}");
            writer.write(&frame).expect("memory takes it");
            written += 1;
        }
    };
    while let Ok(Some(frame)) = reader.next_frame() {
        if let Decoded::Packet(packet) = decode(&frame) {
            packets += 1;
            analyser.push(&packet);
        }
        ended +=
            std::iter::from_fn(|| analyser.next_ended()).map(|connection| connection.packets).sum::<u64>();
        anonymiser.push(&frame);
        write(&mut anonymiser);
    }
    analyser.finish();
    ended += std::iter::from_fn(|| analyser.next_ended()).map(|connection| connection.packets).sum::<u64>();
    assert!(ended <= packets, "each packet is of one connection at most");
    anonymiser.finish();
    write(&mut anonymiser);
    assert_eq!(written, packets, "no packet is lost on the way");

    let file = writer.into_inner();
    let mut reader = Reader::new(&file[..]).expect("what was written is a capture");
    while reader.next_frame().expect("it is read").is_some() {
        written -= 1;
    }
    assert_eq!((written, reader.ending()), (0, Ending::Complete));
    packets
}
