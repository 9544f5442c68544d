//! Packets that make no sense.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::decode::{Flags, IcmpError, IcmpKind, Options, Packet, Payload, Tcp};
use crate::trace::{Analyser, Settings};

/// Numbers that look random, the same in each run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    /// Mostly near to the end of sequence space, so that much overlaps.
    fn sequence(&mut self) -> u32 {
        let number = if self.one_in(20) { self.next() } else { self.below(6000) };
        u32::MAX.wrapping_sub(3000).wrapping_add(u32::try_from(number & 0xffff_ffff).unwrap_or(0))
    }
}

fn push(analyser: &mut Analyser, numbers: &mut Numbers, at: Duration) {
    let from_server = numbers.one_in(2);
    let client = (IpAddr::from(Ipv4Addr::LOCALHOST), 5000 + u16::try_from(numbers.below(30)).unwrap_or(0));
    let server = (IpAddr::from(Ipv4Addr::LOCALHOST), 443);
    let (source, destination) = if from_server { (server, client) } else { (client, server) };
    let data = [b'x'; 300];
    let length = if numbers.one_in(3) { numbers.below(300) } else { 0 };
    let captured = length - if numbers.one_in(9) { numbers.below(length + 1) } else { 0 };
    let payload = &data[..usize::try_from(captured).unwrap_or(0)];
    let tcp = Tcp {
        source_port: source.1,
        destination_port: destination.1,
        seq: numbers.sequence(),
        ack: (!numbers.one_in(5)).then(|| numbers.sequence()),
        flags: Flags {
            syn: numbers.one_in(12),
            fin: numbers.one_in(9),
            rst: numbers.one_in(30),
            psh: numbers.one_in(2),
        },
        window: u16::try_from(numbers.below(65_536)).unwrap_or(0) * u16::from(!numbers.one_in(8)),
        options: Options {
            window_scale: numbers.one_in(2).then(|| u8::try_from(numbers.below(256)).unwrap_or(0)),
            mss: Some(100),
            timestamps: None,
            sack: false,
        },
        payload,
        length: u32::try_from(length).unwrap_or(0),
    };
    let payload = if numbers.one_in(40) {
        let (kind, seq) = (IcmpKind::Other(9, 9), Some(numbers.sequence()));
        Payload::Icmp(IcmpError { kind, source, destination, seq })
    } else {
        Payload::Tcp(tcp)
    };
    let (ttl, id) = (if numbers.one_in(9) { 9 } else { 64 }, numbers.one_in(2).then_some(7));
    let (source, destination) = (source.0, destination.0);
    let _ = analyser.push(&Packet { at, source, destination, ttl, id, payload });
}

#[test]
fn packets_without_sense_break_nothing() {
    for seed in 1..40 {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ seed);
        let mut analyser = Analyser::new(Settings { ladder_events: 8, ..Settings::default() });
        analyser.limits.examples = seed % 2 * 64;
        let (mut at, mut ended) = (Duration::from_secs(1_700_000_000), Vec::new());
        for packet in 0..3000 {
            let step = Duration::from_micros(numbers.below(2_000_000) >> numbers.below(20));
            at = if numbers.one_in(50) { at.saturating_sub(step) } else { at.saturating_add(step) };
            if seed % 5 == 0 && packet == 2000 {
                at = Duration::MAX;
            }
            push(&mut analyser, &mut numbers, at);
            ended.extend(std::iter::from_fn(|| analyser.next_ended()));
        }
        analyser.finish();
        ended.extend(std::iter::from_fn(|| analyser.next_ended()));
        assert_eq!((analyser.open(), analyser.held()), (0, 0));
        let mut connections: Vec<u64> = ended.iter().map(|one| one.number).collect();
        connections.sort_unstable();
        assert!(connections.iter().copied().eq(1..=ended.len() as u64), "each once");
        assert!(ended.iter().all(|one| one.ladder.len() <= 8));
    }
}
