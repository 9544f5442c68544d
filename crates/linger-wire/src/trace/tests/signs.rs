//! What does not fit the side that a packet claims to come from.

use std::time::Duration;

use super::script::{CLIENT, EXCHANGE, OPEN, SERVER, connection};
use crate::trace::{Sign, Way};

fn signs(before: &str, script: &str) -> (Way, Vec<Sign>) {
    let end = connection(before, script).end;
    (end.way, end.signs)
}

#[test]
fn another_ttl() {
    let expected = vec![Sign::Ttl { found: 52, usual: 64 }];
    assert_eq!(signs(EXCHANGE, "5 S rstack ttl=52"), (Way::Middlebox, expected.clone()));
    assert_eq!(signs(EXCHANGE, "5 S fin ttl=52\n5.1 C fin\n5.2 S ack"), (Way::Middlebox, expected));
}

#[test]
fn a_ttl_that_was_never_constant_is_no_sign() {
    assert_eq!(signs(EXCHANGE, "4 S ack ttl=63\n5 S rstack ttl=52"), (Way::Reset, vec![]));
    assert_eq!(signs(OPEN, "5 S rstack ttl=52").1, [], "two packets make no habit");
}

#[test]
fn its_side_goes_on() {
    let goes_on = "5 S rst\n5.1 C ack\n6 S data 50\n6.1 C rst";
    let (way, found) = signs(EXCHANGE, goes_on);
    assert_eq!((way, found.contains(&Sign::GoesOn)), (Way::Middlebox, true), "{found:?}");
    let end = connection(EXCHANGE, "5 C data 5\n5.05 S rst\n5.1 S ack\n6 S data 50\n6.1 C rst");
    assert_eq!((end.end.way, end.end.by), (Way::Middlebox, SERVER));
}

#[test]
fn segments_that_the_reset_overtook_are_no_sign() {
    let overtaken = "5 S data 50\n5.1 S rstack seq=301\n5.2 S data 50 seq=251\n5.3 S ack seq=251";
    let (way, found) = signs(EXCHANGE, overtaken);
    assert_eq!((way, found.contains(&Sign::GoesOn)), (Way::Reset, false), "{found:?}");
}

#[test]
fn a_fin_that_its_side_does_not_know() {
    let end = connection(EXCHANGE, "5 S fin\n5.1 C ack\n5.2 S data 50 seq=201\n5.3 C fin\n5.4 S ack");
    assert_eq!((end.end.way, end.end.signs), (Way::Middlebox, vec![Sign::GoesOn]));
}

#[test]
fn a_reset_that_nobody_takes_for_true_ends_nothing() {
    let end = connection(
        EXCHANGE,
        "5 C data 10\n5.1 S rst seq=201\n6 S data 50\n6.1 C ack\n7 S fin\n7.1 C fin\n7.2 S ack",
    );
    assert_eq!((end.end.way, end.end.reset), (Way::Normal, None));
    assert_eq!(end.end.signs, [Sign::GoesOn]);
    // Its number is within the window, but not the next one: the server asks, and the client goes on.
    let challenged = "5 C rst seq=201\n5.1 S ack\n6 S data 50\n6.1 C ack\n7 S fin\n7.1 C fin\n7.2 S ack";
    let end = connection(EXCHANGE, challenged);
    assert_eq!((end.end.way, end.end.reset, end.findings), (Way::Normal, None, vec![]));
    assert_eq!(end.end.signs.len(), 3, "{:?}", end.end.signs);
}

#[test]
fn a_sequence_number_that_is_not_the_next() {
    let ahead = signs(EXCHANGE, "5 S rstack seq=1661");
    assert_eq!(ahead, (Way::Middlebox, vec![Sign::Sequence { off_by: 1460 }]));
    let behind = signs(EXCHANGE, "5 S data 50\n5.1 C ack\n5.2 S rstack seq=201");
    assert_eq!(behind, (Way::Middlebox, vec![Sign::Sequence { off_by: -50 }]));
}

#[test]
fn a_number_ahead_after_losses_is_no_sign() {
    assert_eq!(signs(EXCHANGE, "5 S data 50\n5.1 S rstack seq=1661"), (Way::Reset, vec![]));
    let unacknowledged = signs(EXCHANGE, "5 S data 50\n5.1 S rstack seq=201");
    assert_eq!(unacknowledged, (Way::Reset, vec![]), "some take the number of what was not acknowledged");
    let again = "5 S data 50\n5.1 S data 50 seq=201\n5.2 C ack\n5.3 S rstack seq=1661";
    assert_eq!(signs(EXCHANGE, again), (Way::Reset, vec![]));
}

#[test]
fn both_sides_are_reset() {
    let end = connection(EXCHANGE, "5 S rstack\n5.001 C rstack").end;
    assert_eq!((end.way, end.by, end.signs), (Way::Middlebox, SERVER, vec![Sign::BothSides]));
    assert_eq!(signs(EXCHANGE, "5 S rstack\n5.5 C rstack"), (Way::Reset, vec![]));
    let answered = "5 S fin\n5.001 C rst seq=101\n5.002 C data 10\n5.003 S rst";
    assert!(!signs(EXCHANGE, answered).1.contains(&Sign::BothSides), "it answers the data");
}

#[test]
fn an_answer_to_nothing() {
    let end = connection(EXCHANGE, "4 S ack\n5 S rst").end;
    assert_eq!((end.way, end.signs), (Way::Middlebox, vec![Sign::AnswersNothing]));
    let beyond = signs(EXCHANGE, "5 S data 50\n5.1 S rst");
    assert_eq!(beyond, (Way::Middlebox, vec![Sign::AnswersNothing]));
    assert_eq!(signs(EXCHANGE, "5 C ack\n5.1 S rst"), (Way::Reset, vec![]), "it answers that");
}

#[test]
fn an_identification_alone_proves_nothing() {
    let more = "1 C data 9\n1.1 S ack\n2 C data 9\n2.1 S ack\n";
    let end = connection(&format!("{EXCHANGE}{more}"), "5 S rstack id=9999").end;
    assert_eq!((end.way, end.signs), (Way::Reset, vec![Sign::Id { found: 9999, last: 11 }]));
    let zero = connection(&format!("{EXCHANGE}{more}"), "5 S rstack id=0").end;
    assert_eq!(zero.signs, [], "closed sockets of Linux send 0");
}

#[test]
fn missing_timestamps_alone_prove_nothing() {
    let end = connection(EXCHANGE, "5 S rstack plain").end;
    assert_eq!((end.way, end.signs), (Way::Reset, vec![Sign::NoTimestamps]));
}

#[test]
fn an_answer_too_soon_proves_nothing() {
    let slow =
        "0 C syn\n0.1 S synack\n0.1 C ack\n1 C data 9\n1.1 S data 9\n1.1 C ack\n2 C data 9\n2.1 S ack\n";
    let end = connection(slow, "3 C data 9\n3.005 S rstack").end;
    let sign = Sign::TooSoon { after: Duration::from_millis(5), usual: Duration::from_millis(100) };
    assert_eq!((end.way, end.by, end.signs), (Way::Reset, SERVER, vec![sign]));
    assert_eq!(connection(slow, "3 C data 9\n3.1 S rstack").end.signs, []);
}

#[test]
fn a_forged_reset_of_the_client() {
    let end = connection(EXCHANGE, "5 C rstack ttl=61\n6 C data 30\n6.1 S rst").end;
    assert_eq!((end.way, end.by), (Way::Middlebox, CLIENT));
    assert_eq!(end.signs, [Sign::Ttl { found: 61, usual: 64 }, Sign::GoesOn]);
}
