//! Reading an anonymised trace says the same of each connection as reading the original.

use std::net::{IpAddr, Ipv4Addr};

use linger_wire::decode::{Decoded, Frame, decode};
use linger_wire::file::{Anonymiser, Reader};
use linger_wire::trace::{Analyser, Settings};

use crate::{Random, seeds};

/// What an analyser says of frames, without what the anonymiser takes away.
struct Said(Analyser);

impl Said {
    fn new() -> Self {
        Self(Analyser::new(Settings { ladder_events: 1000, ..Settings::default() }))
    }

    fn push(&mut self, frame: &Frame<'_>) {
        if let Decoded::Packet(packet) = decode(frame) {
            self.0.push(&packet);
        }
    }

    fn end(mut self) -> Vec<String> {
        self.0.finish();
        let mut said: Vec<_> = std::iter::from_fn(|| self.0.next_ended())
            .map(|mut connection| {
                let nobody = IpAddr::from(Ipv4Addr::UNSPECIFIED);
                connection.client.set_ip(nobody);
                connection.server.set_ip(nobody);
                if let Some(icmp) = &mut connection.end.icmp {
                    icmp.from = nobody;
                }
                if let Some(tls) = &mut connection.tls {
                    tls.server_name = None;
                }
                let ladder: Vec<_> =
                    connection.ladder.drain(..).map(|event| (event.side, event.parts, event.at)).collect();
                format!("{connection:#?}\n{ladder:?}")
            })
            .collect();
        said.sort();
        said
    }
}

/// Compares what is said of these frames and of what the anonymiser makes of them.
fn compare<'a>(name: &str, frames: impl Iterator<Item = Frame<'a>>) {
    let (mut before, mut after, mut anonymiser) = (Said::new(), Said::new(), Anonymiser::new());
    for frame in frames {
        before.push(&frame);
        anonymiser.push(&frame);
        while let Some(frame) = anonymiser.next_frame() {
            after.push(&frame);
        }
    }
    anonymiser.finish();
    while let Some(frame) = anonymiser.next_frame() {
        after.push(&frame);
    }
    let (before, after) = (before.end(), after.end());
    assert_eq!(before.len(), after.len(), "{name}");
    for (before, after) in before.iter().zip(&after) {
        let differ = before.lines().zip(after.lines()).filter(|(before, after)| before != after);
        assert!(before == after, "{name}: {:#?} of\n{before}", differ.collect::<Vec<_>>());
    }
}

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
        compare(&format!("file {index}"), frames.iter().map(|(frame, bytes)| Frame { bytes, ..*frame }));
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
        compare(&format!("round {round}"), frames.iter().map(|(frame, bytes)| Frame { bytes, ..*frame }));
    }
}
