//! What resets follow on.

use super::script::{EXCHANGE, OPEN, connection, connections};
use crate::trace::{Cause, Opening, Reset, Way};
use crate::transcript::Side;

fn reset(before: &str, script: &str) -> Reset {
    let end = connection(before, script).end;
    assert_eq!(end.signs, [], "a real reset");
    end.reset.expect("a reset")
}

#[test]
fn a_syn_is_refused() {
    let end = connection("", "0 C syn\n0.1 S rstack seq=0");
    assert_eq!((end.end.way, end.opening), (Way::Reset, Opening::Refused));
    assert_eq!(end.end.reset.expect("a reset").cause, Cause::Refused);
    assert_eq!(end.findings, []);
}

#[test]
fn a_refused_client_may_try_again() {
    let end = connection("", "0 C syn\n0.1 S rstack seq=0\n1 C syn\n1.1 S synack\n1.2 C ack\n2 C data 5");
    assert_eq!((end.end.way, end.opening, end.end.reset), (Way::Open, Opening::Complete, None));
}

#[test]
fn a_closed_socket_answers_late_data() {
    let answer = reset(EXCHANGE, "1 S fin\n1.1 C ack\n2 C data 30\n2.1 S rst seq=202");
    assert_eq!((answer.by, answer.cause), (Side::Server, Cause::AnswersLateSegment));
    assert!(answer.while_sending);
}

#[test]
fn one_may_answer_many_segments() {
    let upload = "1 S fin\n1.001 C data 30 ack=201\n1.002 C data 30 ack=201\n1.003 C ack\n\
         1.1 S rst seq=201\n1.1001 S rst seq=201\n1.1002 S rst seq=202";
    let end = connection(EXCHANGE, upload);
    assert_eq!((end.server_sent.resets, end.client_sent.after_close), (3, 60));
    assert_eq!((end.end.way, end.end.signs), (Way::Reset, vec![]));
}

#[test]
fn a_side_may_reset_after_its_fin() {
    let after = reset(EXCHANGE, "1 S fin\n1.1 C ack\n2 C data 700\n2.1 S rstack");
    assert_eq!((after.cause, after.unread, after.while_sending), (Cause::AfterFin, 700, true));
}

#[test]
fn close_with_unread_data_resets() {
    let during = "1 C data 20000\n1.1 S data 30 win=344\n1.2 C data 20000\n1.3 S ack win=188\n1.5 S rstack";
    let unread = reset(OPEN, during);
    assert_eq!(
        (unread.cause, unread.unread, unread.while_sending),
        (Cause::UnreadData, 40_000, true),
        "an early answer"
    );
}

#[test]
fn a_request_without_an_answer_is_unread() {
    let unread = reset(OPEN, "1 C data 300\n1.1 S ack\n1.5 S rstack");
    assert_eq!((unread.cause, unread.unread, unread.while_sending), (Cause::UnreadData, 300, true));
}

#[test]
fn what_was_read_or_answered_is_not_unread() {
    let answered = "1 C data 20000\n1.1 S ack win=344\n1.35 S data 30\n1.4 C ack\n1.5 S rstack";
    let abort = reset(OPEN, answered);
    assert_eq!((abort.cause, abort.unread, abort.while_sending), (Cause::Abort, 0, false));
    let download = "1 S data 20000 more\n1.1 C ack win=344\n1.2 C ack win=501\n1.5 C rstack";
    let abort = reset(EXCHANGE, download);
    assert_eq!((abort.by, abort.cause, abort.unread), (Side::Client, Cause::Abort, 0));
    assert!(abort.while_sending, "the server had not ended what it wrote");
}

#[test]
fn an_idle_connection_may_be_aborted() {
    let abort = reset(EXCHANGE, "9 C rstack");
    assert_eq!((abort.by, abort.cause, abort.while_sending), (Side::Client, Cause::Abort, false));
}

#[test]
fn a_side_gives_up_by_a_reset() {
    let probes = connection(EXCHANGE, "60 S ack seq=200\n70 S ack seq=200\n80 S rstack");
    assert_eq!(probes.end.reset.as_ref().expect("a reset").cause, Cause::GaveUp);
    assert_eq!((probes.end.way, probes.end.silence.expect("a silence").attempts), (Way::Timeout, 2));
    assert_eq!(probes.findings, []);
    let data = "1 S data 50\n1.2 S data 50 seq=201\n1.6 S data 50 seq=201\n2 S rstack";
    assert_eq!(connection(EXCHANGE, data).end.way, Way::Timeout);
}

#[test]
fn a_reset_after_the_close_changes_nothing() {
    let end = connection(EXCHANGE, "1 S fin\n1.1 C fin\n1.2 S ack\n2 C rst");
    assert_eq!((end.end.way, end.end.reset, end.client_sent.resets), (Way::Normal, None, 1));
}

#[test]
fn the_last_fin_may_be_answered_by_a_reset() {
    let end = connection(EXCHANGE, "1 S fin\n1.1 C ack\n90 C fin\n90.1 S rst");
    assert_eq!((end.end.way, end.end.reset), (Way::Normal, None));
    let lost = connection(EXCHANGE, "1 S fin\n1.1 C ack\n90 C data 9\n90.05 C fin\n90.1 S rst");
    assert_eq!(lost.end.way, Way::Reset, "the data is lost");
}

#[test]
fn a_client_answers_what_it_did_not_ask_for() {
    let scanned = connection("", "0 C syn\n0.1 S synack\n0.2 C rst");
    assert_eq!((scanned.end.way, scanned.opening), (Way::Reset, Opening::Incomplete));
    assert_eq!(scanned.end.reset.expect("a reset").cause, Cause::AnswersLateSegment);
}

#[test]
fn two_connections_end_apart() {
    let both =
        connections(EXCHANGE, "1 C syn port=50001\n1.1 S synack port=50001\n2 S rstack\n3 C ack port=50001");
    let ways: Vec<_> = both.iter().map(|one| one.end.way).collect();
    assert_eq!(ways, [Way::Reset, Way::Open]);
}
