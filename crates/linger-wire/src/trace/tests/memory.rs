//! That memory is bounded.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::decode::{Flags, Options, Packet, Payload, Tcp};
use crate::trace::flow::Flow;
use crate::trace::packed::Packed;
use crate::trace::{Analyser, Doubt, Settings, TIME_WAIT, Way};

/// A segment between the server and the client with this number.
fn push(
    analyser: &mut Analyser,
    at: Duration,
    client: u32,
    from_server: bool,
    flags: Flags,
    numbers: (u32, u32),
) {
    let from = IpAddr::from(Ipv4Addr::from(0x0a00_0000 + client / 60_000));
    let port = 1024 + u16::try_from(client % 60_000).expect("one");
    let (client, server) = ((from, port), (IpAddr::from(Ipv4Addr::new(11, 0, 0, 1)), 443));
    let (source, destination) = if from_server { (server, client) } else { (client, server) };
    let tcp = Tcp {
        source_port: source.1,
        destination_port: destination.1,
        seq: numbers.0,
        ack: (!flags.syn || from_server).then_some(numbers.1),
        flags,
        window: 500,
        options: Options::default(),
        payload: &[],
        length: 0,
    };
    let (source, destination) = (source.0, destination.0);
    let packet = Packet { at, source, destination, ttl: 64, id: None, payload: Payload::Tcp(tcp) };
    assert!(analyser.push(&packet).is_some());
}

const SYN: Flags = Flags { syn: true, fin: false, rst: false, psh: false };
const ACK: Flags = Flags { syn: false, ..SYN };
const FIN: Flags = Flags { fin: true, ..ACK };

fn whole(analyser: &mut Analyser, at: Duration, client: u32) {
    push(analyser, at, client, false, SYN, (9, 0));
    push(analyser, at, client, true, SYN, (99, 10));
    push(analyser, at, client, false, ACK, (10, 100));
    push(analyser, at, client, true, FIN, (100, 10));
    push(analyser, at, client, false, FIN, (10, 101));
    push(analyser, at, client, true, ACK, (101, 11));
}

#[test]
fn a_connection_is_small_when_it_is_closed() {
    assert!(size_of::<Packed>() <= 150, "{}", size_of::<Packed>());
    assert!(size_of::<Flow>() <= 1536, "{}", size_of::<Flow>());
}

#[test]
fn a_closed_connection_comes_out_when_time_wait_is_over() {
    let mut analyser = Analyser::new(Settings::default());
    let start = Duration::from_secs(1_700_000_000);
    analyser.limits.examples = 0;
    whole(&mut analyser, start, 1);
    analyser.advance(start + Duration::from_secs(59));
    assert!(analyser.next_ended().is_none());
    analyser.advance(start + TIME_WAIT);
    let ended = analyser.next_ended().expect("one");
    assert_eq!((ended.end.way, ended.doubts, ended.first_at), (Way::Normal, vec![], start));
    assert_eq!(analyser.open(), 0);
}

#[test]
fn a_flood_of_syns_is_bounded() {
    let mut analyser = Analyser::new(Settings::default());
    analyser.limits.one_sided = 1000;
    for client in 0..1100 {
        push(&mut analyser, Duration::from_secs(9), client, false, SYN, (client, 0));
    }
    assert_eq!(analyser.open(), 1000);
    let ended = std::iter::from_fn(|| analyser.next_ended()).map(|one| one.number).collect::<Vec<_>>();
    assert_eq!(ended, (1..=100).collect::<Vec<_>>(), "the oldest");
}

#[test]
fn a_flood_of_resets_is_bounded() {
    let mut analyser = Analyser::new(Settings { ladder_events: 64, ..Settings::default() });
    analyser.limits.memory = 1 << 20;
    let reset = Flags { rst: true, ..ACK };
    let mut ended = 0;
    for client in 0..1500 {
        push(&mut analyser, Duration::from_secs(9), client, false, SYN, (client, 0));
        push(&mut analyser, Duration::from_secs(9), client, true, reset, (0, client + 1));
        while let Some(one) = analyser.next_ended() {
            assert_eq!(one.end.way, Way::Reset);
            ended += 1;
        }
    }
    assert!((500..1400).contains(&ended), "{ended}");
    analyser.finish();
    assert_eq!(std::iter::from_fn(|| analyser.next_ended()).count() + ended, 1500);
}

#[test]
fn closed_and_open_connections_are_bounded() {
    let mut analyser = Analyser::new(Settings::default());
    (analyser.limits.ended, analyser.limits.open) = (100, 10);
    for client in 0..150 {
        whole(&mut analyser, Duration::from_secs(9), client);
    }
    assert_eq!(std::iter::from_fn(|| analyser.next_ended()).count(), 50);
    for client in 200..220 {
        push(&mut analyser, Duration::from_secs(9), client, false, SYN, (9, 0));
        push(&mut analyser, Duration::from_secs(9), client, true, SYN, (99, 10));
    }
    assert_eq!(analyser.open(), 10);
    let given: Vec<_> = std::iter::from_fn(|| analyser.next_ended()).map(|one| one.end.way).collect();
    assert_eq!(given, [Way::Open; 10]);
}

#[test]
fn what_waits_in_vain_comes_out() {
    let mut analyser = Analyser::new(Settings::default());
    for second in [1, 2, 4] {
        push(&mut analyser, Duration::from_secs(second), 1, false, SYN, (9, 0));
    }
    analyser.advance(Duration::from_secs(200));
    assert!(analyser.next_ended().is_none());
    analyser.advance(Duration::from_secs(300));
    assert_eq!(analyser.next_ended().expect("one").end.way, Way::Timeout);
    assert_eq!(analyser.open(), 0);
}

#[test]
fn five_thousand_connections_are_open_at_the_end_of_a_trace() {
    let mut analyser = Analyser::new(Settings { ladder_events: 64, ..Settings::default() });
    for client in 0..5000 {
        let at = Duration::from_secs(9) + Duration::from_millis(client.into());
        push(&mut analyser, at, client, false, SYN, (9, 0));
        push(&mut analyser, at, client, true, SYN, (99, 10));
        push(&mut analyser, at, client, false, ACK, (10, 100));
    }
    assert_eq!(analyser.open(), 5000);
    assert!(analyser.next_ended().is_none());
    analyser.finish();
    let mut numbers = Vec::new();
    while let Some(one) = analyser.next_ended() {
        assert_eq!(
            (one.end.way, one.end.by, one.doubts.as_slice()),
            (Way::Open, None, &[Doubt::EndsOpen][..])
        );
        assert_eq!(one.ladder.len(), 2, "{:?}", one.ladder);
        numbers.push(one.number);
    }
    assert_eq!(numbers, (1..=5000).collect::<Vec<_>>());
}
