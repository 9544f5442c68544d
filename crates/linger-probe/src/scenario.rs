//! A scenario is data: what the client does, step by step, and what a server must make of it.

use std::time::Duration;

use crate::model::Severity;

/// One row of the battery.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// As `--only` takes it.
    pub name: &'static str,
    /// What the client does, in a few words.
    pub title: &'static str,
    /// The clause that asks for what is expected.
    pub clause: &'static str,
    /// What it means that a server fails it.
    pub severity: Severity,
    /// What a user of a server that fails it would see.
    pub loss: &'static str,
    /// What the server must have for this to be tried.
    pub needs: &'static [Need],
    /// How the connection begins.
    pub opening: Opening,
    /// What the client does when a write fails.
    pub manner: Manner,
    /// What it does, in order.
    pub steps: &'static [Step],
    /// What must come of it.
    pub expect: Expect,
}

impl Scenario {
    /// Whether it waits for a server's bounds, and sends next to nothing meanwhile.
    #[must_use]
    pub fn mostly_waits(&self) -> bool {
        self.steps.iter().any(|step| match step.cost() {
            StepCost::Wait { .. } => true,
            StepCost::Bytes(_) | StepCost::Upload => false,
        })
    }

    /// Bytes of uploads and floods that one try sends, where an upload has this size.
    pub(crate) fn bytes(&self, upload_bytes: u64) -> u64 {
        let of_step = |step: &Step| match step.cost() {
            StepCost::Bytes(bytes) | StepCost::Wait { bytes } => bytes,
            StepCost::Upload => upload_bytes,
        };
        self.steps.iter().map(of_step).sum()
    }

    /// Whether its requests are of HTTP/1.1.
    #[must_use]
    pub fn speaks_http1(&self) -> bool {
        match self.opening {
            Opening::Plain | Opening::SmallBuffer | Opening::Http1 => true,
            Opening::UnknownProtocol | Opening::OldVersion | Opening::NoCertificate | Opening::Http2 => false,
        }
    }
}

/// Whether a scenario of this name is meant by `wanted`, which is its name or its group's: `early`, `close.idle`.
#[must_use]
pub fn is_in(name: &str, wanted: &str) -> bool {
    name.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What a server must have. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// TLS.
    Tls,
    /// A path whose response is larger than the sockets' buffers.
    LargePath,
    /// A path that accepts a WebSocket.
    WebsocketPath,
    /// HTTP/2.
    Http2,
    /// TLS that refuses a protocol that it does not know (RFC 7301 §3.2).
    Alpn,
    /// TLS that asks for a client certificate.
    ClientCertificate,
}

/// How a connection begins. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// As the target says.
    Plain,
    /// With a small receive buffer: the client takes little at a time.
    SmallBuffer,
    /// TLS that offers only a protocol that nobody knows.
    UnknownProtocol,
    /// A `ClientHello` of TLS 1.1, which is no longer spoken (RFC 8996).
    OldVersion,
    /// TLS without the client's certificate.
    NoCertificate,
    /// TLS that offers HTTP/1.1 by ALPN.
    Http1,
    /// HTTP/2: by ALPN over TLS, by prior knowledge otherwise (RFC 9113 §3.3).
    Http2,
}

/// How a client treats a write that fails, and when it reads. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Gives up at once, response or not, as an exception does in many client libraries.
    StopsAtError,
    /// Writes what it can, then reads what there is.
    WritesThenReads,
    /// Reads while it writes, as browsers and curl do.
    ReadsWhileWriting,
}

/// One thing that a client does. In a text, `{path}`, `{large}`, `{websocket}`, `{authority}`, `{method}`,
/// `{headers}` and
/// `{upload}` stand for the target's and the options'. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Sends a text.
    Send(&'static str),
    /// Sends these bytes.
    SendBytes(&'static [u8]),
    /// Sends a body of the upload's size.
    Upload,
    /// Sends a body of the upload's size in chunks (RFC 9112 §7.1).
    UploadChunked,
    /// Sends so many pieces of a body, with a pause after each.
    UploadSlowly {
        /// How many.
        pieces: u32,
        /// Size of each.
        bytes: usize,
        /// The pause.
        pause: Duration,
    },
    /// Sends this again and again.
    Repeat(&'static [u8], usize),
    /// Sends zeros below TLS, if there is any.
    RepeatRaw(usize),
    /// Sends a request of HTTP/2.
    Http2Request,
    /// Sends a request of HTTP/2 with a body of the upload's size, as the windows let it, and reads
    /// meanwhile.
    Http2Upload,
    /// Waits a second for an interim response. A final one is the answer, and no upload follows it.
    AwaitContinue,
    /// Reads until a whole response is there.
    AwaitResponse,
    /// Waits for the server to end an idle connection.
    AwaitIdleEnd,
    /// FIN, and over TLS `close_notify` before it.
    HalfClose,
    /// Reads to the connection's end. A `close_notify` without a FIN is answered by one.
    AwaitEnd,
    /// Says `close_notify`, if it has not been said.
    AnswerCloseNotify,
    /// Waits for more than a round trip, whether a reset follows.
    LookForReset,
    /// Sends a byte after each pause, over TLS in a record, until the server's socket is gone.
    Trickle(Duration),
    /// Stays, silent, for the time that a server may keep its socket, and sees whether it is gone.
    Stay,
}

/// What a step costs the server. Requests and single bytes are not counted.
enum StepCost {
    /// So many bytes.
    Bytes(u64),
    /// A body of the upload's size.
    Upload,
    /// Mostly time, since it waits for a bound of the server's, and so many bytes.
    Wait { bytes: u64 },
}

impl Step {
    fn cost(&self) -> StepCost {
        match *self {
            Self::Upload | Self::UploadChunked | Self::Http2Upload => StepCost::Upload,
            Self::UploadSlowly { pieces, bytes, .. } => {
                StepCost::Wait { bytes: u64::from(pieces) * bytes as u64 }
            }
            Self::Repeat(_, bytes) | Self::RepeatRaw(bytes) => StepCost::Bytes(bytes as u64),
            Self::AwaitIdleEnd | Self::Trickle(_) | Self::Stay => StepCost::Wait { bytes: 0 },
            Self::Send(_)
            | Self::SendBytes(_)
            | Self::Http2Request
            | Self::AwaitContinue
            | Self::AwaitResponse
            | Self::HalfClose
            | Self::AwaitEnd
            | Self::AnswerCloseNotify
            | Self::LookForReset => StepCost::Bytes(0),
        }
    }
}

/// What must come of a scenario. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// A whole response.
    Response,
    /// A whole response with a status that says that the client was wrong.
    ClientError,
    /// A whole response, then `close_notify` or a FIN, and no reset before it.
    CleanEnd,
    /// The same, and no reset behind it either.
    NoReset,
    /// A `close_notify` before the FIN.
    CloseNotify,
    /// A fatal alert.
    Alert,
    /// A whole response, and no `RST_STREAM` but that of `NO_ERROR` (RFC 9113 §8.1).
    Http2Response,
    /// A GOAWAY frame (RFC 9113 §6.8).
    GoAway,
    /// A Close frame (RFC 6455 §5.5.1), a FIN, and no reset.
    WebsocketClose,
    /// A whole response, and in the end no socket of the server's.
    Release,
}

impl Expect {
    /// Whether a response is what the scenario is about.
    pub(crate) fn wants_response(self) -> bool {
        match self {
            Self::Response
            | Self::ClientError
            | Self::CleanEnd
            | Self::NoReset
            | Self::CloseNotify
            | Self::Http2Response
            | Self::Release => true,
            Self::Alert | Self::GoAway | Self::WebsocketClose => false,
        }
    }

    /// Whether the response is one that the server gives before it has the whole request.
    pub(crate) fn wants_early_response(self) -> bool {
        match self {
            Self::Response | Self::Http2Response => true,
            Self::ClientError
            | Self::CleanEnd
            | Self::NoReset
            | Self::CloseNotify
            | Self::Alert
            | Self::GoAway
            | Self::WebsocketClose
            | Self::Release => false,
        }
    }

    /// Whether a reset behind the response passes for clients on Linux.
    pub(crate) fn allows_late_reset(self) -> bool {
        match self {
            Self::Response | Self::ClientError => true,
            Self::CleanEnd
            | Self::NoReset
            | Self::CloseNotify
            | Self::Alert
            | Self::Http2Response
            | Self::GoAway
            | Self::WebsocketClose
            | Self::Release => false,
        }
    }
}
