//! Reading an anonymised trace says the same of each connection as reading the original.

use linger_wire::decode::Frame;
use linger_wire::file::Reader;

use crate::said::{Depth, compare};
use crate::{Random, seeds};

/// The frames of a file.
fn frames(file: &[u8]) -> Vec<(Frame<'static>, Vec<u8>)> {
    let mut reader = Reader::new(file).expect("a capture");
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = reader.next_frame() {
        frames.push((Frame { bytes: &[], ..frame }, frame.bytes.to_vec()));
    }
    frames
}

#[test]
fn an_anonymised_trace_has_the_same_ends() {
    for (index, file) in seeds::files().iter().enumerate() {
        let frames = frames(file);
        compare(
            &format!("file {index}"),
            Depth::Everything,
            frames.iter().map(|(frame, bytes)| Frame { bytes, ..*frame }),
        );
    }
}

/// Losses, late packets, copies and cuts, as captures have them.
#[test]
fn an_anonymised_trace_that_lacks_something_has_the_same_ends() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let files = [vec![seeds::upload()], seeds::files()].concat();
    for round in 0..400 {
        let file = &files[if round % 2 == 0 { 0 } else { round / 2 % files.len() }];
        let mut frames = frames(file);
        for _ in 0..=random.below(4) {
            if frames.is_empty() {
                break;
            }
            let (from, to) = (random.below(frames.len()), random.below(frames.len()));
            match random.below(4) {
                0 => drop(frames.remove(from)),
                1 => frames.insert(to.min(from + 9), frames[from].clone()),
                2 => {
                    let late = frames.remove(from);
                    frames.insert(frames.len().min(from + 1 + random.below(9)), late);
                }
                _ => {
                    let length = frames[from].1.len();
                    frames[from].1.truncate(length - random.below(length / 2 + 1));
                }
            }
        }
        compare(
            &format!("round {round}"),
            Depth::Everything,
            frames.iter().map(|(frame, bytes)| Frame { bytes, ..*frame }),
        );
    }
}
