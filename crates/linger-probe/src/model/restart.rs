//! What the end or restart of a server cost its clients.

use std::time::Duration;

use serde::Serialize;

use super::{milliseconds, some_milliseconds};

/// One server that was ended under a light load.
#[derive(Debug, Clone, Serialize)]
pub struct RestartReport {
    /// Its short name.
    pub name: String,
    /// The URL that was loaded.
    pub url: String,
    /// What ended it: `SIGTERM to process 1234`, or the command.
    pub ended_by: String,
    /// How long the command ran. For a signal it is close to 0.
    #[serde(serialize_with = "some_milliseconds", rename = "ending_ms")]
    pub ending: Duration,
    /// A row for each kind of client.
    pub kinds: Vec<KindReport>,
    /// From the signal to the end of the last connection. `None` if no connection ended.
    #[serde(serialize_with = "milliseconds", rename = "last_end_ms")]
    pub last_end: Option<Duration>,
    /// Connections that were still open when the time was up.
    pub still_open: usize,
    /// What became of new connections after the signal.
    pub newcomers: Newcomers,
    /// Whether the probe was stopped before all connections had ended. What was not known by then is
    /// `unknown`.
    pub interrupted: bool,
}

/// One kind of client. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Has had a response, and stays idle.
    Idle,
    /// Has had a response, stays idle, and asks again shortly after the signal.
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
    /// Whether a client of this kind has a request that can be lost.
    #[must_use]
    pub fn has_request(self) -> bool {
        match self {
            Self::IdleRequest | Self::InFlight | Self::Upload | Self::Http2 => true,
            Self::Idle | Self::WebSocket => false,
        }
    }
}

/// What became of one kind of client.
#[derive(Debug, Clone, Serialize)]
pub struct KindReport {
    /// The kind.
    pub kind: Kind,
    /// How many of them lost a request.
    pub lost: usize,
    /// Why this kind could not be tried. `None` if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// The clients of this kind.
    pub clients: Vec<Client>,
}

/// What became of one client.
#[derive(Debug, Clone, Serialize)]
pub struct Client {
    /// What became of its request.
    pub fate: Fate,
    /// The status of the response that was under way, if its head arrived.
    pub status: Option<u16>,
    /// Bytes of the request's body that were written.
    pub sent_bytes: u64,
    /// How the connection ended.
    pub ending: Ending,
    /// From the signal to that end.
    #[serde(serialize_with = "milliseconds", rename = "ended_ms")]
    pub ended: Option<Duration>,
    /// Whether a `close_notify` announced the end. `None` on plain TCP, and if there was no end.
    pub close_notify: Option<bool>,
    /// The error code of the GOAWAY frame that announced the end (RFC 9113 §6.8). `None` if there was no
    /// such frame.
    pub goaway: Option<u32>,
    /// Whether a WebSocket Close frame announced the end (RFC 6455 §5.5.1). `None` for the other kinds.
    pub close_frame: Option<bool>,
    /// The code in the Close frame. `None` if it had none.
    pub close_code: Option<u16>,
}

/// What became of a client's request. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The whole response arrived.
    Answered,
    /// The connection ended cleanly, and nothing was lost: there was no request, or a client can send it
    /// again.
    Closed,
    /// The response was cut short.
    Cut,
    /// The server had the request, and the connection ended without a response.
    Unanswered,
    /// A reset ended the connection, before the response or while it was idle.
    Reset,
    /// There was no response when the time was up.
    Silent,
    /// The connection was still open when the time was up, without a request under way.
    Open,
    /// The probe was stopped before this was known.
    Unknown,
}

impl Fate {
    /// Whether a request with this fate is lost.
    #[must_use]
    pub fn is_loss(self) -> bool {
        match self {
            Self::Cut | Self::Unanswered | Self::Reset | Self::Silent => true,
            Self::Answered | Self::Closed | Self::Open | Self::Unknown => false,
        }
    }
}

/// How a connection ended, as its client saw it. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The server's FIN, or its `close_notify`.
    Fin,
    /// A reset.
    Reset,
    /// The client closed it, because the server had announced its end.
    Client,
    /// Another error.
    Failed,
    /// It did not end.
    Open,
}

/// What became of new connections after the signal. They follow one another, each with a request.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Newcomers {
    /// Connections with a whole response.
    pub answered: u64,
    /// Connections that were refused.
    pub refused: u64,
    /// Connections that were accepted and reset.
    pub reset: u64,
    /// Connections that were closed without a response, or had none in time.
    pub unanswered: u64,
    /// From the first failure to the next answer. `None` if no connection failed, or none was answered after
    /// a failure.
    #[serde(serialize_with = "milliseconds", rename = "gap_ms")]
    pub gap: Option<Duration>,
    /// Whether the last connection was answered, so that a server is there.
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
    /// A report of these clients, which counts their losses.
    #[must_use]
    pub fn new(kind: Kind, clients: Vec<Client>) -> Self {
        let lost = clients.iter().filter(|client| kind.has_request() && client.fate.is_loss()).count();
        Self { kind, lost, skipped: None, clients }
    }

    /// A report of a kind that could not be tried.
    #[must_use]
    pub fn skipped(kind: Kind, why: impl Into<String>) -> Self {
        Self { skipped: Some(why.into()), ..Self::new(kind, Vec::new()) }
    }
}
