//! What deserves a word.

use std::time::Duration;

use super::script::{EXCHANGE, OPEN, connection, connections};
use crate::trace::{Finding, Opening, SynAnswer, Way};
use crate::transcript::Side;

const CLOSED: &str = "1 S fin\n1.1 C fin\n1.2 S ack\n";

#[test]
fn a_normal_close_deserves_none() {
    let end = connection(EXCHANGE, CLOSED);
    assert_eq!((end.findings, end.end.signs), (vec![], vec![]));
}

#[test]
fn a_reset_takes_what_was_not_acknowledged() {
    let end = connection(OPEN, "1 C data 9000\n1.1 S data 300\n1.2 C data 900 ack=1\n1.3 S rstack ack=9001");
    let expected = Finding::ResetWhileReceiving { by: Side::Server, unread: 0, late: 900, lost: 300 };
    assert_eq!(end.findings, [expected]);
    assert_eq!((end.client_sent.after_close, end.server_sent.unacknowledged), (900, 300));
}

#[test]
fn data_after_the_close() {
    let end = connection(EXCHANGE, "1 S fin\n1.1 C ack\n2 C data 30\n2.1 S rst\n2.2 C data 5");
    assert!(end.findings.contains(&Finding::DataAfterClose { closed: Side::Server, bytes: 35 }), "{end:?}");
}

#[test]
fn an_assassination_in_time_wait() {
    let end = connection(EXCHANGE, &format!("{CLOSED}9 C rst"));
    assert_eq!(end.findings, [Finding::TimeWaitAssassination { by: Side::Client }]);
    assert_eq!((end.end.way, end.packets, end.client_sent.resets), (Way::Normal, 11, 1));
}

fn reconnected(script: &str) -> (Opening, Vec<Finding>) {
    let both = connections(EXCHANGE, &format!("{CLOSED}{script}"));
    assert_eq!(both.len(), 2);
    let second = both.into_iter().find(|one| one.number == 2).expect("one");
    (second.opening, second.findings)
}

#[test]
fn a_port_in_time_wait() {
    let since = Duration::from_secs_f64(1.8);
    let word = |answer| vec![Finding::PortInTimeWait { since, answer }];
    let challenge = "3 C syn fresh\n3.1 S ack seq=202 ack=102\n3.2 C rst seq=0\n";
    assert_eq!(reconnected(challenge), (Opening::Challenged, word(SynAnswer::Challenge)));
    let then = format!("{challenge}4 C syn\n4.1 S synack fresh\n4.2 C ack\n5 C data 9");
    assert_eq!(reconnected(&then), (Opening::Complete, word(SynAnswer::Challenge)));
    let refused = "3 C syn fresh\n3.1 S rstack seq=0";
    assert_eq!(reconnected(refused), (Opening::Refused, word(SynAnswer::Reset)));
    assert_eq!(reconnected("3 C syn fresh\n4 C syn"), (Opening::Unanswered, word(SynAnswer::Silence)));
}

#[test]
fn a_port_that_is_accepted_again_deserves_no_word() {
    let accepted = "3 C syn fresh\n3.1 S synack fresh\n3.2 C ack";
    assert_eq!(reconnected(accepted), (Opening::Complete, vec![]));
    assert_eq!(reconnected("90 C syn fresh\n91 C syn").1, [], "TIME_WAIT is over");
    let client_first = connections(EXCHANGE, "1 C fin\n1.1 S fin\n1.2 C ack\n3 C syn fresh\n4 C syn");
    assert_eq!(client_first.last().expect("one").findings, [], "the server is not in TIME_WAIT");
}

#[test]
fn fin_wait_2_and_close_wait() {
    let end = connection(EXCHANGE, "1 S fin\n1.1 C ack\n60 C data 5\n61 S ack");
    let seconds = Duration::from_secs_f64;
    assert_eq!(
        end.findings,
        [
            Finding::FinWait2 { side: Side::Server, lasted: seconds(59.9), open: true },
            Finding::CloseWait { side: Side::Client, lasted: seconds(60.0) }
        ]
    );
    let closed = connection(EXCHANGE, "1 S fin\n1.1 C ack\n9.1 C fin\n9.2 S ack");
    let waited = Finding::FinWait2 { side: Side::Server, lasted: seconds(8.0), open: false };
    assert_eq!((closed.end.way, closed.findings), (Way::Normal, vec![waited]));
    let soon = connection(EXCHANGE, "1 S fin\n1.1 C ack\n1.2 C fin\n1.3 S ack");
    assert_eq!(soon.findings, []);
}

#[test]
fn a_request_crosses_the_fin() {
    let idle = Duration::from_secs_f64(3.995);
    let race = Finding::KeepAliveRace { bytes: 70, idle };
    // Seen at the client: its request leaves before the FIN comes.
    let at_client = "4 C data 70\n4.01 S fin ack=101\n4.02 C ack\n4.05 S rst seq=201\n4.06 S rst";
    assert!(connection(EXCHANGE, at_client).findings.contains(&race));
    // Seen at the server: its FIN leaves before the request comes.
    let at_server = "3.99 S fin\n4 C data 70 ack=201\n4.01 S rst seq=201";
    assert!(connection(EXCHANGE, at_server).findings.contains(&race));
}

#[test]
fn other_requests_do_not() {
    let is_race = |finding: &Finding| matches!(finding, Finding::KeepAliveRace { .. });
    for script in [
        // It knows the FIN.
        "3.9 S fin\n4 C data 70\n4.01 S rst",
        // It is answered.
        "4 C data 70\n4.1 S data 90\n4.2 S fin",
        // An upload goes on while the response comes.
        "4 C data 7000\n4.1 S data 90 ack=101\n4.2 C data 7000 ack=201\n4.3 S fin ack=101\n4.4 S rst seq=201",
    ] {
        let end = connection(EXCHANGE, script);
        assert!(!end.findings.iter().any(is_race), "{script}: {:?}", end.findings);
    }
}

#[test]
fn a_window_of_zero_for_long() {
    let end = connection(EXCHANGE, "1 C ack win=0\n3 C ack");
    let lasted = Duration::from_secs(2);
    assert_eq!(end.findings, [Finding::ZeroWindow { side: Side::Client, lasted }]);
    assert_eq!(end.client_sent.zero_window, lasted);
    assert_eq!(connection(EXCHANGE, "1 C ack win=0\n1.01 C ack").findings, []);
}

#[test]
fn icmp_that_healed() {
    let end = connection(EXCHANGE, "1 S data 50\n1.01 S icmp host\n1.2 S data 50 seq=201\n1.3 C ack");
    assert_eq!((end.end.way, end.findings), (Way::Open, vec![Finding::IcmpHealed { count: 1 }]));
}

#[test]
fn fins_that_cross() {
    let crossed = connection(EXCHANGE, "1 S fin ack=101\n1.01 C fin ack=201\n1.1 S ack\n1.2 C ack");
    assert_eq!((crossed.end.way, crossed.findings), (Way::Normal, vec![Finding::SimultaneousClose]));
}

/// A session whose handshake is not in the trace: two records show that it is TLS.
const TLS: &str = "0.1 C data 105 record=23\n0.2 S data 205 record=23\n0.3 C data 105 record=23\n\
     0.4 S data 205 record=23\n0.5 C ack\n";

fn session(script: &str) -> (Way, Vec<Finding>) {
    let end = connection(&format!("{OPEN}{TLS}"), script);
    assert!(end.tls.is_some());
    (end.end.way, end.findings)
}

#[test]
fn close_notify_that_meets_a_reset() {
    let alerts = "1 S data 31 record=21\n1.1 S fin\n1.2 C ack\n2 C data 31 record=21\n";
    let word = vec![Finding::CloseNotifyReset { by: Side::Server }];
    assert_eq!(session(&format!("{alerts}2.1 S rst")), (Way::Reset, word.clone()));
    assert_eq!(session(&format!("{alerts}2.01 C fin\n2.1 S rst\n2.2 S rst")), (Way::Normal, word));
    let acknowledged = format!("{alerts}2.01 C fin\n2.1 S ack");
    assert_eq!(session(&acknowledged), (Way::Normal, vec![]));
}

#[test]
fn data_that_meets_a_reset_is_more() {
    let (way, findings) = session("1 S data 31 record=21\n1.1 S fin\n2 C data 105 record=23\n2.1 S rst");
    assert_eq!(way, Way::Reset);
    assert!(findings.contains(&Finding::DataAfterClose { closed: Side::Server, bytes: 105 }), "{findings:?}");
    assert!(!findings.contains(&Finding::CloseNotifyReset { by: Side::Server }));
}

#[test]
fn no_close_notify() {
    let (_, findings) = session("1 S fin\n1.1 C data 31 record=21\n1.2 C fin\n1.3 S ack");
    assert_eq!(findings, [Finding::NoCloseNotify { side: Side::Server }]);
    let (way, findings) = session("9 S rstack");
    assert_eq!((way, findings), (Way::Reset, vec![Finding::NoCloseNotify { side: Side::Server }]));
}

#[test]
fn a_record_that_is_cut() {
    let (_, findings) =
        session("1 S data 50 record=23:900\n1.1 S fin\n1.2 C data 31 record=21\n1.3 C fin\n1.4 S ack");
    let words = [Finding::NoCloseNotify { side: Side::Server }, Finding::CutInRecord { side: Side::Server }];
    assert_eq!(findings, words);
    assert_eq!(session("1 S data 50 record=23:900").1, [], "it may go on");
}

#[test]
fn an_alert_is_named() {
    let hello = "0.1 C data 105 record=22\n0.2 S data 7 record=21\n0.3 S fin\n0.4 C fin\n0.5 S ack";
    let end = connection(OPEN, hello);
    assert_eq!(end.findings, [Finding::Alert { side: Side::Server, description: Some(40) }]);
}
