//! The ways in which connections end.

use std::time::Duration;

use super::script::{CLIENT, EXCHANGE, OPEN, SERVER, connection, connections};
use crate::decode::IcmpKind;
use crate::trace::{Asked, Opening, Roles, Way};
use crate::transcript::Side;

#[test]
fn both_fins_acknowledged_are_a_normal_close() {
    let end = connection(EXCHANGE, "1 S fin\n1.1 C fin\n1.2 S ack");
    assert_eq!((end.end.way, end.end.by, end.opening), (Way::Normal, SERVER, Opening::Complete));
    assert_eq!(end.end.at, Duration::from_secs_f64(1.2));
    assert_eq!((end.client_sent.bytes, end.server_sent.bytes, end.packets), (100, 200, 10));
    assert!(end.client_sent.fin_acknowledged && end.server_sent.fin_acknowledged);
    assert_eq!((end.client_sent.unacknowledged, end.server_sent.unacknowledged), (0, 0));
}

#[test]
fn both_fins_without_the_last_acknowledgement_are_one_too() {
    let end = connection(EXCHANGE, "1 S fin\n1.1 C fin");
    assert_eq!((end.end.way, end.doubts), (Way::Normal, vec![crate::trace::Doubt::EndsOpen]));
}

#[test]
fn a_fin_of_one_side_is_half_closed() {
    let end = connection(EXCHANGE, "1 C fin\n1.1 S ack\n1.2 S data 10\n1.3 C ack");
    assert_eq!((end.end.way, end.end.by, end.end.closed_first), (Way::HalfClosed, CLIENT, CLIENT));
}

#[test]
fn a_reset_ends_it() {
    let end = connection(EXCHANGE, "5 S rstack");
    assert_eq!((end.end.way, end.end.by), (Way::Reset, SERVER));
    assert_eq!((end.server_sent.resets, end.client_sent.resets), (1, 0));
}

#[test]
fn retransmissions_without_answer_are_a_timeout() {
    let end = connection(EXCHANGE, "1 S data 50\n1.2 S data 50 seq=201\n1.6 S data 50 seq=201");
    assert_eq!((end.end.way, end.end.by), (Way::Timeout, SERVER));
    let silence = end.end.silence.expect("a silence");
    assert_eq!((silence.of, silence.asked_by, silence.attempts), (Side::Client, Asked::Retransmission, 2));
    assert_eq!(silence.lasted, Duration::from_secs_f64(0.4));
    assert_eq!((end.server_sent.retransmissions, end.server_sent.unacknowledged), (2, 50));
}

#[test]
fn one_retransmission_is_none_yet_and_an_answer_ends_the_wait() {
    let one = "1 S data 50\n1.2 S data 50 seq=201";
    assert_eq!(connection(EXCHANGE, one).end.way, Way::Open);
    let answered = format!("{one}\n1.6 S data 50 seq=201\n1.7 C ack");
    assert_eq!(connection(EXCHANGE, &answered).end.way, Way::Open);
}

#[test]
fn a_fin_without_answer_is_a_timeout() {
    let end = connection(EXCHANGE, "1 S fin\n1.2 S fin seq=201\n1.6 S fin seq=201");
    assert_eq!((end.end.way, end.end.closed_first), (Way::Timeout, SERVER));
    assert_eq!(end.server_sent.retransmissions, 2);
}

#[test]
fn keepalive_probes_without_answer_are_a_timeout() {
    let end = connection(EXCHANGE, "60 S ack seq=200\n70 S ack seq=200");
    assert_eq!(end.end.silence.expect("a silence").asked_by, Asked::Keepalive);
    assert_eq!(
        (end.end.way, end.server_sent.keepalives, end.server_sent.retransmissions),
        (Way::Timeout, 2, 0)
    );
    // BSDs send a byte of what was acknowledged.
    let byte = connection(EXCHANGE, "60 S data 1 seq=200\n70 S data 1 seq=200\n70.1 C ack");
    assert_eq!((byte.end.way, byte.server_sent.keepalives, byte.server_sent.bytes), (Way::Open, 2, 200));
}

#[test]
fn window_probes_without_answer_are_a_timeout() {
    let full = "1 C ack win=0\n2 S ack seq=200\n2.1 C ack win=0\n3 S ack seq=200\n5 S ack seq=200";
    let end = connection(EXCHANGE, full);
    let silence = end.end.silence.expect("a silence");
    assert_eq!((end.end.way, silence.asked_by, silence.attempts), (Way::Timeout, Asked::WindowProbe, 2));
    assert_eq!((end.server_sent.window_probes, end.server_sent.keepalives), (3, 0));
    // BSDs send the next byte.
    let byte = connection(EXCHANGE, "1 C ack win=0\n2 S data 1\n2.1 C ack ack=201 win=0\n4 S data 1 seq=201");
    assert_eq!((byte.server_sent.window_probes, byte.server_sent.retransmissions), (2, 0));
}

#[test]
fn a_syn_without_answer_is_a_timeout() {
    let end = connection("", "0 C syn\n1 C syn\n3 C syn");
    assert_eq!((end.end.way, end.end.by, end.opening), (Way::Timeout, CLIENT, Opening::Unanswered));
    let silence = end.end.silence.expect("a silence");
    assert_eq!((silence.asked_by, silence.attempts), (Asked::Syn, 3));
    assert_eq!((end.client_sent.retransmissions, end.roles), (2, Roles::Handshake));
    assert_eq!(connection("", "0 C syn").end.way, Way::Open);
}

#[test]
fn a_syn_ack_without_answer_is_a_timeout() {
    let end = connection("", "0 C syn\n0.1 S synack\n1.1 S synack\n1.2 C syn\n3.1 S synack");
    assert_eq!((end.end.way, end.end.by, end.opening), (Way::Timeout, SERVER, Opening::Incomplete));
}

#[test]
fn icmp_is_the_last_word() {
    let end = connection(EXCHANGE, "1 S data 50\n1.01 S icmp host\n1.2 S data 50 seq=201\n1.21 S icmp host");
    let error = end.end.icmp.expect("an error");
    assert_eq!((end.end.way, error.kind, error.about), (Way::Icmp, IcmpKind::HostUnreachable, Side::Server));
    assert_eq!((error.count, end.packets), (2, 11));
    let refused = connection("", "0 C syn\n0.1 C icmp host");
    assert_eq!((refused.end.way, refused.opening), (Way::Icmp, Opening::Unanswered));
    let reset = connection(EXCHANGE, "1 S data 50\n1.01 S icmp host\n2 S rstack");
    assert_eq!((reset.end.way, reset.end.reset), (Way::Icmp, None));
}

#[test]
fn icmp_about_other_segments_is_not() {
    let elsewhere = connection(EXCHANGE, "1 S data 50\n1.01 S icmp host seq=9000000");
    assert_eq!((elsewhere.end.way, elsewhere.packets), (Way::Open, 8));
    let size = connection(EXCHANGE, "1 S data 50\n1.01 S icmp big");
    assert_eq!((size.end.way, size.packets), (Way::Open, 9));
}

#[test]
fn a_trace_that_ends_first_leaves_it_open() {
    let end = connection(OPEN, "1 C data 10\n1.1 S ack");
    assert_eq!((end.end.way, end.end.by, end.unanswered), (Way::Open, None, true));
}

#[test]
fn a_new_syn_from_the_same_ports_is_a_new_connection() {
    let both = connections(EXCHANGE, "1 C syn fresh\n1.1 S synack fresh\n1.2 C ack\n1.3 S rstack");
    let ways: Vec<_> = both.iter().map(|one| (one.number, one.end.way)).collect();
    assert_eq!(ways, [(1, Way::Open), (2, Way::Reset)]);
    let same = connection("", "0 C syn\n1 C syn\n1.1 S synack\n1.2 C ack");
    assert_eq!((same.opening, same.client_sent.retransmissions), (Opening::Complete, 1));
}

#[test]
fn late_packets_belong_to_the_connection_that_closed() {
    let closed = "1 S fin\n1.1 C fin\n1.2 S ack";
    let end = connection(EXCHANGE, &format!("{closed}\n1.5 C fin seq=101\n1.6 S ack"));
    assert_eq!((end.end.way, end.packets, end.client_sent.retransmissions), (Way::Normal, 12, 1));
    let late = connections(EXCHANGE, &format!("{closed}\n70 C fin seq=101"));
    assert_eq!(late.len(), 2, "TIME_WAIT is over");
}

#[test]
fn a_connection_without_handshake_is_guessed() {
    let end = connection("", "0 S data 10\n0.1 C ack\n0.2 C data 5\n0.3 S ack\n0.4 S rstack");
    assert_eq!((end.roles, end.opening, end.server.port()), (Roles::Guess, Opening::NotSeen, 443));
    assert_eq!((end.end.way, end.end.by, end.server_sent.bytes), (Way::Reset, SERVER, 10));
    assert_eq!(end.server_sent.missing, 0, "what came before the trace is not missing");
}
