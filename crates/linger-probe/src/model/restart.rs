//! What a server's end, or its restart, cost its clients.

use std::time::Duration;

use serde::Serialize;

use super::{milliseconds, some_milliseconds};

/// One server that was ended under a light load.
#[derive(Debug, Clone, Serialize)]
pub struct RestartReport {
    /// How to call it, short.
    pub name: String,
    /// What was loaded.
    pub url: String,
    /// What ended it: `SIGTERM to process 1234`, or the command.
    pub ended_by: String,
    /// How long the command ran; next to nothing for a signal.
    #[serde(serialize_with = "some_milliseconds", rename = "ending_ms")]
    pub ending: Duration,
    /// A row for each kind of client.
    pub kinds: Vec<KindReport>,
    /// From the signal to the end of the last connection. None: no connection ended.
    #[serde(serialize_with = "milliseconds", rename = "last_end_ms")]
    pub last_end: Option<Duration>,
    /// Connections that were still open when the time was up.
    pub still_open: usize,
    /// What became of new connections, from the signal on.
    pub newcomers: Newcomers,
    /// Whether somebody stopped the probe before everything had ended: what is not known is `unknown`.
    pub interrupted: bool,
}

/// One kind of client. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Had a response, and stays idle.
    Idle,
    /// Had a response, stays idle, and asks again shortly after the signal.
    IdleRequest,
    /// Waits for a response when the signal comes.
    InFlight,
    /// Is uploading when the signal comes.
    Upload,
    /// Has a WebSocket open.
    WebSocket,
    /// Has an HTTP/2 stream open when the signal comes.
    Http2,
}

impl Kind {
    /// Whether a client of this kind has asked for something that can be lost.
    #[must_use]
    pub fn has_request(self) -> bool {
        !matches!(self, Self::Idle | Self::WebSocket)
    }
}

/// What became of one kind of client.
#[derive(Debug, Clone, Serialize)]
pub struct KindReport {
    /// Which.
    pub kind: Kind,
    /// How many of them lost a request.
    pub lost: usize,
    /// Why this kind could not be tried, where it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// Each client.
    pub clients: Vec<Client>,
}

/// What became of one client.
#[derive(Debug, Clone, Serialize)]
pub struct Client {
    /// Of what it had asked for.
    pub fate: Fate,
    /// The status of the response that was under way, where its head arrived.
    pub status: Option<u16>,
    /// Bytes of the request's body that were written.
    pub sent_bytes: u64,
    /// How the connection ended.
    pub ending: Ending,
    /// From the signal to that end.
    #[serde(serialize_with = "milliseconds", rename = "ended_ms")]
    pub ended: Option<Duration>,
    /// Whether a `close_notify` announced it. None on plain TCP, and where there was no end.
    pub close_notify: Option<bool>,
    /// The error code of the GOAWAY frame that announced it (RFC 9113 §6.8). None: there was none.
    pub goaway: Option<u32>,
    /// Whether a WebSocket Close frame announced it (RFC 6455 §5.5.1). None for the other kinds.
    pub close_frame: Option<bool>,
    /// The code in that frame. None: it had none.
    pub close_code: Option<u16>,
}

/// What became of what a client had asked for. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It had its whole response.
    Answered,
    /// The connection ended cleanly, and nothing was lost: there was no request, or one that a client sends
    /// again.
    Closed,
    /// Its response was cut short.
    Cut,
    /// The connection ended although the server had the request, and there was no response.
    Unanswered,
    /// A reset took the response, or met an idle connection.
    Reset,
    /// There was no response when the time was up.
    Silent,
    /// The connection was still open when the time was up, and nothing was to come.
    Open,
    /// The probe was stopped before it was known.
    Unknown,
}

impl Fate {
    /// Whether a request with this fate is lost.
    #[must_use]
    pub fn is_loss(self) -> bool {
        matches!(self, Self::Cut | Self::Unanswered | Self::Reset | Self::Silent)
    }
}

/// How a connection ended, for its client. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The server's FIN, or its `close_notify`.
    Fin,
    /// A reset.
    Reset,
    /// The client closed it, because the server had said that it is over.
    Client,
    /// Another error.
    Failed,
    /// It did not.
    Open,
}

/// What became of new connections, one after the other, each with a request, from the signal on.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Newcomers {
    /// Those that had their whole response.
    pub answered: u64,
    /// Those that could not connect.
    pub refused: u64,
    /// Those that connected and were reset.
    pub reset: u64,
    /// Those that connected and were closed without a response, or had none in time.
    pub unanswered: u64,
    /// From the first that failed to the first after it that was answered. None: none failed, or none was
    /// answered after it.
    #[serde(serialize_with = "milliseconds", rename = "gap_ms")]
    pub gap: Option<Duration>,
    /// Whether the last one was answered: a server is there.
    pub served_at_end: bool,
}

impl RestartReport {
    /// Whether no request was lost.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.kinds.iter().all(|kind| kind.lost == 0)
    }
}

impl KindReport {
    /// Counts what was lost.
    #[must_use]
    pub fn new(kind: Kind, clients: Vec<Client>) -> Self {
        let lost = clients.iter().filter(|client| kind.has_request() && client.fate.is_loss()).count();
        Self { kind, lost, skipped: None, clients }
    }

    /// One that could not be tried.
    #[must_use]
    pub fn skipped(kind: Kind, why: impl Into<String>) -> Self {
        Self { skipped: Some(why.into()), ..Self::new(kind, Vec::new()) }
    }
}
