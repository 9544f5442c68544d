//! Causes each way in which a response and its connection can end, and tells what the client sees.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tower_linger_tests::peer::{Client, End};

use crate::server::Server;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    HandlerDone,
    BodyFailed,
    Panic,
    PanicInBody,
    Deadline,
    IdleAtDeadline,
    ClientHalfClose,
    Upgrade,
}

impl Happening {
    pub(crate) const ALL: [Self; 8] = [
        Self::HandlerDone,
        Self::BodyFailed,
        Self::Panic,
        Self::PanicInBody,
        Self::Deadline,
        Self::IdleAtDeadline,
        Self::ClientHalfClose,
        Self::Upgrade,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HandlerDone => "handler done",
            Self::BodyFailed => "body failed",
            Self::Panic => "handler's panic",
            Self::PanicInBody => "panic in the body",
            Self::Deadline => "dropped at the deadline",
            Self::IdleAtDeadline => "idle at the deadline",
            Self::ClientHalfClose => "client half-closes",
            Self::Upgrade => "upgrade",
        }
    }

    /// Whether the client has received the first half of a body before it happens.
    fn has_half(self) -> bool {
        match self {
            Self::HandlerDone
            | Self::BodyFailed
            | Self::PanicInBody
            | Self::Deadline
            | Self::IdleAtDeadline
            | Self::ClientHalfClose => true,
            Self::Panic | Self::Upgrade => false,
        }
    }

    /// A connection that ends with its response cannot be upgraded, or idle after the response.
    pub(crate) fn is_possible(self, framing: Framing) -> bool {
        !matches!(self, Self::Upgrade | Self::IdleAtDeadline) || framing == Framing::Chunked
    }

    fn path(self) -> &'static str {
        match self {
            Self::HandlerDone | Self::IdleAtDeadline => "/done",
            Self::BodyFailed => "/fails",
            Self::Panic => "/panics",
            Self::PanicInBody => "/panics-in-body",
            Self::Deadline | Self::ClientHalfClose => "/waits",
            Self::Upgrade => "/upgrades",
        }
    }
}

/// How the client can tell the end of a response without a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// HTTP/1.1: the last chunk.
    Chunked,
    /// HTTP/1.0: the connection's end.
    UntilClose,
}

/// What a client saw: how much of the response, and how the connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) amount: Amount,
    pub(crate) end: End,
    pub(crate) framing: Framing,
    pub(crate) tls: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Amount {
    Nothing,
    Cut,
    Whole,
}

impl Sight {
    /// Whether a client that follows the protocol can tell correctly whether the response is whole.
    pub(crate) fn is_true(&self) -> bool {
        let looks_whole = match (self.framing, self.tls) {
            // There is not even a status line.
            _ if self.amount == Amount::Nothing => false,
            // The last chunk shows the end, whatever follows.
            (Framing::Chunked, _) => self.amount == Amount::Whole,
            (Framing::UntilClose, false) => self.end == End::Fin,
            (Framing::UntilClose, true) => self.end == End::CloseNotify,
        };
        // A close_notify says that nothing is missing, so it must not follow a cut response. Its absence
        // after a whole one says nothing wrong.
        let is_notified = self.end == End::CloseNotify;
        let is_whole = self.amount == Amount::Whole;
        looks_whole == is_whole && (is_whole || !is_notified)
    }

    /// Whether this tells the client less than `other`, or something false that `other` does not.
    pub(crate) fn is_worse_than(&self, other: &Self) -> bool {
        let loses_notify = self.end != End::CloseNotify && other.end == End::CloseNotify;
        self.amount < other.amount
            || (other.is_true() && !self.is_true())
            || (self.amount == Amount::Whole && (loses_notify || self.end == End::Reset))
    }
}

impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = match self.amount {
            Amount::Nothing => "nothing",
            Amount::Cut => "cut",
            Amount::Whole => "whole",
        };
        let end = match &self.end {
            End::Fin if self.tls => "FIN without close_notify",
            End::Fin => "FIN",
            End::CloseNotify => "close_notify, FIN",
            End::Reset => "reset",
            other @ (End::Alert(_) | End::Failed(_) | End::TimedOut) => {
                return write!(f, "{amount}, {other:?}");
            }
        };
        write!(f, "{amount}, {end}")
    }
}

const HALF: &str = "half of it, ";
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";
pub(crate) const REST: &str = "and the rest";

/// An app whose bodies send their first half and go on when the gate is opened, so that the first half is not
/// left in hyper's buffers.
pub(crate) fn app(gate: &Arc<Notify>) -> Router {
    let body = |rest: Part| {
        let gate = gate.clone();
        get(async move || {
            let (parts, body) = mpsc::channel::<Part>(2);
            tokio::spawn(async move {
                // Errors are ignored: hyper drops the body when its connection ends.
                let _ = parts.send(|| Ok(Bytes::from(HALF))).await;
                gate.notified().await;
                let _ = parts.send(rest).await;
            });
            Body::from_stream(ReceiverStream::new(body).map(|make| make()))
        })
    };
    Router::new()
        .route("/done", body(|| Ok(Bytes::from(REST))))
        .route("/fails", body(|| Err(io::Error::other("on purpose"))))
        .route("/panics", get(async || -> &'static str { std::panic::resume_unwind(Box::new("on purpose")) }))
        .route("/panics-in-body", body(|| std::panic::resume_unwind(Box::new("on purpose"))))
        .route("/waits", body(|| Ok(Bytes::from(REST))))
        .route("/upgrades", get(upgrade))
}

/// Switches protocols, and sends [`REST`] in the new one.
async fn upgrade(request: Request) -> impl IntoResponse {
    tokio::spawn(async move {
        let tunnel = hyper::upgrade::on(request).await.expect("upgraded");
        TokioIo::new(tunnel).write_all(REST.as_bytes()).await.expect("loopback");
    });
    SWITCHING
}

/// The answer to a request for an upgrade.
pub(crate) const SWITCHING: (StatusCode, [(HeaderName, &str); 2]) =
    (StatusCode::SWITCHING_PROTOCOLS, [(header::CONNECTION, "upgrade"), (header::UPGRADE, "words")]);

/// Makes one part of a body, on the connection's own task.
type Part = fn() -> io::Result<Bytes>;

/// Makes one client ask this server, and makes this happen. Returns what the client sees until its connection
/// ends.
pub(crate) async fn happen(
    happening: Happening,
    framing: Framing,
    tls: bool,
    gate: &Notify,
    server: &mut Server,
) -> Sight {
    let mut client = server.connect(None).await;
    client.write_all(request(happening, framing).as_bytes()).await.expect("loopback");
    let mut received = Vec::new();
    // Wait for the first half before anything happens.
    let mut end = None;
    while end.is_none() && happening.has_half() && !contains(&received, HALF) {
        end = receive(&mut client, tls, &mut received).await;
    }
    match happening {
        Happening::HandlerDone | Happening::BodyFailed | Happening::PanicInBody => gate.notify_one(),
        Happening::IdleAtDeadline => {
            gate.notify_one();
            while end.is_none() && !received.ends_with(LAST_CHUNK) {
                end = receive(&mut client, tls, &mut received).await;
            }
            // hyper ends the idle connection long before that.
            server.reach_deadline(BOUND).await;
        }
        Happening::Deadline => server.reach_deadline(Duration::ZERO).await,
        Happening::ClientHalfClose => {
            client.shutdown().await.expect("loopback");
            // The others end the response by themselves.
            if server.allows_half_close {
                gate.notify_one();
            }
        }
        Happening::Panic | Happening::Upgrade => {}
    }
    let end = loop {
        match end {
            Some(end) => break end,
            None => end = receive(&mut client, tls, &mut received).await,
        }
    };
    Sight { amount: amount(&received, happening, framing), end, framing, tls }
}

fn request(happening: Happening, framing: Framing) -> String {
    let path = happening.path();
    match (framing, happening) {
        (Framing::UntilClose, _) => format!("GET {path} HTTP/1.0\r\n\r\n"),
        (Framing::Chunked, Happening::Upgrade) => {
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: words\r\n\r\n")
        }
        (Framing::Chunked, Happening::IdleAtDeadline) => format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"),
        (Framing::Chunked, _) => format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    }
}

/// Longer than anything here takes.
const BOUND: Duration = Duration::from_secs(60);

/// Reads once; returns how the connection ended, if it did.
async fn receive(client: &mut Client, tls: bool, received: &mut Vec<u8>) -> Option<End> {
    match timeout(BOUND, client.read_buf(received)).await {
        Err(_) => Some(End::TimedOut),
        Ok(Err(error)) => Some(End::of(&error)),
        Ok(Ok(0)) => Some(if tls { End::CloseNotify } else { End::Fin }),
        Ok(Ok(_)) => None,
    }
}

fn amount(received: &[u8], happening: Happening, framing: Framing) -> Amount {
    let is_ended =
        framing == Framing::UntilClose || happening == Happening::Upgrade || received.ends_with(LAST_CHUNK);
    if received.is_empty() {
        Amount::Nothing
    } else if contains(received, REST) && is_ended {
        Amount::Whole
    } else {
        Amount::Cut
    }
}

fn contains(received: &[u8], what: &str) -> bool {
    received.windows(what.len()).any(|window| window == what.as_bytes())
}
