//! A made-up run: three servers, nine scenarios, every verdict, every ending and every kind of event.
#![allow(dead_code, reason = "each test crate uses its part")]

use std::time::{Duration, UNIX_EPOCH};

use linger_probe::model::load::{KindReport, LoadReport, Quantile, StatusCount, Times, Unopened};
use linger_probe::model::{
    Attempt, End, Event, Gap, Ladders, Report, Row, Severity, Side, TargetReport, Verdict, What,
};
use linger_probe::remedy::advise;

/// A name that contains markup and a terminal's escape sequence, which must be made harmless.
pub(crate) const HOSTILE: &str = "<script>alert(\"1\")</script>\u{1b}[31m & co";

const SCENARIOS: [(&str, &str, &str); 9] = [
    ("plain.keeps_alive", "Two requests on one connection", "RFC 9112 §9.3"),
    (
        "early.stops_at_error",
        "Upload of 8 MiB that the server refuses at once, by a client that stops at the first write error",
        "RFC 9112 §9.6",
    ),
    ("early.reads_meanwhile", "Refused upload, by a client that reads while it writes", "RFC 9112 §9.5"),
    (
        "early.reads_later",
        "Refused upload, by a client that reads after it wrote everything",
        "RFC 9112 §9.6",
    ),
    ("close.pipelined", "A request behind the one that closes the connection", "RFC 9112 §9.6"),
    ("close.half", "Half-close after the request", "RFC 9112 §9.6"),
    ("tls.close_notify", "The end of a response without a length", "RFC 8446 §6.1"),
    ("tls.handshake_alert", "A handshake with no shared protocol version", "RFC 8446 §6.2"),
    ("idle.release", "An idle connection, and how long it is kept", "RFC 9112 §9.5"),
];

/// The scenario that passes on Linux only, unless it fails.
pub(crate) const PASSES_ON_LINUX: usize = 5;

pub(crate) fn report() -> Report {
    let target = |name: &str, url: &str, failing: &[usize], not_applicable: &[usize]| TargetReport {
        name: name.to_owned(),
        url: url.to_owned(),
        server: failing.contains(&1).then(|| format!("nginx/1.22.1 {HOSTILE}")),
        ladders: Ladders::SocketEvents,
        rows: (0..SCENARIOS.len()).map(|index| row(index, failing, not_applicable)).collect(),
        lost: None,
        remedies: Vec::new(),
    };
    let mut report = Report {
        version: "0.1.0",
        started: UNIX_EPOCH + Duration::from_millis(1_764_000_000_123),
        load: (0..8).map(load).collect(),
        restarts: Vec::new(),
        gaps: vec![Gap {
            name: HOSTILE.to_owned(),
            why: "not installed: there is no such thing in PATH".to_owned(),
        }],
        targets: vec![
            target("127.0.0.1:8080", "http://127.0.0.1:8080/upload", &[1, 3, 4], &[6, 7]),
            target(
                "server-with-linger.internal.example",
                "https://server-with-linger.internal.example/",
                &[],
                &[8],
            ),
            target(HOSTILE, "https://[::1]:8443/?<b>", &[1, 2, 6, 7], &[]),
        ],
        ..Report::default()
    };
    report.targets.iter_mut().for_each(|target| advise(target, None));
    report
}

/// More servers than a drawing has line styles, one of them without any request.
fn load(index: u64) -> LoadReport {
    let times = |micros: u64| Times {
        count: 1000,
        quantiles: [0.0, 0.5, 0.9, 0.99, 0.999, 1.0]
            .into_iter()
            .zip(1..)
            .map(|(quantile, step)| Quantile { quantile, time: Duration::from_micros(micros * step * step) })
            .collect(),
    };
    let kind = |kind, complete| KindReport {
        kind,
        requests: 1000,
        complete,
        statuses: vec![StatusCount { status: 200, count: complete }],
        reset: 1000 - complete,
        ended: 1000,
        ended_in_reset: 1000 - complete,
        announced: index.is_multiple_of(2).then_some(complete),
        latency: if complete > 0 { times(100 * (index + 1)) } else { Times::default() },
        latency_corrected: if complete > 0 { times(110 * (index + 1)) } else { Times::default() },
        end: if complete > 0 { times(5) } else { Times::default() },
        ..KindReport::default()
    };
    LoadReport {
        name: if index == 0 { HOSTILE.to_owned() } else { format!("server number {index}") },
        url: "https://127.0.0.1:8443/".to_owned(),
        plan: "closed loop, 50 connections, one request on each".to_owned(),
        took: Duration::from_secs(10),
        kinds: vec![kind("get", if index == 7 { 0 } else { 1000 }), kind("early413", 125 * index)],
        connections: 2000,
        unopened: (index == 3).then(|| Unopened { connections: 7, why: HOSTILE.to_owned() }),
        resumed: Some(0),
        unsent: index,
        held: Some(Duration::from_micros(300)),
        probe_cpu: Some(Duration::from_micros(70)),
        server_cpu: None,
    }
}

/// Every kind of event, from both sides where that is possible.
pub(crate) fn every_event() -> Vec<Event> {
    use Side::{Client, Server};
    [
        (0, Client, What::Connect),
        (310, Server, What::Connect),
        (2_900, Server, What::Handshake),
        (3_100, Client, What::Data(312)),
        (3_350, Client, What::Data(1 << 20)),
        (3_900, Server, What::Data(187)),
        (4_050, Server, What::CloseNotify),
        (4_060, Server, What::Fin),
        (4_400, Client, What::Data(3_407_872)),
        (31_000, Server, What::Alert("unexpected_message_with_a_very_long_name".to_owned())),
        (31_200, Server, What::Reset),
        (31_900, Client, What::WriteFailed(4_456_448)),
        (32_000, Client, What::CloseNotify),
        (32_100, Client, What::Fin),
        (32_600, Client, What::Release),
        (2_032_700, Server, What::Release),
    ]
    .map(|(micros, side, what)| Event { at: Duration::from_micros(micros), side, what })
    .into()
}

fn row(index: usize, failing: &[usize], not_applicable: &[usize]) -> Row {
    let (scenario, title, clause) = SCENARIOS[index];
    let (verdict, reason) = if failing.contains(&index) {
        let reason = "In 4 of 10 tries the client never saw the response: the server closed its socket with \
                      unread data in it, and the reset overtook the 413.";
        (Verdict::Fail, reason)
    } else if not_applicable.contains(&index) {
        (Verdict::NotApplicable, "The server answered nothing early, so there was nothing to lose.")
    } else if index == PASSES_ON_LINUX {
        (Verdict::PassOnLinux, "Each response arrived, and in 3 of 10 tries a reset followed it.")
    } else {
        (Verdict::Pass, "Each response arrived whole.")
    };
    let severity = match index % 4 {
        0 => Severity::Harsh,
        1 => Severity::LosesResponses,
        2 => Severity::BreaksProtocol,
        _ => Severity::CanBeHeldOpen,
    };
    let attempts: Vec<Attempt> = match verdict {
        Verdict::NotApplicable => vec![],
        _ => (0..10).map(|number| attempt(number, verdict)).collect(),
    };
    let ladder = match verdict {
        Verdict::NotApplicable => vec![],
        Verdict::Fail => every_event(),
        Verdict::Pass | Verdict::PassOnLinux => whole_response(),
    };
    Row { scenario, title, clause, severity, verdict, reason: reason.to_owned(), attempts, ladder }
}

fn attempt(number: u64, verdict: Verdict) -> Attempt {
    let lost = verdict == Verdict::Fail && number.is_multiple_of(3);
    let whole = if lost { None } else { Some(Duration::from_micros(900 + number * number * 210)) };
    Attempt {
        passed: !lost,
        fault: lost.then(|| "the response was cut".to_owned()),
        saw: if lost { "reset after 4.2 MiB, no response" } else { "413, whole, then FIN" }.to_owned(),
        status: whole.map(|_| 413),
        body_bytes: if lost { 0 } else { 187 },
        complete: !lost,
        end: match number {
            _ if !lost => End::Fin,
            0 => End::Reset,
            3 => End::Alert("decode_error".to_owned()),
            6 => End::TimedOut,
            _ => End::Failed("no route to <host>".to_owned()),
        },
        reset_later: number == 5,
        announced: number.is_multiple_of(2).then_some(!lost),
        latency: whole,
        release: whole.map(|_| Duration::from_millis(1_000 + number % 4)),
    }
}

fn whole_response() -> Vec<Event> {
    use Side::{Client, Server};
    [
        (0, Client, What::Connect),
        (280, Server, What::Connect),
        (450, Client, What::Data(402)),
        (1_300, Server, What::Data(187)),
        (1_310, Server, What::Fin),
        (2_100, Client, What::Fin),
        (2_400, Client, What::Release),
    ]
    .map(|(micros, side, what)| Event { at: Duration::from_micros(micros), side, what })
    .into()
}
