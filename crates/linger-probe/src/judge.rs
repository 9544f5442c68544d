//! What one try comes to.

use std::net::SocketAddr;

use crate::connection::Ended;
use crate::model::{Attempt, End, Event, Side, What};
use crate::response::{self, Response};
use crate::run::Run;
use crate::scenario::{Expect, Scenario, Step};

/// A judged try: whether it went as expected, what was seen, and who sent what when. `None`: the server does nothing that
/// this could be told from.
pub(crate) struct Judged {
    pub(crate) attempt: Option<Attempt>,
    pub(crate) ladder: Vec<Event>,
    /// The client's own address, by which its packets are known.
    pub(crate) client: Option<SocketAddr>,
}

pub(crate) fn judge(scenario: &Scenario, run: Run) -> Judged {
    let Run { connection, answered, released, idle_ended } = run;
    let ended = connection.ended == Some(Ended::Fin);
    let reset = connection.trace.has(Side::Server, &What::Reset);
    let response = response::parse(&connection.received, ended).ok().flatten();
    // A client that stops at a failed write never gets to read.
    let gave_up = connection.write_failed && scenario.manner == crate::scenario::Manner::StopsAtError;
    let whole = response.is_some_and(|response| response.complete) && !gave_up;
    let end = match (&connection.alert, &connection.ended) {
        _ if reset && released.is_none() => End::Reset,
        (Some(alert), _) => End::Alert(alert.clone()),
        (None, Some(Ended::Fin)) => End::Fin,
        (None, Some(Ended::Reset)) => End::Reset,
        (None, Some(Ended::Failed(why))) => End::Failed(why.clone()),
        (None, None) => End::TimedOut,
    };
    let passed = !gave_up
        && match scenario.expect {
            Expect::Response => whole,
            Expect::ClientError => {
                whole && response.is_some_and(|response| (400..500).contains(&response.status))
            }
            Expect::CleanEnd => whole && end == End::Fin,
            Expect::CloseNotify => whole && connection.close_notify,
            Expect::Alert => connection.alert.is_some() || raw_alert(&connection.received).is_some(),
            Expect::GoAway => has_frame(&connection.received, GOAWAY),
            Expect::WebsocketClose => {
                ended && !reset && connection.received.windows(2).any(|bytes| bytes == [0x88, 0x02])
            }
            Expect::Release => whole && released.is_some(),
        };
    let idle = scenario.steps.contains(&Step::AwaitIdleEnd);
    let applies = !idle || idle_ended;
    let announced = connection.session().map(|_| connection.close_notify || connection.alert.is_some());
    let attempt = Attempt {
        passed,
        saw: saw(response, &end, gave_up, announced),
        status: response.map(|response| response.status),
        body_bytes: response.map_or(0, |response| response.body_bytes),
        complete: whole,
        end,
        announced,
        latency: answered,
        release: released,
    };
    let client = connection.local_address();
    Judged { attempt: applies.then_some(attempt), ladder: connection.trace.into_ladder(), client }
}

fn saw(response: Option<Response>, end: &End, gave_up: bool, announced: Option<bool>) -> String {
    let response = match response {
        _ if gave_up => "a failed write, no response".to_owned(),
        None => "no response".to_owned(),
        Some(Response { status, complete: true, .. }) => format!("{status}, whole"),
        Some(Response { status, body_bytes, .. }) => format!("{status}, cut after {body_bytes} bytes"),
    };
    let end = match end {
        End::Fin if announced == Some(true) => "close_notify, FIN".to_owned(),
        End::Fin => "FIN".to_owned(),
        End::Reset => "reset".to_owned(),
        End::Alert(alert) => format!("alert {alert}"),
        End::TimedOut => "still open".to_owned(),
        End::Failed(why) => why.clone(),
    };
    format!("{response}; {end}")
}

/// A fatal alert in plaintext (RFC 8446 §5.1, §6): what a server says to a hello that it cannot take.
pub(crate) fn raw_alert(received: &[u8]) -> Option<u8> {
    match received {
        [ALERT_RECORD, _, _, 0, 2, 2, code, ..] => Some(*code),
        _ => None,
    }
}

/// Whether a frame of this type is among them (RFC 9113 §4.1).
pub(crate) fn has_frame(mut bytes: &[u8], wanted: u8) -> bool {
    while let [a, b, c, kind, rest @ ..] = bytes {
        if *kind == wanted {
            return true;
        }
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        bytes = rest.get(5 + length..).unwrap_or_default();
    }
    false
}

const ALERT_RECORD: u8 = 21;
const GOAWAY: u8 = 7;
