//! What a trace lacks.

use super::script::{EXCHANGE, OPEN, connection, connections_with};
use crate::trace::{Doubt, Roles, Settings, Way};
use crate::transcript::Side;

#[test]
fn cut_packets() {
    let end = connection(EXCHANGE, "1 C data 1000 cut=60\n2 S rstack");
    assert_eq!(end.doubts, [Doubt::Cut(940)]);
    assert_eq!(end.client_sent.bytes, 1100);
}

#[test]
fn one_direction_only() {
    let end = connection("0 C syn\n0.1 S synack\n", "");
    assert_eq!(end.doubts, [Doubt::EndsOpen]);
    let one = "0 S data 10 more\n1 S data 10\n2 S data 10 seq=11\n3 S data 10 seq=11";
    let nobody = connection("", one);
    assert!(!nobody.doubts.contains(&Doubt::OneDirection(Side::Server)), "it acknowledges nothing");
}

#[test]
fn no_handshake() {
    let end = connection("", "0 C data 5\n0.1 S ack\n0.2 S rstack");
    assert_eq!(end.doubts, [Doubt::NoSyn]);
}

#[test]
fn segments_larger_than_the_mss() {
    let end = connection(EXCHANGE, "1 C data 8000\n1.1 S ack\n2 S rstack");
    assert_eq!(end.doubts, [Doubt::Offload { largest: 8000 }]);
    let unknown = connection("", "0 C data 60000\n0.1 S ack\n0.2 S rstack");
    assert!(unknown.doubts.contains(&Doubt::Offload { largest: 60_000 }));
}

#[test]
fn a_trace_that_ends_early() {
    assert_eq!(connection(EXCHANGE, "1 C data 5").doubts, [Doubt::EndsOpen]);
    let closed = "1 S fin\n1.1 C fin\n1.2 S ack";
    assert_eq!(connection(EXCHANGE, closed).doubts, [Doubt::EndsInTimeWait]);
    let waiting = "1 S data 50\n1.2 S data 50 seq=201\n1.6 S data 50 seq=201";
    assert_eq!(connection(EXCHANGE, waiting).doubts, [Doubt::EndsOpen]);
}

#[test]
fn a_trace_that_goes_on_leaves_no_doubt() {
    let settings = Settings::default();
    let other = "20 C syn port=50001\n21 C syn port=50001";
    for ends in
        ["1 S fin\n1.1 C fin\n1.2 S ack\n", "1 S data 50\n1.2 S data 50 seq=201\n1.6 S data 50 seq=201\n"]
    {
        let all = connections_with(&settings, EXCHANGE, &format!("{ends}{other}"));
        let first = all.iter().find(|one| one.number == 1).expect("one");
        assert_eq!(first.doubts, [], "{ends}");
    }
}

#[test]
fn a_clock_may_be_far_off() {
    let far = "1 S data 50\n1.2 S data 50 seq=201\n18000000000000000000 S data 50 seq=201";
    assert_eq!(connection(EXCHANGE, far).end.way, Way::Timeout);
}

#[test]
fn times_that_go_back() {
    let end = connection(EXCHANGE, "0.5 C data 5\n0.3 S ack\n0.6 S rstack");
    assert_eq!(end.doubts, [Doubt::TimeGoesBack]);
    assert_eq!(connection(EXCHANGE, "0.5 C data 5\n0.45 S ack\n0.6 S rstack").doubts, []);
}

#[test]
fn more_than_four_gib() {
    // 2^32 bytes, of which each acknowledgement says that half a GiB has come.
    let line = |segment: u32| {
        let ack = u64::from(segment) * (1 << 29) % (1 << 32) + 1;
        format!("{}.1 S ack ack={ack}\n", segment + 1)
    };
    let script: String = (0..9).map(line).collect();
    let end = connection(OPEN, &script);
    assert_eq!(end.client_sent.bytes, 8 << 29);
    assert!(end.doubts.contains(&Doubt::Wrapped(Side::Client)), "{:?}", end.doubts);
}

#[test]
fn the_users_ports_are_the_servers() {
    let settings = Settings { server_ports: vec![50_000], ..Settings::default() };
    let [end] = connections_with(&settings, "", "0 C data 5\n0.1 S rstack").try_into().expect("one");
    assert_eq!((end.roles, end.server.port(), end.end.way), (Roles::Port, 50_000, Way::Reset));
}
