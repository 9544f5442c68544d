//! A scenario is data: what the client does, step by step, and how the server must react.

use std::time::Duration;

use crate::model::Severity;

/// One row of the battery.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The name that `--only` takes.
    pub name: &'static str,
    /// What the client does, in a few words.
    pub title: &'static str,
    /// The section of the specification that requires the expected behaviour.
    pub clause: &'static str,
    /// How bad a failure is.
    pub severity: Severity,
    /// What users of a failing server see.
    pub loss: &'static str,
    /// What the server must offer; otherwise the scenario does not apply.
    pub needs: &'static [Need],
    /// How the connection begins.
    pub opening: Opening,
    /// When the client reads, and what it does when a write fails.
    pub manner: Manner,
    /// What the client does, in order.
    pub steps: &'static [Step],
    /// What the client must see.
    pub expect: Expect,
}

impl Scenario {
    /// Whether it mostly waits for one of the server's timeouts, and sends next to nothing meanwhile.
    #[must_use]
    pub fn mostly_waits(&self) -> bool {
        self.steps.iter().any(|step| match step.cost() {
            StepCost::Wait { .. } => true,
            StepCost::Bytes(_) | StepCost::Upload => false,
        })
    }

    /// Bytes of uploads and floods that one try sends, for this size of a large upload.
    pub(crate) fn bytes(&self, upload_bytes: u64) -> u64 {
        let of_step = |step: &Step| match step.cost() {
            StepCost::Bytes(bytes) | StepCost::Wait { bytes } => bytes,
            StepCost::Upload => upload_bytes,
        };
        self.steps.iter().map(of_step).sum()
    }

    /// Whether it sends HTTP/1.1 requests.
    #[must_use]
    pub fn speaks_http1(&self) -> bool {
        match self.opening {
            Opening::Plain | Opening::SmallBuffer | Opening::Http1 => true,
            Opening::UnknownProtocol | Opening::OldVersion | Opening::NoCertificate | Opening::Http2 => false,
        }
    }
}

/// Whether `wanted` selects the scenario of this name: it is the name itself (`close.idle`) or its group
/// (`close`).
#[must_use]
pub fn is_in(name: &str, wanted: &str) -> bool {
    name.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What a scenario needs of the server. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// TLS.
    Tls,
    /// A path whose response is larger than the socket buffers.
    LargePath,
    /// A path that accepts a WebSocket.
    WebsocketPath,
    /// HTTP/2.
    Http2,
    /// TLS that refuses an unknown application protocol (RFC 7301 §3.2).
    Alpn,
    /// TLS that asks for a client certificate.
    ClientCertificate,
}

/// How a connection begins. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Plain TCP or TLS, as the target's URL says.
    Plain,
    /// The same with a small receive buffer, so that the client takes little at a time.
    SmallBuffer,
    /// TLS that offers only an application protocol that no server knows.
    UnknownProtocol,
    /// A `ClientHello` of TLS 1.1, which is deprecated (RFC 8996).
    OldVersion,
    /// TLS without a client certificate, also where the target has one.
    NoCertificate,
    /// TLS that offers HTTP/1.1 by ALPN.
    Http1,
    /// HTTP/2: by ALPN over TLS, by prior knowledge otherwise (RFC 9113 §3.3).
    Http2,
}

/// When a client reads, and what it does when a write fails. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Gives up at the first failed write without looking for a response, as many client libraries do.
    StopsAtError,
    /// Writes what it can, then reads.
    WritesThenReads,
    /// Reads while it writes, as browsers and curl do.
    ReadsWhileWriting,
}

/// One thing that a client does. Exhaustive: a new variant is a breaking change.
///
/// In a text, `{path}`, `{large}`, `{websocket}`, `{authority}`, `{method}`, `{headers}` and `{upload}` stand
/// for values of the target and the options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Sends a text, after replacing its placeholders.
    Send(&'static str),
    /// Sends these bytes.
    SendBytes(&'static [u8]),
    /// Sends a body of the upload's size.
    Upload,
    /// Sends a body of the upload's size in chunks (RFC 9112 §7.1).
    UploadChunked,
    /// Sends a body in pieces, with a pause after each.
    UploadSlowly {
        /// Number of pieces.
        pieces: u32,
        /// Size of each piece.
        bytes: usize,
        /// The pause after each.
        pause: Duration,
    },
    /// Sends these bytes again and again, up to this number of bytes in all.
    Repeat(&'static [u8], usize),
    /// Sends this number of zero bytes directly on the TCP connection, below TLS.
    RepeatRaw(usize),
    /// Sends an HTTP/2 request.
    Http2Request,
    /// Sends an HTTP/2 request with a body of the upload's size, as flow control allows, and reads meanwhile.
    Http2Upload,
    /// Waits a second for an interim response. If a final one comes instead, the upload is not sent.
    AwaitContinue,
    /// Reads until the whole response has arrived.
    AwaitResponse,
    /// Waits for the server to end an idle connection.
    AwaitIdleEnd,
    /// Half-closes: sends FIN, and over TLS `close_notify` before it.
    HalfClose,
    /// Reads to the end of the connection. Answers a `close_notify` if no FIN follows it.
    AwaitEnd,
    /// Sends `close_notify`, unless it has been sent already.
    AnswerCloseNotify,
    /// Waits for more than a round trip to see whether a reset follows.
    LookForReset,
    /// Sends a byte after each pause (over TLS in a record) until the server has released its socket.
    Trickle(Duration),
    /// Sends nothing for the release timeout, then sees whether the server has released its socket.
    Stay,
}

/// What a step costs the server. Requests and single bytes do not count.
enum StepCost {
    /// This many bytes.
    Bytes(u64),
    /// A body of the upload's size.
    Upload,
    /// Mostly time, because the step waits for a timeout of the server, and this many bytes.
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

/// What the client must see. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// A whole response.
    Response,
    /// A whole response with a 4xx status.
    ClientError,
    /// A whole response, then `close_notify` or a FIN, and no reset before that.
    CleanEnd,
    /// The same, and no reset after it.
    NoReset,
    /// A `close_notify` before the FIN.
    CloseNotify,
    /// A fatal alert.
    Alert,
    /// A whole response, and no `RST_STREAM` except with `NO_ERROR` (RFC 9113 §8.1).
    Http2Response,
    /// A GOAWAY frame (RFC 9113 §6.8).
    GoAway,
    /// A Close frame (RFC 6455 §5.5.1), a FIN, and no reset.
    WebsocketClose,
    /// A whole response, after which the server releases its socket in time.
    Release,
}

impl Expect {
    /// Whether the scenario requires a response.
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

    /// Whether it requires one before the server has the whole request.
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

    /// Whether a reset after the response is no failure, because Linux clients keep what has arrived.
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
