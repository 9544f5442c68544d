//! What is said of a trace before and after it is anonymised. `fuzz/src/capture.rs` uses this file, too.

use std::net::{IpAddr, Ipv4Addr};

use linger_wire::decode::{Decoded, Frame, decode};
use linger_wire::file::Anonymiser;
use linger_wire::trace::{Analyser, Cause, Settings};

/// How much of what is said is compared. Captures of real sessions lead to the same in everything. Where a
/// hello makes no sense, the anonymiser may make sense of it, and then only the ends have to be the same.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Depth {
    #[allow(dead_code, reason = "the fuzz target has captures of any kind")]
    Everything,
    #[allow(dead_code, reason = "the tests have captures of real sessions")]
    Ends,
}

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

    fn end(mut self, depth: Depth) -> Vec<String> {
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
                if let Depth::Ends = depth {
                    (connection.tls, connection.last_status, connection.unanswered) = (None, None, false);
                    connection.findings.clear();
                    connection.ladder.clear();
                    // What was unread is guessed from what was answered, and an alert is no answer.
                    if let Some(reset) = &mut connection.end.reset {
                        (reset.cause, reset.while_sending, reset.unread) = (Cause::Abort, false, 0);
                    }
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
pub(crate) fn compare<'a>(name: &str, depth: Depth, frames: impl Iterator<Item = Frame<'a>>) {
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
    let (before, after) = (before.end(depth), after.end(depth));
    assert_eq!(before.len(), after.len(), "{name}");
    for (before, after) in before.iter().zip(&after) {
        let differ = before.lines().zip(after.lines()).filter(|(before, after)| before != after);
        assert!(before == after, "{name}: {:#?} of\n{before}", differ.collect::<Vec<_>>());
    }
}
