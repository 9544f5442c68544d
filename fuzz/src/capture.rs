//! Capture files: read, followed, anonymised, written and judged.

use std::sync::Arc;

use linger_probe::read::Tally;
use linger_probe::read::model::Source;
use linger_wire::decode::{Decoded, Frame, decode};
use linger_wire::file::Reader;
use linger_wire::secrets::Secrets;
use linger_wire::trace::{Analyser, Connection, Settings};

use crate::rendered;

#[path = "../../tests/tests/mangled/said.rs"]
mod said;
#[path = "../../tests/tests/mangled/take.rs"]
mod take;

/// Takes a capture, and compares what is said of it with what is said of the same without names and payload.
pub fn take(bytes: &[u8]) {
    if take::take(bytes) > 0 {
        let frames = frames(bytes);
        said::compare(
            "this",
            said::Depth::Ends,
            frames.iter().map(|(frame, bytes)| Frame { bytes, ..*frame }),
        );
    }
}

fn frames(file: &[u8]) -> Vec<(Frame<'static>, Vec<u8>)> {
    let Ok(mut reader) = Reader::new(file) else { return Vec::new() };
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = reader.next_frame() {
        frames.push((Frame { bytes: &[], ..frame }, frame.bytes.to_vec()));
    }
    frames
}

/// Reads a capture with the secrets behind it, sums up what it shows, and renders that.
pub fn read(bytes: &[u8]) {
    let behind = bytes.windows(MARK.len()).rposition(|window| window == MARK);
    let (capture, log) = bytes.split_at(behind.unwrap_or(bytes.len()));
    let secrets = Secrets::read(log).ok().map(Arc::new);
    let Ok(mut reader) = Reader::new(capture) else { return };
    let mut analyser = Analyser::new(Settings { ladder_events: 20, secrets, ..Settings::default() });
    let mut tally = Tally::default();
    let mut source = Source { name: "-".to_owned(), bytes: bytes.len() as u64, ..Source::default() };
    let mut add = |connection: Connection| {
        for verdict in tally.add(&connection) {
            rendered::no_hidden(&verdict.reason);
        }
    };
    while let Ok(Some(frame)) = reader.next_frame() {
        match decode(&frame) {
            Decoded::Packet(packet) => {
                source.packets += 1;
                analyser.push(&packet);
            }
            _ => source.others += 1,
        }
        while let Some(connection) = analyser.next_ended() {
            add(connection);
        }
    }
    analyser.finish();
    while let Some(connection) = analyser.next_ended() {
        add(connection);
    }
    // The page takes longer than everything else.
    rendered::reading(&tally.finish(vec![source]), bytes.len() % 8 == 0);
}

/// The first line of a key log.
const MARK: &[u8] = b"# secrets\n";
