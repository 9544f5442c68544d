//! Sequence numbers: order, losses, what is sent again, and what a capture shows twice.

use super::script::{EXCHANGE, OPEN, connection};
use crate::trace::{Doubt, Finding, Way};
use crate::transcript::Side;

fn ladder(script: &str) -> Vec<String> {
    connection(OPEN, script).ladder.iter().skip(2).map(ToString::to_string).collect()
}

#[test]
fn each_byte_counts_once() {
    let end = connection(OPEN, "1 C data 10\n1.3 C data 10 seq=1\n1.4 C data 10 seq=6\n1.5 S ack");
    assert_eq!((end.client_sent.bytes, end.client_sent.retransmissions), (15, 2));
    assert_eq!((end.client_sent.unacknowledged, end.client_sent.missing), (0, 0));
}

#[test]
fn the_order_is_restored() {
    let script = "1 C data 5 seq=11\n1.0001 C fin\n1.0002 C data 10 seq=1\n1.1 S ack";
    assert_eq!(ladder(script), ["client: data 15", "client: FIN"]);
    let end = connection(OPEN, script);
    assert_eq!((end.client_sent.retransmissions, end.client_sent.missing), (0, 0));
    assert!(end.client_sent.fin_acknowledged);
}

#[test]
fn a_hole_that_is_filled_late_was_lost_before_the_capture() {
    let end = connection(OPEN, "1 C data 5 seq=11\n1.3 C data 10 seq=1\n1.4 S ack");
    assert_eq!((end.client_sent.bytes, end.client_sent.retransmissions), (15, 1));
}

#[test]
fn bytes_that_were_acknowledged_unseen_are_missing() {
    let end = connection(OPEN, "1 S ack ack=11\n1.1 C data 5 seq=11\n1.2 S ack");
    assert_eq!((end.client_sent.bytes, end.client_sent.missing), (15, 10));
    assert_eq!(end.doubts, [Doubt::Lost { side: Side::Client, bytes: 10 }, Doubt::EndsOpen]);
    // They come after all: the capture mixed up the order of both directions.
    let late = connection(OPEN, "1 S ack ack=11\n1.0001 C data 10 seq=1\n1.1 C data 5\n1.2 S ack");
    assert_eq!(
        (late.client_sent.bytes, late.client_sent.missing, late.client_sent.retransmissions),
        (15, 0, 0)
    );
}

#[test]
fn a_hole_that_stays_is_not_missing_if_nobody_acknowledged_it() {
    let end = connection(OPEN, "1 C data 5 seq=11");
    assert_eq!((end.client_sent.bytes, end.client_sent.missing, end.client_sent.unacknowledged), (15, 0, 15));
}

#[test]
fn a_packet_of_two_interfaces_counts_once() {
    let twice = "1 C data 10 id=900\n1.001 C data 10 seq=1 id=900\n1.1 S ack id=33\n1.1001 S ack id=33";
    let of = |script: &str| {
        let end = connection(OPEN, script);
        (end.client_sent.bytes, end.client_sent.retransmissions, end.packets)
    };
    // The script gives every packet timestamps of its own, so that these are not alike.
    assert_eq!(of(twice), (10, 1, 7));
    let alike = twice.replace('\n', " plain\n") + " plain";
    assert_eq!(of(&alike), (10, 0, 7));
    assert_eq!(of(&alike.replace("1.001 ", "1.006 ")), (10, 1, 7), "too late");
    let without = alike.replace("id=900", "id=0");
    assert_eq!(of(&without), (10, 1, 7), "too late without an identification");
    assert_eq!(of(&without.replace("1.001 ", "1.0004 ")), (10, 0, 7));
}

#[test]
fn what_comes_after_the_fin_is_not_kept() {
    let end = connection(EXCHANGE, "1 S data 10 seq=400\n1.1 S fin seq=201\n1.2 C fin ack=202\n1.3 S ack");
    assert_eq!(end.end.way, Way::Normal);
}

#[test]
fn an_acknowledgement_of_nonsense_is_ignored() {
    let end = connection(EXCHANGE, "1 S ack ack=1999999999\n1.1 C data 10\n1.2 S ack");
    assert_eq!((end.client_sent.bytes, end.client_sent.missing, end.end.way), (110, 0, Way::Open));
}

#[test]
fn a_fin_may_be_acknowledged_before_it_is_seen() {
    let end = connection(EXCHANGE, "1 C ack ack=202\n1.0001 S fin\n1.1 C fin\n1.2 S ack");
    assert_eq!(end.end.way, Way::Normal, "{end:?}");
}

#[test]
fn a_fin_within_lost_bytes_moves_nothing_back() {
    let end = connection(EXCHANGE, "1 C ack ack=301\n1.1 S fin seq=251\n1.2 S data 10 seq=301\n1.3 C ack");
    assert_eq!((end.server_sent.bytes, end.server_sent.missing), (310, 100));
}

#[test]
fn the_status_of_a_response_is_read() {
    let end = connection(OPEN, "1 C data 20\n1.1 S data 50 text=HTTP/1.1_413_Content_Too_Large\n2 S rstack");
    assert_eq!((end.last_status, end.unanswered), (Some(413), false));
    assert!(!end.findings.iter().any(|finding| matches!(finding, Finding::NoCloseNotify { .. })));
}

#[test]
fn the_rest_of_an_upload_that_was_answered_early_asks_for_no_answer() {
    let answered = "1 C data 200 text=PUT_/_HTTP/1.1\n1.1 S data 50 text=HTTP/1.1_413_Content_Too_Large\n";
    let interim = "1 C data 200 text=PUT_/_HTTP/1.1\n1.1 S data 25 text=HTTP/1.1_100_Continue\n";
    let early = "1 C data 200\n1.1 S data 50 ack=101\n";
    for (begin, rest, unanswered) in [
        (answered, "1.2 C data 900", false),
        (answered, "1.2 C data 30 text=GET_/_HTTP/1.1", true),
        (interim, "1.2 C data 900", true),
        (early, "1.2 C data 900", false),
    ] {
        let end = connection(OPEN, &format!("{begin}{rest}\n2 S fin\n2.1 C fin\n2.2 S ack"));
        assert_eq!(end.unanswered, unanswered, "{begin}{rest}");
    }
}
