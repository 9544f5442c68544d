//! The scenarios. A new one is a few lines.

use std::time::Duration;

use crate::model::Severity::{BreaksProtocol, CanBeHeldOpen, Harsh, LosesResponses};
use crate::scenario::Expect::{
    Alert, CleanEnd, ClientError, CloseNotify, GoAway, Release, Response, WebsocketClose,
};
use crate::scenario::Manner::{ReadsWhileWriting, StopsAtError, WritesThenReads};
use crate::scenario::Step::{
    AnswerCloseNotify, AwaitContinue, AwaitEnd, AwaitIdleEnd, AwaitResponse, HalfClose, Repeat, RepeatRaw,
    Send, SendBytes, Stay, Trickle, Upload, UploadChunked, UploadSlowly,
};
use crate::scenario::{Need, Opening, Scenario};

const LINGER: &str = "RFC 9112 §9.6";
const NOTIFY: &str = "RFC 8446 §6.1";

/// Every scenario, in the order of the report.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "early.stops_at_error",
        title: "A large upload is refused; the client stops at a failed write",
        loss: "such clients (Python's http.client and many others) report a broken pipe instead of the response",
        steps: &[Send(UPLOAD), Upload, AwaitResponse],
        ..EARLY
    },
    Scenario {
        name: "early.writes_then_reads",
        title: "A large upload is refused; the client writes what it can, then reads",
        loss: "clients that write first get a reset where the response should be",
        manner: WritesThenReads,
        steps: &[Send(UPLOAD), Upload, AwaitResponse],
        ..EARLY
    },
    Scenario {
        name: "early.reads_while_writing",
        title: "A large upload is refused; the client reads while it writes",
        loss: "even browsers and curl lose the response",
        manner: ReadsWhileWriting,
        steps: &[Send(UPLOAD), Upload, AwaitResponse],
        ..EARLY
    },
    Scenario {
        name: "early.chunked",
        title: "A large upload without a stated length is refused",
        loss: "streaming clients report a broken pipe instead of the response",
        steps: &[
            Send(
                "{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Transfer-Encoding: chunked\r\n\r\n",
            ),
            UploadChunked,
            AwaitResponse,
        ],
        ..EARLY
    },
    Scenario {
        name: "early.expect",
        title: "A large upload that asks first (Expect: 100-continue) and is sent all the same",
        clause: "RFC 9110 §10.1.1",
        loss: "a client that asks, and does not wait for ever, loses the answer",
        steps: &[
            Send(
                "{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Expect: 100-continue\r\nContent-Length: {upload}\r\n\r\n",
            ),
            AwaitContinue,
            Upload,
            AwaitResponse,
        ],
        ..EARLY
    },
    Scenario {
        name: "early.slow",
        title: "A slow upload is refused",
        loss: "users on slow lines get a broken connection instead of the response",
        steps: &[
            // 20 pieces of 16 KiB.
            Send("{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Content-Length: 327680\r\n\r\n"),
            UploadSlowly { pieces: 20, bytes: 16 << 10, pause: Duration::from_millis(25) },
            AwaitResponse,
        ],
        ..EARLY
    },
    Scenario {
        name: "large.unread_upload",
        title: "A response larger than the sockets' buffers, while the request's body stays unread",
        loss: "the response is cut off in the middle",
        needs: &[Need::LargePath],
        opening: Opening::SmallBuffer,
        manner: ReadsWhileWriting,
        steps: &[
            Send("GET {large} HTTP/1.1\r\nHost: {authority}\r\n{headers}Content-Length: {upload}\r\n\r\n"),
            Upload,
            AwaitResponse,
        ],
        ..EARLY
    },
    Scenario {
        name: "close.requested",
        title: "A request with Connection: close",
        loss: "the connection breaks instead of ending",
        steps: &[Send(GET_LAST), AwaitEnd],
        ..CLOSE
    },
    Scenario {
        name: "close.idle",
        title: "A kept-alive connection is left idle until the server ends it",
        loss: "pooled connections end in an error",
        steps: &[Send(GET), AwaitResponse, AwaitIdleEnd],
        ..CLOSE
    },
    Scenario {
        name: "close.pipelined",
        title: "More requests behind one with Connection: close",
        loss: "a client that pipelines loses the one response that it was due",
        steps: &[Send(GET_LAST), Repeat(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 4 << 20), AwaitEnd],
        ..CLOSE
    },
    Scenario {
        name: "close.half_closed",
        title: "The client ends its own side right after the request",
        loss: "a client that half-closes gets no response",
        steps: &[Send(GET_LAST), HalfClose, AwaitEnd],
        ..CLOSE
    },
    Scenario {
        name: "error.bad_request",
        title: "A request that cannot be parsed, and more of it",
        clause: "RFC 9110 §15.5.1",
        loss: "the client never learns what was wrong with its request",
        steps: &[
            Send("GET {path} HTTP/1.1\r\nHost: {authority}\r\nno colon here\r\n\r\n"),
            Repeat(b"garbage \x01\x02\r\n", 8 << 20),
            AwaitResponse,
        ],
        expect: ClientError,
        ..EARLY
    },
    Scenario {
        name: "error.headers_too_large",
        title: "Header fields without end",
        clause: "RFC 6585 §5",
        loss: "the client sees a broken connection instead of 431",
        steps: &[
            Send("GET {path} HTTP/1.1\r\nHost: {authority}\r\n"),
            Repeat(b"X-Filler: 0123456789012345678901234567890123456789\r\n", 8 << 20),
            AwaitResponse,
        ],
        expect: ClientError,
        ..EARLY
    },
    Scenario {
        name: "release.silent",
        severity: CanBeHeldOpen,
        title: "The client has everything, says nothing, and does not close",
        loss: "anyone can hold this server's sockets open for free",
        steps: &[Send(GET_LAST), AwaitEnd, Stay],
        expect: Release,
        ..CLOSE
    },
    Scenario {
        name: "release.trickle",
        severity: CanBeHeldOpen,
        title: "The client sends a byte a second for ever",
        loss: "anyone can hold this server's sockets open for the price of a byte a second",
        steps: &[Send(GET_LAST), AwaitEnd, Trickle(Duration::from_secs(1))],
        expect: Release,
        ..CLOSE
    },
    Scenario {
        name: "tls.close_notify",
        severity: BreaksProtocol,
        title: "close_notify at the end of a connection",
        clause: NOTIFY,
        loss: "the client cannot tell the end from a cut; OpenSSL 3 and GnuTLS report an error",
        needs: &[Need::Tls],
        steps: &[Send(GET_LAST), AwaitEnd],
        expect: CloseNotify,
        ..CLOSE
    },
    Scenario {
        name: "tls.close_notify_idle",
        severity: BreaksProtocol,
        title: "close_notify at the end of an idle connection",
        clause: NOTIFY,
        loss: "pooled connections end in what looks like a truncation attack",
        needs: &[Need::Tls],
        steps: &[Send(GET), AwaitResponse, AwaitIdleEnd],
        expect: CloseNotify,
        ..CLOSE
    },
    Scenario {
        name: "tls.answered",
        severity: Harsh,
        title: "The client answers close_notify with its own",
        clause: NOTIFY,
        loss: "a client that does as TLS says is answered by a reset",
        needs: &[Need::Tls],
        steps: &[Send(GET_LAST), AwaitEnd, AnswerCloseNotify],
        ..CLOSE
    },
    Scenario {
        name: "alert.protocol",
        title: "No common application protocol, to a client that keeps sending",
        clause: "RFC 7301 §3.2",
        loss: "the client sees a reset instead of no_application_protocol",
        needs: &[Need::Alpn],
        opening: Opening::UnknownProtocol,
        ..ALERT
    },
    Scenario {
        name: "alert.version",
        title: "No common TLS version, to a client that keeps sending",
        clause: "RFC 8446 §4.2.1",
        loss: "an old client sees a reset instead of protocol_version",
        opening: Opening::OldVersion,
        ..ALERT
    },
    Scenario {
        name: "alert.certificate",
        title: "No client certificate where one is asked for",
        clause: "RFC 8446 §4.4.2.4",
        loss: "the client sees a broken connection and never learns that it needs a certificate",
        needs: &[Need::ClientCertificate],
        opening: Opening::NoCertificate,
        ..ALERT
    },
    Scenario {
        name: "h2.goaway",
        severity: BreaksProtocol,
        title: "HTTP/2: garbage after the preface, and more of it",
        clause: "RFC 9113 §5.4.1",
        loss: "the client never learns what was wrong",
        needs: &[Need::Http2],
        opening: Opening::Http2,
        steps: &[SendBytes(PREFACE), Repeat(&[0xff; 1024], 8 << 20), AwaitEnd],
        expect: GoAway,
        ..EARLY
    },
    Scenario {
        name: "websocket.close",
        severity: BreaksProtocol,
        title: "WebSocket: more frames behind the client's Close",
        clause: "RFC 6455 §7.1.1",
        loss: "the browser reports 1006 instead of the close code",
        needs: &[Need::WebsocketPath],
        steps: &[
            Send(
                "GET {websocket} HTTP/1.1\r\nHost: {authority}\r\n{headers}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            ),
            AwaitResponse,
            // Masked by zeros: Close with code 1000, then Pings.
            SendBytes(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]),
            Repeat(&[0x89, 0x80, 0, 0, 0, 0], 1 << 20),
            AwaitEnd,
        ],
        expect: WebsocketClose,
        ..CLOSE
    },
];

/// A refusal that comes while the client still sends.
const EARLY: Scenario = Scenario {
    name: "",
    title: "",
    clause: LINGER,
    severity: LosesResponses,
    loss: "",
    needs: &[],
    opening: Opening::Plain,
    manner: StopsAtError,
    steps: &[],
    expect: Response,
};

/// A connection's ordinary end.
const CLOSE: Scenario = Scenario { expect: CleanEnd, ..EARLY };

/// A handshake that fails.
const ALERT: Scenario = Scenario {
    severity: BreaksProtocol,
    needs: &[Need::Tls],
    steps: &[RepeatRaw(8 << 20), AwaitEnd],
    expect: Alert,
    ..EARLY
};

pub(crate) const GET: &str = "GET {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}\r\n";
pub(crate) const GET_LAST: &str =
    "GET {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Connection: close\r\n\r\n";
pub(crate) const UPLOAD: &str =
    "{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Content-Length: {upload}\r\n\r\n";
/// RFC 9113 §3.4, with an empty SETTINGS frame.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_scenario_says_what_it_is_about_under_a_name_of_its_own() {
        let mut names = BTreeSet::new();
        for scenario in ALL {
            assert!(names.insert(scenario.name), "{}", scenario.name);
            for text in [scenario.name, scenario.title, scenario.clause, scenario.loss] {
                assert!(!text.is_empty(), "{}", scenario.name);
            }
            assert!(!scenario.steps.is_empty(), "{}", scenario.name);
        }
    }
}
