//! Sums of many connections, and filters.

use std::net::{Ipv4Addr, SocketAddr};

use linger_probe::read::filter::{Filter, lets_pass};
use linger_probe::read::tally::{EXAMPLES, SERVERS, WORST};
use linger_probe::read::timeline::BUCKETS;
use linger_probe::read::{Kind, Rule, Severity, Tally};
use linger_wire::Side;
use linger_wire::trace::{Cause, Doubt, Way};

use crate::made::{cut_upload, ended, mixed, normal, reading, reset};

#[test]
fn everything_adds_up() {
    let (all, reading) = (mixed(), reading());
    assert_eq!(reading.connections, all.len() as u64);
    assert_eq!(reading.packets, 10 * all.len() as u64);
    let sum = |counts: &mut dyn Iterator<Item = u64>| counts.sum::<u64>();
    assert_eq!(sum(&mut reading.kinds.iter().map(|count| count.connections)), reading.connections);
    let share: f64 = reading.kinds.iter().map(|count| count.share).sum();
    assert!((share - 1.0).abs() < 1e-9);
    for kind in Kind::ALL {
        assert!(reading.count(kind) > 0, "{kind}");
        assert_eq!(reading.count(kind), all.iter().filter(|one| Kind::of(one) == kind).count() as u64);
        let ended = reading.timeline.buckets.iter().map(|bucket| bucket.kinds[kind.index()]);
        assert_eq!(ended.sum::<u64>(), reading.count(kind));
    }
    assert_eq!(reading.servers.len(), 1);
    let server = &reading.servers[0].counts;
    assert_eq!((server.connections, server.lossy), (reading.connections, reading.losses.connections));
    assert_eq!(reading.at_least(Severity::LosesResponses), reading.losses.connections);
    assert!(reading.at_least(Severity::Harmless) < reading.connections);
    // Four cut uploads of 2 KiB, three timeouts of 1 KiB.
    assert_eq!(reading.losses.response_bytes, 4 * 2048 + 3 * 1024);
    assert!(reading.timeline.buckets.len() <= BUCKETS);
    assert!(reading.doubts.iter().all(|doubt| doubt.connections == 1));
    let severities: Vec<_> = reading.verdicts.iter().map(|verdict| verdict.severity).collect();
    assert!(severities.is_sorted(), "{severities:?}");
}

#[test]
fn the_worst_are_kept_and_all_are_counted() {
    let mut tally = Tally::default();
    for number in 1..=5000 {
        tally.add(&normal(number));
    }
    for number in 5001..=5100 {
        let mut connection = cut_upload(number);
        connection.server_sent.unacknowledged = number;
        assert_eq!(tally.add(&connection).len(), 1);
    }
    for number in 5101..=5105 {
        tally.add(&reset(number, Side::Client, Cause::Abort, false, 0));
    }
    let reading = tally.finish(Vec::new());
    let worst: Vec<u64> = reading.worst.iter().map(|one| one.number).collect();
    let expected: Vec<u64> = (5093..=5100).rev().chain([5101, 5102]).collect();
    assert_eq!(worst, expected, "the largest losses first, and two of another verdict");
    assert_eq!(worst.len(), WORST);
    assert!(reading.worst[0].ladder.len() == 5, "with ladders");
    let normal = reading.examples.iter().find(|examples| examples.kind == Kind::Normal).expect("examples");
    let numbers: Vec<u64> = normal.connections.iter().map(|one| one.number).collect();
    assert_eq!(numbers, (1..=EXAMPLES as u64).collect::<Vec<_>>());
    let said = &reading.verdicts[0];
    assert_eq!((said.rule, said.connections, said.example_number), (Rule::ResetWhileReceiving, 100, 5100));
    assert_eq!(reading.verdicts[1].rule, Rule::Abort);
}

#[test]
fn servers_are_bounded_and_none_is_lost() {
    let mut tally = Tally::default();
    let many = 20_000;
    for (number, address) in (0..many).zip(0u32..) {
        let mut connection = normal(number);
        connection.server = SocketAddr::from((Ipv4Addr::from_bits(address), 80));
        tally.add(&connection);
        // The busiest server.
        tally.add(&normal(many + number));
    }
    let reading = tally.finish(Vec::new());
    assert_eq!(reading.servers.len(), SERVERS);
    assert_eq!(reading.servers[0].counts.connections, many);
    let others = reading.others.as_ref().expect("others");
    assert_eq!(others.servers, many - (SERVERS as u64 - 1));
    let listed: u64 = reading.servers.iter().map(|server| server.counts.connections).sum();
    assert_eq!(listed + others.counts.connections, 2 * many);
}

#[test]
fn what_is_not_known_does_not_count_as_lost() {
    let mut open = ended(1, Way::Open, Side::Server);
    open.server_sent.unacknowledged = 1000;
    let mut one_sided = normal(2);
    one_sided.server_sent.unacknowledged = 1000;
    one_sided.doubts.push(Doubt::OneDirection(Side::Server));
    let mut tally = Tally::default();
    tally.add(&open);
    tally.add(&one_sided);
    assert_eq!(tally.losses().response_bytes, 0);
    assert_eq!(tally.kinds()[Kind::Open.index()], 1);
}

#[test]
fn filters_choose_connections() {
    let connection = cut_upload(7);
    let passes = |filters: &[&str]| {
        let parsed = filters.iter().map(|filter| filter.parse::<Filter>().expect(filter));
        lets_pass(&parsed.collect::<Vec<_>>(), &connection)
    };
    for right in [
        &[][..],
        &["port=443"],
        &["port=80,443"],
        &["port=80", "port=443"],
        &["client_port=50007", "client-port = 1"],
        &["kind=server-reset-while-receiving", "server=192.0.2.0/24"],
        &["address=198.51.100.7"],
        &["address=::ffff:192.0.2.1"],
        &["client=198.51.100.0/28", "number=7"],
        &["server=0.0.0.0/0"],
    ] {
        assert!(passes(right), "{right:?}");
    }
    for wrong in [
        &["port=80"][..],
        &["port=443", "kind=normal"],
        &["client=192.0.2.1"],
        &["server=198.51.100.0/24"],
        &["server=::/0"],
        &["number=8"],
    ] {
        assert!(!passes(wrong), "{wrong:?}");
    }
}

#[test]
fn wrong_filters_say_what_is_allowed() {
    let keys = "address, client, server, port, client_port, kind, number";
    for (text, why) in [
        ("443", format!("a filter is KEY=VALUE, and the keys are {keys}")),
        ("host=a", format!("\"host\" is not a key: the keys are {keys}")),
        ("port=0", "\"0\" is not a port from 1 to 65535".to_owned()),
        ("port=http", "\"http\" is not a port from 1 to 65535".to_owned()),
        ("number=-1", "\"-1\" is not the number of a connection".to_owned()),
        ("kind=bad", format!("\"bad\" is not a kind: there are {}", Kind::ALL.map(Kind::key).join(", "))),
    ] {
        assert_eq!(text.parse::<Filter>(), Err(why));
    }
    for text in ["address=", "address=a.example", "client=10.0.0.0/33", "server=::/129", "server=10.0.0.0/x"]
    {
        let why = text.parse::<Filter>().expect_err(text);
        assert!(
            why.ends_with("is neither an address, such as 192.0.2.1, nor a network, such as 10.0.0.0/8"),
            "{why}"
        );
    }
}
