//! What a try saw, in words.

use super::Seen;
use crate::connection::Ended;
use crate::http2;
use crate::model::End;
use crate::received::LIMIT;
use crate::response::Response;

impl Seen<'_> {
    /// What is missing of the response, and what that means for clients if the connection's end cut it off.
    pub(super) fn missing(&self) -> String {
        let connection = self.connection();
        let fault = connection.received.http1.fault();
        let reset = connection.received.http2.as_ref().and_then(|frames| frames.reset);
        let end = match reset {
            Some(code) => format!("RST_STREAM({})", http2::error_name(code)),
            None => phrase(&self.end).to_owned(),
        };
        match self.response {
            _ if connection.ended == Some(Ended::Endless) => {
                format!("the response has no end within {} MiB", LIMIT >> 20)
            }
            Some(Response { status: 101, .. }) => {
                "the answer is 101, but no upgrade was asked for".to_owned()
            }
            Some(Response { status, .. }) if fault.is_some() => {
                format!("the {status} has {}, so no client can read it", fault.unwrap_or_default())
            }
            Some(Response { status, .. }) if self.is_unannounced() => format!(
                "the {status} states no length, and without close_notify a FIN can be a truncation \
                 (RFC 9112 §9.8)"
            ),
            Some(Response { status, body_bytes, .. }) if self.end == End::TimedOut => {
                format!("the {status} stopped after {body_bytes} bytes of body, and {end}")
            }
            Some(Response { status, body_bytes, .. }) => {
                self.lost(&format!("the {status} was cut after {body_bytes} bytes of body by {end}"))
            }
            None => match fault {
                Some(fault) if connection.received.http2.is_none() => format!("the answer is {fault}"),
                _ if connection.received.http1.has_answered() => {
                    self.lost(&format!("an interim response, and then {end}"))
                }
                _ if self.end == End::TimedOut => format!("no response, and {end}"),
                _ => self.lost(&format!("no response, but {end}")),
            },
        }
    }

    /// What the client saw, in a few words.
    pub(super) fn saw(&self) -> String {
        let connection = self.connection();
        let fault = connection.received.http1.fault();
        let response = match self.response {
            _ if self.run.gave_up && self.run.stalled => {
                Some("a write that did not finish, no answer".to_owned())
            }
            _ if self.run.gave_up => Some("a failed write, no answer".to_owned()),
            None if !self.scenario.expect.wants_response() => None,
            None => Some(fault.unwrap_or("no response").to_owned()),
            Some(Response { status, complete: true, .. }) => Some(format!("{status}, whole")),
            Some(Response { status, .. }) if fault.is_some() => {
                Some(format!("{status}, {}", fault.unwrap_or_default()))
            }
            Some(Response { status, .. }) if self.end == End::Endless => Some(status.to_string()),
            Some(Response { status, body_bytes, .. }) => {
                Some(format!("{status}, cut after {body_bytes} bytes"))
            }
        };
        let frames = connection.received.http2.as_ref();
        let code =
            |name: &str, code: Option<u32>| code.map(|code| format!("{name}({})", http2::error_name(code)));
        let parts = [
            response,
            frames.and_then(|frames| code("RST_STREAM", frames.reset)),
            frames.and_then(|frames| code("GOAWAY", frames.goaway)),
            connection.received.websocket.close().map(|close| match close.code {
                Some(code) => format!("Close({code})"),
                None => "Close".to_owned(),
            }),
            self.alert().map(|alert| format!("alert {alert}")).filter(|_| connection.alert.is_none()),
            Some(ending(&self.end, connection.close_notify)),
            self.reset_later().then(|| "later a reset".to_owned()),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// An end, as an item of a list.
fn ending(end: &End, announced: bool) -> String {
    match end {
        End::Fin if announced => "close_notify, FIN".to_owned(),
        End::Fin => "FIN".to_owned(),
        End::CloseNotify => "close_notify".to_owned(),
        End::Reset => "reset".to_owned(),
        End::Alert(alert) => format!("alert {alert}"),
        End::TimedOut => "still open".to_owned(),
        End::Endless => "data without end".to_owned(),
        End::Failed(why) => why.clone(),
    }
}

/// An end, as part of a sentence.
pub(super) fn phrase(end: &End) -> &str {
    match end {
        End::Fin => "a FIN",
        End::CloseNotify => "close_notify alone",
        End::Reset => "a reset",
        End::Alert(_) => "an alert",
        End::TimedOut => "the connection stayed open",
        End::Endless => "data without end",
        End::Failed(why) => why,
    }
}
