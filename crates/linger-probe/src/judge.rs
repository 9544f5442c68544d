//! Judges one try.

use std::net::SocketAddr;

use tokio_rustls::rustls::AlertDescription;

use crate::connection::{Connection, Ended};
use crate::http2::{self, NO_ERROR};
use crate::model::{Attempt, End, Event, Severity, Side, What};
use crate::response::Response;
use crate::run::Run;
use crate::scenario::{Expect, Opening, Scenario};
use crate::tls_words;

mod words;

use words::phrase;

/// A judged try.
pub(crate) struct Judged {
    /// The try, and how bad its failure is (or would be).
    pub(crate) result: Result<(Attempt, Severity), NotApplicable>,
    /// Who sent what when.
    pub(crate) ladder: Vec<Event>,
    /// The client's own address, which identifies its packets.
    pub(crate) client: Option<SocketAddr>,
}

/// Why a try says nothing about its scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotApplicable {
    /// The server keeps an idle connection for longer than the probe waits.
    StaysIdle,
    /// It reads the whole upload before it answers.
    ReadsEverything,
    /// It does not answer and keeps the connection open, so how it ends connections cannot be seen.
    NoAnswer,
    /// Its TLS handshake takes longer than the probe waits.
    NoHandshake,
    /// It accepts the request that it should refuse, and answers with this status.
    Accepts(u16),
    /// It speaks the TLS version that it should refuse.
    OldVersion,
    /// Its response is longer than the probe reads.
    TooLong,
    /// It has not sent the whole response after which it should release its socket.
    NotWhole,
    /// It sends no `close_notify` that the client could answer.
    NoCloseNotify,
}

/// Everything that a try is judged by.
struct Seen<'a> {
    scenario: &'a Scenario,
    run: &'a Run,
    response: Option<Response>,
    /// The status of an ordinary request, if known.
    usual: Option<u16>,
    /// Whether the whole response arrived and the client read it.
    whole: bool,
    end: End,
}

/// Judges a try. `usual` is the status of an ordinary request, if known.
pub(crate) fn judge(scenario: &Scenario, run: Run, usual: Option<u16>) -> Judged {
    let seen = Seen::of(scenario, &run, usual);
    let fault = seen.fault();
    let result = match seen.not_applicable(fault.is_none()) {
        Some(why) => Err(why),
        None => Ok((seen.attempt(fault), seen.severity())),
    };
    let client = run.connection.local_address();
    Judged { result, ladder: run.connection.trace.into_ladder(), client }
}

impl<'a> Seen<'a> {
    fn of(scenario: &'a Scenario, run: &'a Run, usual: Option<u16>) -> Self {
        let response = run.connection.response();
        let is_upgrade = scenario.expect == Expect::WebsocketClose;
        let counts = |response: Response| response.complete && (response.status != 101 || is_upgrade);
        let whole = response.is_some_and(counts) && !run.gave_up;
        Self { scenario, run, response, usual, whole, end: end(&run.connection) }
    }

    fn connection(&self) -> &Connection {
        &self.run.connection
    }

    fn not_applicable(&self, passed: bool) -> Option<NotApplicable> {
        let connection = self.connection();
        let status = self.response.map_or(0, |response| response.status);
        if self.run.stays_idle && self.whole {
            return Some(NotApplicable::StaysIdle);
        }
        if self.run.no_handshake {
            return Some(NotApplicable::NoHandshake);
        }
        let failed_write = self.run.gave_up && !self.run.stalled;
        let wants_early_response = self.scenario.expect.wants_early_response();
        if wants_early_response
            && self.end == End::TimedOut
            && connection.received.bytes == 0
            && !failed_write
        {
            return Some(NotApplicable::NoAnswer);
        }
        if self.run.read_everything && passed {
            return Some(NotApplicable::ReadsEverything);
        }
        if self.scenario.expect == Expect::ClientError && self.whole && (200..400).contains(&status) {
            return Some(NotApplicable::Accepts(status));
        }
        if self.scenario.opening == Opening::OldVersion
            && connection.received.prefix.first() == Some(&HANDSHAKE_RECORD)
        {
            return Some(NotApplicable::OldVersion);
        }
        if connection.received.states_too_much() && self.scenario.expect.wants_response() {
            return Some(NotApplicable::TooLong);
        }
        if self.scenario.expect == Expect::Release && !self.whole {
            return Some(NotApplicable::NotWhole);
        }
        if self.scenario.expect == Expect::NoReset && self.whole && !connection.close_notify {
            return Some(NotApplicable::NoCloseNotify);
        }
        None
    }

    /// What went wrong, and what that means for the server's users. None if nothing did.
    fn fault(&self) -> Option<String> {
        let connection = self.connection();
        let frames = connection.received.http2.as_ref();
        let end = phrase(&self.end);
        if self.run.gave_up && self.run.stalled {
            let what = "the server took no more data, and did not end the connection";
            let means = "a client that writes before it reads waits for its own timeout, and gives up";
            return Some(format!("{what}: {means}"));
        }
        if self.run.gave_up {
            return Some(self.lost("a write failed before the answer was read"));
        }
        if self.scenario.expect.wants_response() && !self.whole {
            return Some(self.missing());
        }
        let status = self.response.map_or(0, |response| response.status);
        let and_then = |what: &str| Some(format!("the response arrived whole, and then {what}"));
        match self.scenario.expect {
            Expect::Response => None,
            Expect::ClientError if (400..500).contains(&status) => None,
            Expect::ClientError => {
                Some(format!("the answer is {status}, although the mistake is the client's (4xx)"))
            }
            Expect::CleanEnd if status == 400 && self.usual.is_some_and(|usual| usual != status) => {
                let usual = self.usual.unwrap_or_default();
                Some(self.lost(&format!("the answer is 400, but such a request alone is answered {usual}")))
            }
            Expect::CleanEnd | Expect::NoReset if self.end == End::Reset => {
                and_then("a reset: systems other than Linux drop what the client has not read by then")
            }
            Expect::NoReset if self.was_reset() => and_then("a reset, after the server's own end"),
            Expect::CleanEnd | Expect::NoReset => match &self.end {
                End::Fin | End::CloseNotify => None,
                End::TimedOut => and_then("the server did not end the connection that it was asked to end"),
                End::Reset | End::Alert(_) | End::Endless | End::Failed(_) => and_then(end),
            },
            Expect::CloseNotify if connection.close_notify => None,
            Expect::CloseNotify => Some(self.lost(&format!("{end}, without close_notify"))),
            Expect::Alert if self.alert().is_some() => None,
            Expect::Alert => Some(self.lost(&format!("{end}, without an alert"))),
            Expect::Http2Response => match frames.and_then(|frames| frames.reset) {
                None | Some(NO_ERROR) => None,
                Some(code) => {
                    let name = http2::error_name(code);
                    and_then(&format!("RST_STREAM({name}): many clients report that instead of the response"))
                }
            },
            Expect::GoAway if frames.is_some_and(|frames| frames.goaway.is_some()) => None,
            Expect::GoAway => Some(self.lost(&format!("{end}, without GOAWAY"))),
            Expect::WebsocketClose if status != 101 => {
                Some(format!("the path does not accept a WebSocket: {}", self.saw()))
            }
            Expect::WebsocketClose => match connection.received.websocket.close() {
                None => Some(self.lost(&format!("{end}, without a Close frame"))),
                Some(_) if self.was_reset() => {
                    Some("a reset after the Close frame can overtake it".to_owned())
                }
                Some(_) if self.end == End::TimedOut => {
                    Some("Close was answered, but the connection stayed open (RFC 6455 §7.1.1)".to_owned())
                }
                Some(_) => None,
            },
            Expect::Release if self.run.released.is_some() => None,
            Expect::Release => Some(self.lost("the server still held its socket at the end of the wait")),
        }
    }

    /// The server's fatal alert, from the TLS session or from before there was one.
    fn alert(&self) -> Option<String> {
        let raw = || {
            raw_alert(&self.connection().received.prefix)
                .map(|code| tls_words::alert(AlertDescription::from(code)))
        };
        self.connection().alert.clone().or_else(raw)
    }

    /// A fault, and what it means for the clients of this scenario.
    fn lost(&self, what: &str) -> String {
        format!("{what}: {}", self.scenario.loss)
    }

    /// Whether, over TLS, a FIN without `close_notify` ends a body that only the connection's end delimits.
    fn is_unannounced(&self) -> bool {
        let connection = self.connection();
        connection.session().is_some() && self.end == End::Fin && connection.received.http1.reads_to_the_end()
    }

    /// How bad a failure is.
    fn severity(&self) -> Severity {
        let least = if self.whole { self.severity_after_response() } else { self.severity_of_loss() };
        self.scenario.severity.max(least)
    }

    fn severity_of_loss(&self) -> Severity {
        if !self.run.gave_up && self.is_unannounced() {
            Severity::BreaksProtocol
        } else {
            Severity::LosesResponses
        }
    }

    fn severity_after_response(&self) -> Severity {
        match self.scenario.expect {
            // The client has the whole response, so the reset costs it nothing.
            Expect::CleanEnd | Expect::NoReset if self.was_reset() => Severity::Harsh,
            Expect::CleanEnd | Expect::NoReset => match self.end {
                End::Fin | End::CloseNotify => Severity::LosesResponses,
                End::Reset | End::Alert(_) | End::TimedOut | End::Endless | End::Failed(_) => {
                    Severity::BreaksProtocol
                }
            },
            Expect::ClientError => Severity::BreaksProtocol,
            Expect::Response
            | Expect::CloseNotify
            | Expect::Alert
            | Expect::Http2Response
            | Expect::GoAway
            | Expect::WebsocketClose
            | Expect::Release => Severity::LosesResponses,
        }
    }

    fn was_reset(&self) -> bool {
        self.connection().trace.has(Side::Server, &What::Reset)
    }

    /// Whether a reset came after the end of the server's data.
    fn reset_later(&self) -> bool {
        self.was_reset() && self.end != End::Reset
    }

    fn attempt(&self, fault: Option<String>) -> Attempt {
        let connection = self.connection();
        Attempt {
            passed: fault.is_none(),
            fault,
            saw: self.saw(),
            status: self.response.map(|response| response.status),
            body_bytes: self.response.map_or(0, |response| response.body_bytes),
            complete: self.whole,
            end: self.end.clone(),
            reset_later: self.reset_later(),
            announced: connection.session().map(|_| connection.close_notify || connection.alert.is_some()),
            latency: self.run.answered,
            release: self.run.released,
        }
    }
}

/// How the server's data ended. A reset after a FIN or `close_notify` does not change that.
fn end(connection: &Connection) -> End {
    let place = |what: &What| connection.trace.place(Side::Server, what);
    let reset = place(&What::Reset);
    let earlier = |place: Option<usize>| place.is_some_and(|place| reset.is_none_or(|reset| place < reset));
    match (&connection.alert, &connection.ended) {
        (Some(alert), _) => End::Alert(alert.clone()),
        (None, Some(Ended::Endless)) => End::Endless,
        (None, _) if earlier(place(&What::Fin)) => End::Fin,
        (None, _) if earlier(place(&What::CloseNotify)) => End::CloseNotify,
        (None, _) if reset.is_some() => End::Reset,
        (None, Some(Ended::Failed(why))) => End::Failed(why.clone()),
        (None, Some(Ended::Fin | Ended::Reset)) => End::Fin,
        (None, None) => End::TimedOut,
    }
}

/// The code of a fatal alert in plaintext (RFC 8446 §5.1, §6), which refuses a `ClientHello`.
fn raw_alert(received: &[u8]) -> Option<u8> {
    match received {
        [ALERT_RECORD, _, _, 0, 2, 2, code, ..] => Some(*code),
        _ => None,
    }
}

/// Content types of TLS records (RFC 8446 §5.1).
pub(crate) const ALERT_RECORD: u8 = 21;
pub(crate) const HANDSHAKE_RECORD: u8 = 22;
