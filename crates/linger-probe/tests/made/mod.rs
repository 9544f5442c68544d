//! Connections made by hand, as an analyser would find them.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::net::SocketAddr;
use std::time::Duration;

use linger_probe::read::Tally;
use linger_probe::read::model::{Reading, Source};
use linger_wire::decode::IcmpKind;
use linger_wire::trace::{
    Asked, Cause, Connection, Doubt, End, Finding, Opening, Reset, Roles, Sent, Sign, Silence, SynAnswer,
    Tls, TlsSide, Unreachable, Way,
};
use linger_wire::{Event, Part, Side};

/// 2025-11-24T16:00:00Z.
pub(crate) const BEGIN: Duration = Duration::from_secs(1_764_000_000);

pub(crate) const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 443);

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A connection that ended normally: a request, a response, a FIN of the server and one of the client. It
/// begins `number` seconds after [`BEGIN`].
pub(crate) fn normal(number: u64) -> Connection {
    let first_at = BEGIN + Duration::from_secs(number);
    let client = SocketAddr::from(([198, 51, 100, (number % 250) as u8], 50_000 + (number % 10_000) as u16));
    let fin = |at, bytes| Sent {
        bytes,
        fin_at: Some(first_at + ms(at)),
        fin_acknowledged: true,
        ..Sent::default()
    };
    Connection {
        number,
        client,
        server: SERVER.into(),
        roles: Roles::Handshake,
        opening: Opening::Complete,
        first_at,
        last_at: first_at + ms(5),
        packets: 10,
        client_sent: fin(5, 120),
        server_sent: fin(3, 2048),
        unanswered: false,
        last_status: Some(200),
        tls: None,
        end: End {
            way: Way::Normal,
            by: Some(Side::Server),
            at: first_at + ms(5),
            closed_first: Some(Side::Server),
            reset: None,
            icmp: None,
            silence: None,
            signs: Vec::new(),
        },
        findings: Vec::new(),
        doubts: Vec::new(),
        ladder: ladder(
            client,
            first_at,
            &[
                (0, Side::Client, Part::Syn),
                (1, Side::Server, Part::SynAck),
                (1, Side::Client, Part::Data(120)),
                (3, Side::Server, Part::Data(2048)),
                (3, Side::Server, Part::Fin),
                (5, Side::Client, Part::Fin),
            ],
        ),
    }
}

pub(crate) fn ladder(client: SocketAddr, begin: Duration, events: &[(u64, Side, Part)]) -> Vec<Event> {
    let event = |&(at, side, part): &(u64, Side, Part)| Event {
        connection: 0,
        client,
        at: begin + ms(at),
        side,
        parts: vec![part],
    };
    events.iter().map(event).collect()
}

/// The same, which ended in another way.
pub(crate) fn ended(number: u64, way: Way, by: Side) -> Connection {
    let mut connection = normal(number);
    connection.end.way = way;
    connection.end.by = Some(by);
    connection.end.closed_first = None;
    for sent in [&mut connection.client_sent, &mut connection.server_sent] {
        (sent.fin_at, sent.fin_acknowledged) = (None, false);
    }
    connection
}

pub(crate) fn reset(number: u64, by: Side, cause: Cause, while_sending: bool, unread: u64) -> Connection {
    let mut connection = ended(number, Way::Reset, by);
    connection.end.reset = Some(Reset { by, cause, while_sending, unread });
    connection.ladder.truncate(4);
    let end = ladder(connection.client, connection.first_at, &[(5, by, Part::Rst)]);
    connection.ladder.extend(end);
    connection
}

pub(crate) fn silence(number: u64, of: Side, asked_by: Asked) -> Connection {
    let mut connection = ended(number, Way::Timeout, of);
    connection.end.silence = Some(Silence { of, asked_by, attempts: 6, lasted: Duration::from_secs(63) });
    connection.server_sent.unacknowledged = 1024;
    if asked_by == Asked::Syn {
        connection.opening = Opening::Unanswered;
        (connection.client_sent, connection.server_sent) = (Sent::default(), Sent::default());
        connection.last_status = None;
    }
    connection
}

pub(crate) fn icmp(number: u64, kind: IcmpKind) -> Connection {
    let mut connection = ended(number, Way::Icmp, Side::Server);
    let from = [203, 0, 113, 9].into();
    connection.end.icmp = Some(Unreachable { kind, from, about: Side::Client, count: 3 });
    connection
}

pub(crate) fn middlebox(number: u64, signs: Vec<Sign>) -> Connection {
    let mut connection = reset(number, Side::Server, Cause::Abort, false, 0);
    connection.end.way = Way::Middlebox;
    connection.end.signs = signs;
    connection
}

pub(crate) fn with(mut connection: Connection, finding: Finding) -> Connection {
    connection.findings.push(finding);
    connection
}

/// The demo's loss: an upload that was refused, and closed with it unread.
pub(crate) fn cut_upload(number: u64) -> Connection {
    let mut connection = reset(number, Side::Server, Cause::UnreadData, true, 143 << 10);
    connection.last_status = Some(413);
    connection.client_sent.bytes = 900 << 10;
    connection.server_sent = Sent { bytes: 2048, unacknowledged: 2048, ..Sent::default() };
    with(
        connection,
        Finding::ResetWhileReceiving { by: Side::Server, unread: 143 << 10, late: 0, lost: 2048 },
    )
}

pub(crate) fn tls(mut connection: Connection, server_name: &str) -> Connection {
    let side = TlsSide {
        has_data: true,
        alerts: 1,
        last_alert: Some(0),
        ends_with_alert: true,
        ..TlsSide::default()
    };
    connection.tls = Some(Tls {
        version: Some(0x0304),
        server_name: Some(server_name.to_owned()),
        client: side,
        server: side,
    });
    connection
}

/// One of each finding. `which` names them, so that the compiler asks for a new one.
pub(crate) fn every_finding() -> Vec<Finding> {
    let (side, by, closed) = (Side::Server, Side::Server, Side::Server);
    let lasted = Duration::from_secs(60);
    vec![
        Finding::ResetWhileReceiving { by, unread: 143 << 10, late: 0, lost: 2 << 10 },
        Finding::CloseNotifyReset { by },
        Finding::DataAfterClose { closed, bytes: 64 << 10 },
        Finding::TimeWaitAssassination { by },
        Finding::PortInTimeWait { since: ms(2500), answer: SynAnswer::Challenge },
        Finding::FinWait2 { side, lasted, open: true },
        Finding::CloseWait { side, lasted },
        Finding::KeepAliveRace { bytes: 120, idle: Duration::from_secs(5) },
        Finding::NoCloseNotify { side },
        Finding::CutInRecord { side },
        Finding::Alert { side, description: Some(116) },
        Finding::ZeroWindow { side, lasted },
        Finding::IcmpHealed { count: 2 },
        Finding::SimultaneousClose,
    ]
}

/// The place of a finding in [`every_finding`].
pub(crate) fn which(finding: &Finding) -> usize {
    match finding {
        Finding::ResetWhileReceiving { .. } => 0,
        Finding::CloseNotifyReset { .. } => 1,
        Finding::DataAfterClose { .. } => 2,
        Finding::TimeWaitAssassination { .. } => 3,
        Finding::PortInTimeWait { .. } => 4,
        Finding::FinWait2 { .. } => 5,
        Finding::CloseWait { .. } => 6,
        Finding::KeepAliveRace { .. } => 7,
        Finding::NoCloseNotify { .. } => 8,
        Finding::CutInRecord { .. } => 9,
        Finding::Alert { .. } => 10,
        Finding::ZeroWindow { .. } => 11,
        Finding::IcmpHealed { .. } => 12,
        Finding::SimultaneousClose => 13,
    }
}

pub(crate) fn every_sign() -> Vec<Sign> {
    vec![
        Sign::Ttl { found: 252, usual: 64 },
        Sign::Id { found: 7, last: 4711 },
        Sign::Sequence { off_by: 100 },
        Sign::Sequence { off_by: -1 },
        Sign::GoesOn,
        Sign::BothSides,
        Sign::AnswersNothing,
        Sign::TooSoon { after: Duration::from_micros(90), usual: ms(20) },
        Sign::NoTimestamps,
    ]
}

pub(crate) fn every_doubt() -> Vec<Doubt> {
    vec![
        Doubt::Cut(5000),
        Doubt::Lost { side: Side::Server, bytes: 1448 },
        Doubt::OneDirection(Side::Client),
        Doubt::NoSyn,
        Doubt::Offload { largest: 65_160 },
        Doubt::Wrapped(Side::Server),
        Doubt::EndsOpen,
        Doubt::EndsInTimeWait,
        Doubt::TimeGoesBack,
    ]
}

/// A bit of everything: mostly normal connections, and each kind, finding, sign and doubt.
pub(crate) fn mixed() -> Vec<Connection> {
    let mut all: Vec<Connection> = (1..=60).map(normal).collect();
    let mut more = |connection: fn(u64) -> Connection| all.push(connection(all.len() as u64 + 1));
    for _ in 0..3 {
        more(cut_upload);
    }
    more(|n| with(ended(n, Way::HalfClosed, Side::Server), every_finding()[5]));
    more(|n| reset(n, Side::Client, Cause::UnreadData, true, 4096));
    more(|n| reset(n, Side::Server, Cause::Abort, false, 0));
    more(|n| reset(n, Side::Client, Cause::Abort, false, 0));
    more(|n| {
        let mut connection = reset(n, Side::Server, Cause::Refused, false, 0);
        (connection.opening, connection.last_status) = (Opening::Refused, None);
        (connection.client_sent, connection.server_sent) = (Sent::default(), Sent::default());
        connection
    });
    more(|n| silence(n, Side::Server, Asked::Syn));
    more(|n| silence(n, Side::Client, Asked::Retransmission));
    more(|n| silence(n, Side::Client, Asked::Keepalive));
    more(|n| silence(n, Side::Client, Asked::WindowProbe));
    more(|n| icmp(n, IcmpKind::HostUnreachable));
    more(|n| middlebox(n, every_sign()));
    more(|n| ended(n, Way::Open, Side::Server));
    let first = all.len() as u64 + 1;
    all.extend((first..).zip(every_finding()).map(|(n, finding)| with(tls(normal(n), "a.example"), finding)));
    let last = all.len() as u64 + 1;
    let mut doubtful = normal(last);
    (doubtful.doubts, doubtful.roles, doubtful.opening) = (every_doubt(), Roles::Guess, Opening::NotSeen);
    all.push(doubtful);
    let hostile = tls(cut_upload(last + 1), HOSTILE);
    all.push(hostile);
    all
}

/// A server name that would run on a terminal or in a browser.
pub(crate) const HOSTILE: &str = "a\u{1b}[31m<script>alert(1)</script>\u{202e}.example";

pub(crate) fn source() -> Source {
    Source {
        name: "mixed.pcapng".to_owned(),
        bytes: 1 << 20,
        packets: 1000,
        fragments: 2,
        others: 30,
        damaged: 1,
        unknown: 3,
        dropped: 4,
        trouble: Some("it is cut off within the packet or block at byte 1048570".to_owned()),
    }
}

/// The sums of [`mixed`].
pub(crate) fn reading() -> Reading {
    let mut tally = Tally::default();
    for connection in mixed() {
        tally.add(&connection);
    }
    tally.finish(vec![source()])
}
