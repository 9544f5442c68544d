//! Each way of ending, finding, cause, sign and doubt has its kind and its words.

use std::time::Duration;

use linger_probe::model;
use linger_probe::read::model::{DoubtKind, DoubtReport};
use linger_probe::read::{Kind, Rule, Severity, Verdict, judge};
use linger_wire::Side;
use linger_wire::decode::IcmpKind;
use linger_wire::trace::{
    Asked, Cause, Connection, Doubt, Finding, Opening, Sent, SynAnswer, Tls, TlsSide, Way,
};

use crate::made::{
    cut_upload, ended, every_doubt, every_finding, every_sign, icmp, middlebox, ms, normal, reset, silence,
    tls, which, with,
};

const SERVER: model::Side = model::Side::Server;
const CLIENT: model::Side = model::Side::Client;

/// The only verdict on this connection.
fn only(connection: &Connection) -> Verdict {
    let verdicts = judge(connection);
    assert_eq!(verdicts.len(), 1, "{verdicts:#?}");
    verdicts.into_iter().next().expect("one")
}

fn assert_says(connection: &Connection, kind: Kind, rule: Rule, by: model::Side, reason: &str) {
    let verdict = only(connection);
    assert_eq!(Kind::of(connection), kind, "{reason}");
    assert_eq!((verdict.rule, verdict.side), (rule, by), "{reason}");
    assert_eq!(verdict.reason, reason);
}

#[test]
fn a_normal_or_open_connection_has_no_verdict() {
    for (connection, kind) in [(normal(1), Kind::Normal), (ended(1, Way::Open, Side::Server), Kind::Open)] {
        assert_eq!((Kind::of(&connection), judge(&connection)), (kind, Vec::new()));
    }
}

#[test]
fn keys_are_what_json_says_and_every_kind_has_words() {
    for (index, kind) in Kind::ALL.into_iter().enumerate() {
        assert_eq!(kind.index(), index);
        assert_eq!(serde_json::to_value(kind).expect("a string"), kind.key());
        assert_eq!(Kind::of_key(&kind.key().replace('_', "-")), Some(kind));
        assert!(!kind.title().is_empty() && !kind.short().is_empty() && kind.meaning().ends_with('.'));
    }
    for rule in Rule::ALL {
        assert_eq!(serde_json::to_value(rule).expect("a string"), rule.key());
        for side in [SERVER, CLIENT] {
            assert!(!rule.title(side).ends_with('.'), "{}", rule.title(side));
        }
    }
    assert_eq!(Kind::of_key("resets"), None);
}

#[test]
fn the_servers_reset_of_an_upload_says_what_it_took() {
    let (kind, rule) = (Kind::ServerResetWhileReceiving, Rule::ResetWhileReceiving);
    let reason =
        "the server closed with about 143 KiB of upload unread: its RST took 2 KiB of the 413 response";
    assert_says(&cut_upload(1), kind, rule, SERVER, reason);
    let verdict = only(&cut_upload(1));
    assert_eq!(verdict.severity, Severity::LosesResponses);
    assert!(verdict.clause.contains("RFC 9112 §9.6") && verdict.remedy.contains("lingering_close"));

    let resets = |cause, sending, unread| reset(1, Side::Server, cause, sending, unread);
    let late = |unread, late, lost| {
        let mut connection = resets(Cause::AfterFin, true, unread);
        connection.server_sent.fin_at = Some(connection.first_at);
        with(connection, Finding::ResetWhileReceiving { by: Side::Server, unread, late, lost })
    };
    let acknowledged =
        "2 KiB of the 200 response had been acknowledged, which does not say that they were read";
    let reason = format!(
        "the server closed while the client was sending, and 64 KiB more came too late: {acknowledged}"
    );
    assert_says(&late(0, 64 << 10, 0), kind, rule, SERVER, &reason);
    let mut silent = resets(Cause::Abort, true, 0);
    (silent.server_sent, silent.last_status) = (Sent::default(), None);
    silent.client_sent.bytes = 64 << 10;
    let reason = "the server reset the connection while the client was sending: no response was sent";
    assert_says(&silent, kind, rule, SERVER, reason);
    // Whether a short request was read before it was answered by a reset does not show.
    let mut refused = resets(Cause::UnreadData, true, 400);
    (refused.server_sent, refused.last_status, refused.unanswered) = (Sent::default(), None, true);
    refused.client_sent = Sent { bytes: 400, ..Sent::default() };
    let unread = Finding::ResetWhileReceiving { by: Side::Server, unread: 400, late: 0, lost: 0 };
    let reason = "the server reset the connection instead of an answer to 400 B of the client";
    assert_says(&with(refused, unread), Kind::ServerReset, Rule::ResetUnfinished, SERVER, reason);
}

#[test]
fn the_clients_reset_of_a_response_is_harsh() {
    let connection = reset(1, Side::Client, Cause::UnreadData, true, 4096);
    let reason = "the client closed with about 4 KiB of response unread";
    assert_says(&connection, Kind::ClientResetWhileReceiving, Rule::ResetWhileReceiving, CLIENT, reason);
    assert_eq!(only(&connection).severity, Severity::Harsh);
}

#[test]
fn each_cause_of_a_quiet_reset_has_words() {
    let words = [
        (Cause::AnswersLateSegment, "in the form of an answer for a socket that is gone"),
        (Cause::AfterFin, "after its own FIN"),
        (Cause::UnreadData, "with data unread"),
        (Cause::Abort, "without a FIN (an abort, a killed process, or a reset on the way)"),
        (Cause::GaveUp, "after probes without an answer"),
        (Cause::InTimeWait, "after both had closed"),
    ];
    for (cause, what) in words {
        let connection = reset(1, Side::Server, cause, false, 0);
        let reason = format!("the server reset the connection {what}");
        assert_says(&connection, Kind::ServerReset, Rule::Abort, SERVER, &reason);
        assert_eq!(only(&connection).severity, Severity::Harsh);
        let mut asked = connection.clone();
        asked.unanswered = true;
        let reason = format!("{reason}: the client's last request has no answer");
        assert_says(&asked, Kind::ServerReset, Rule::ResetUnfinished, SERVER, &reason);
        assert_eq!(only(&asked).severity, Severity::LosesResponses);
        let client = reset(1, Side::Client, cause, false, 0);
        assert_eq!((Kind::of(&client), only(&client).side), (Kind::ClientReset, CLIENT));
    }
    let mut lossy = reset(1, Side::Server, Cause::Abort, false, 0);
    lossy.server_sent.unacknowledged = 512;
    assert!(only(&lossy).reason.ends_with(": 512 B of its response were not acknowledged"), "{lossy:?}");
    let mut refused = reset(1, Side::Server, Cause::Refused, false, 0);
    refused.opening = Opening::Refused;
    let reason = "the SYN to 192.0.2.1:443 was answered by a RST";
    assert_says(&refused, Kind::Refused, Rule::Refused, SERVER, reason);
    let mut challenged = reset(1, Side::Client, Cause::Abort, false, 0);
    challenged.opening = Opening::Challenged;
    let reason =
        "the SYN was answered by an ACK of an older connection of port 50001, which the server still has";
    assert_says(&challenged, Kind::Refused, Rule::Challenged, SERVER, reason);
}

#[test]
fn each_way_of_asking_in_vain_has_words() {
    let said = |asked, kind, rule, reason: &str| {
        assert_says(&silence(1, Side::Client, asked), kind, rule, CLIENT, reason);
    };
    let reason = "the client answered none of the server's 6 retransmissions of 1 KiB in 63 s";
    said(Asked::Retransmission, Kind::Timeout, Rule::Timeout, reason);
    let mut fin = silence(1, Side::Client, Asked::Retransmission);
    fin.server_sent.unacknowledged = 0;
    let reason = "the client answered none of the server's 6 retransmissions of its FIN in 63 s";
    assert_says(&fin, Kind::Timeout, Rule::FinTimeout, CLIENT, reason);
    let reason = "the client answered none of the server's 6 SYN-ACKs in 63 s";
    assert_says(&silence(1, Side::Client, Asked::Syn), Kind::NoAnswer, Rule::NoAnswer, CLIENT, reason);
    let reason = "the client answered none of the server's 6 keep-alive probes in 63 s";
    said(Asked::Keepalive, Kind::Timeout, Rule::KeepAliveTimeout, reason);
    let reason = "the client's window was zero, and it answered none of 6 probes in 63 s";
    said(Asked::WindowProbe, Kind::Timeout, Rule::WindowProbeTimeout, reason);
    let connection = silence(1, Side::Server, Asked::Syn);
    let reason = "192.0.2.1:443 answered none of 6 SYNs in 63 s";
    assert_says(&connection, Kind::NoAnswer, Rule::NoAnswer, SERVER, reason);
}

#[test]
fn icmp_errors_and_signs_are_named_and_prove_nothing() {
    let reason =
        "203.0.113.9 said \"host unreachable\" to the client (3 ICMP errors), and nothing came afterwards";
    assert_says(&icmp(1, IcmpKind::HostUnreachable), Kind::Icmp, Rule::IcmpEnd, SERVER, reason);
    for kind in [
        IcmpKind::NetworkUnreachable,
        IcmpKind::ProtocolUnreachable,
        IcmpKind::PortUnreachable,
        IcmpKind::PacketTooBig,
        IcmpKind::Prohibited,
        IcmpKind::TimeExceeded,
        IcmpKind::ParameterProblem,
        IcmpKind::Other(200, 1),
    ] {
        only(&icmp(1, kind));
    }
    for sign in every_sign() {
        let connection = middlebox(1, vec![sign]);
        let verdict = only(&connection);
        assert_eq!((Kind::of(&connection), verdict.rule), (Kind::Middlebox, Rule::MiddleboxSigns));
        let start = "a RST in the server's name has signs of a device on the way, which are no proof: ";
        let sign = verdict.reason.strip_prefix(start).unwrap_or_else(|| panic!("{}", verdict.reason));
        assert!(sign.len() > 20, "{sign}");
    }
}

#[test]
fn each_finding_has_words() {
    let words = [
        (
            "the server closed with about 143 KiB of upload unread: its RST took 2 KiB of the 200 response",
            Severity::LosesResponses,
        ),
        ("close_notify was answered by a RST of the server: harmless, but visible", Severity::Harmless),
        (
            "64 KiB of the client came after the server had closed, and were answered by a RST: 2 KiB of the 200 response \
          had been acknowledged, which does not say that they were read",
            Severity::LosesResponses,
        ),
        ("a RST of the server came in TIME_WAIT: assassination", Severity::Harsh),
        (
            "the SYN was answered by a challenge ACK, because the last connection of port 50001 is in TIME_WAIT (it ended \
          2.5 s before), and the connection came later",
            Severity::Harsh,
        ),
        (
            "FIN_WAIT2 for 60 s: the server had closed and waited for the client's FIN: the client had not closed when the \
          trace ended",
            Severity::CanBeHeldOpen,
        ),
        (
            "CLOSE_WAIT: the server acknowledged the client's FIN and did not close in the 60 s until the trace ended",
            Severity::CanBeHeldOpen,
        ),
        (
            "keep-alive race: a request of 120 B crossed the server's FIN after 5 s without traffic, and was not answered",
            Severity::LosesResponses,
        ),
        ("the server ended TLS without close_notify: its end looks like a cut", Severity::BreaksProtocol),
        ("the server's response ends within a TLS record", Severity::LosesResponses),
        ("the server sent the TLS alert certificate_required", Severity::LosesResponses),
        ("the server announced a window of zero for 60 s: it did not read", Severity::CanBeHeldOpen),
        ("the connection went on in spite of 2 ICMP errors", Severity::Harmless),
        ("both sides sent their FIN before they had the other's", Severity::Harmless),
    ];
    let findings = every_finding();
    assert_eq!(findings.len(), words.len());
    for (index, (finding, (reason, severity))) in findings.into_iter().zip(words).enumerate() {
        assert_eq!(which(&finding), index);
        let verdict = only(&with(normal(1), finding));
        assert_eq!((verdict.reason.as_str(), verdict.severity), (reason, severity));
        assert!(verdict.clause.starts_with("RFC ") && verdict.remedy.ends_with('.'), "{verdict:?}");
    }
}

#[test]
fn a_port_in_time_wait_is_worse_if_no_connection_came() {
    for (answer, what) in [
        (SynAnswer::Reset, "the SYN was answered by a RST"),
        (SynAnswer::Challenge, "the SYN was answered by a challenge ACK"),
        (SynAnswer::Silence, "the SYN was not answered"),
    ] {
        let mut connection = silence(1, Side::Server, Asked::Syn);
        connection.findings.push(Finding::PortInTimeWait { since: ms(900), answer });
        let verdict = only(&connection);
        assert_eq!((verdict.rule, verdict.severity), (Rule::PortInTimeWait, Severity::LosesResponses));
        assert!(verdict.reason.starts_with(what), "{}", verdict.reason);
        assert!(verdict.reason.ends_with("(it ended 900 ms before)"), "{}", verdict.reason);
    }
}

#[test]
fn an_alert_that_ends_nothing_is_harmless() {
    let alert = |description, has_data| {
        let mut connection = tls(normal(1), "a.example");
        connection.tls.as_mut().expect("TLS").server.has_data = has_data;
        only(&with(connection, Finding::Alert { side: Side::Server, description }))
    };
    for (description, has_data, rule) in [
        (Some(112), true, Rule::WarningAlert),
        (Some(112), false, Rule::Alert),
        (Some(90), false, Rule::WarningAlert),
        (Some(40), true, Rule::Alert),
        (None, true, Rule::EncryptedAlert),
    ] {
        assert_eq!(alert(description, has_data).rule, rule, "{description:?}");
    }
    assert_eq!(alert(Some(112), true).reason, "the server sent the TLS alert unrecognized_name, a warning");
    assert_eq!(alert(Some(112), true).severity, Severity::Harmless);
}

#[test]
fn only_a_close_without_any_answer_counts_as_unanswered() {
    let mut connection = normal(1);
    connection.unanswered = true;
    assert_eq!(judge(&connection), Vec::new(), "the last message of many protocols needs no answer");
    connection.server_sent.bytes = 0;
    let reason = "the server closed without any answer to 120 B of the client";
    assert_says(&connection, Kind::Normal, Rule::ClosedUnanswered, SERVER, reason);
    let mut client_first = connection.clone();
    client_first.end.closed_first = Some(Side::Client);
    let reason = "the client closed 5 ms after the connection began, and had no answer to its 120 B";
    assert_says(&client_first, Kind::Normal, Rule::ClosedUnanswered, CLIENT, reason);
    connection.server_sent.missing = 100;
    assert_eq!(judge(&connection), Vec::new(), "the answer may not have been captured");
    let mut encrypted = tls(normal(1), "a.example");
    encrypted.unanswered = true;
    assert_eq!(judge(&encrypted), Vec::new());
    encrypted.tls.as_mut().expect("TLS").server.has_data = false;
    assert_eq!(only(&encrypted).rule, Rule::ClosedUnanswered);
}

#[test]
fn the_same_thing_is_said_once() {
    let mut connection = cut_upload(1);
    connection.findings.push(Finding::DataAfterClose { closed: Side::Server, bytes: 100 });
    assert_eq!(only(&connection).rule, Rule::ResetWhileReceiving);
    let mut half = ended(1, Way::HalfClosed, Side::Server);
    half.end.closed_first = Some(Side::Server);
    let reason = "the server closed, and the client had not closed when the trace ended";
    assert_says(&half, Kind::HalfClosed, Rule::HalfClosed, SERVER, reason);
    half.findings.push(Finding::CloseWait { side: Side::Client, lasted: ms(10) });
    assert_says(&half, Kind::HalfClosed, Rule::HalfClosed, SERVER, reason);
    let lasted = Duration::from_secs(60);
    half.findings.clear();
    half.findings.push(Finding::FinWait2 { side: Side::Server, lasted, open: true });
    half.findings.push(Finding::CloseWait { side: Side::Client, lasted });
    assert_eq!(only(&half).rule, Rule::CloseWait);
}

#[test]
fn a_reset_that_may_be_forged_is_not_its_claimed_senders() {
    let mut connection = middlebox(1, every_sign());
    connection.findings = every_finding()[..3].to_vec();
    assert_eq!(only(&connection).rule, Rule::MiddleboxSigns);
}

#[test]
fn a_race_is_no_loss_of_an_upload() {
    let mut connection = cut_upload(1);
    connection.findings.push(Finding::KeepAliveRace { bytes: 120, idle: ms(5000) });
    assert_eq!(only(&connection).rule, Rule::KeepAliveRace);
    connection.findings = vec![Finding::CloseNotifyReset { by: Side::Server }];
    assert_eq!(Kind::of(&connection), Kind::ServerReset, "the client sent an alert, and no data");
    assert_eq!(only(&connection).rule, Rule::CloseNotifyReset);
}

#[test]
fn a_client_that_left_without_close_notify_is_not_owed_one() {
    let none = |side| Finding::NoCloseNotify { side };
    let mut connection = with(with(normal(1), none(Side::Client)), none(Side::Server));
    for (first, severity) in [(Side::Client, Severity::Harmless), (Side::Server, Severity::BreaksProtocol)] {
        connection.end.closed_first = Some(first);
        let by_server = judge(&connection).into_iter().find(|verdict| verdict.side == SERVER).expect("one");
        assert_eq!((by_server.rule, by_server.severity), (Rule::NoCloseNotify, severity), "{first:?}");
    }
}

#[test]
fn an_alert_is_an_answer() {
    let mut connection = normal(1);
    (connection.unanswered, connection.server_sent.bytes) = (true, 800);
    let session = |last_alert, ends_with_alert| {
        let server = TlsSide { ends_with_alert, last_alert, alerts: 1, ..TlsSide::default() };
        let client = TlsSide { has_data: true, ..TlsSide::default() };
        Some(Tls { client, server, ..Tls::default() })
    };
    for (last, ends, is_lost) in
        [(None, true, false), (Some(116), true, false), (Some(0), true, true), (None, false, true)]
    {
        connection.tls = session(last, ends);
        let found = judge(&connection).iter().any(|verdict| verdict.rule == Rule::ClosedUnanswered);
        assert_eq!(found, is_lost, "{last:?}, {ends}");
    }
}

#[test]
fn the_worst_verdict_comes_first() {
    let mut connection = with(normal(1), Finding::SimultaneousClose);
    connection.findings.push(Finding::NoCloseNotify { side: Side::Server });
    connection.findings.push(Finding::CutInRecord { side: Side::Server });
    let severities: Vec<_> = judge(&connection).iter().map(|verdict| verdict.severity).collect();
    assert_eq!(severities, [Severity::LosesResponses, Severity::BreaksProtocol, Severity::Harmless]);
}

#[test]
fn each_doubt_says_what_is_not_known() {
    let doubts = every_doubt();
    let kinds: Vec<_> = doubts.iter().map(DoubtKind::of).collect();
    assert_eq!(kinds, DoubtKind::ALL);
    for doubt in &doubts {
        assert!(DoubtReport::from(doubt).what.len() > 20 && DoubtKind::of(doubt).meaning().ends_with('.'));
    }
    assert_eq!(DoubtReport::from(&Doubt::NoSyn).name, DoubtKind::NoSyn);
}
