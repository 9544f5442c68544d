//! All scenarios. To add one, add an entry to [`ALL`].

use std::time::Duration;

use crate::http2::PREFACE;
use crate::model::Severity::{BreaksProtocol, CanBeHeldOpen, Harsh, LosesResponses};
use crate::scenario::Expect::{
    Alert, CleanEnd, ClientError, CloseNotify, GoAway, Http2Response, NoReset, Release, Response,
    WebsocketClose,
};
use crate::scenario::Manner::{ReadsWhileWriting, StopsAtError, WritesThenReads};
use crate::scenario::Step::{
    AnswerCloseNotify, AwaitContinue, AwaitEnd, AwaitIdleEnd, AwaitResponse, HalfClose, Http2Request,
    Http2Upload, LookForReset, Repeat, RepeatRaw, Send, SendBytes, Stay, Trickle, Upload, UploadChunked,
    UploadSlowly,
};
use crate::scenario::{Need, Opening, Scenario, Step};

const LINGER: &str = "RFC 9112 §9.6";
const NOTIFY: &str = "RFC 8446 §6.1";

/// Every scenario, in the order of the report.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "early.stops_at_error",
        title: "A large upload is refused; the client stops at a failed write",
        loss: "such clients (Python's http.client and many others) report a broken pipe instead of the \
               response",
        steps: &[Send(UPLOAD), Upload, AwaitResponse, LookForReset],
        ..EARLY
    },
    Scenario {
        name: "early.writes_then_reads",
        title: "A large upload is refused; the client writes what it can, then reads",
        loss: "clients that write first get a reset instead of the response",
        manner: WritesThenReads,
        steps: &[Send(UPLOAD), Upload, AwaitResponse, LookForReset],
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
        title: "A large upload in chunks is refused",
        loss: "streaming clients report a broken pipe instead of the response",
        steps: &[
            Send(
                "{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}\
                 Transfer-Encoding: chunked\r\n\r\n",
            ),
            UploadChunked,
            AwaitResponse,
            LookForReset,
        ],
        ..EARLY
    },
    Scenario {
        name: "early.expect",
        title: "A large upload with Expect: 100-continue; without an answer, the client sends it anyway",
        clause: "RFC 9110 §10.1.1",
        loss: "a client that asks first, but does not wait forever, loses the answer",
        steps: &[
            Send(
                "{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}\
                 Expect: 100-continue\r\nContent-Length: {upload}\r\n\r\n",
            ),
            AwaitContinue,
            Upload,
            AwaitResponse,
            LookForReset,
        ],
        ..EARLY
    },
    Scenario {
        name: "early.slow",
        title: "A slow upload is refused",
        loss: "users with slow connections get an error instead of the response",
        steps: &[
            Send("{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Content-Length: 327680\r\n\r\n"),
            // 3 s: longer than the half second that some servers drain, shorter than the 5 s of others.
            UploadSlowly { pieces: 20, bytes: 16 << 10, pause: Duration::from_millis(150) },
            AwaitResponse,
            LookForReset,
        ],
        ..EARLY
    },
    Scenario {
        name: "large.unread_upload",
        title: "A response larger than the socket buffers, while the request's body stays unread",
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
        loss: "the connection breaks instead of ending cleanly",
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
        // Harsh: the client should not have sent them (RFC 9112 §9.6).
        severity: Harsh,
        title: "Two more requests after one with Connection: close",
        loss: "a client that pipelines loses the one response that it is owed",
        steps: &[Send(LAST_OF_THREE), AwaitEnd],
        ..CLOSE
    },
    Scenario {
        name: "close.half_closed",
        title: "The client half-closes right after the request",
        loss: "a client that half-closes gets no response",
        steps: &[Send(GET_LAST), HalfClose, AwaitEnd],
        ..CLOSE
    },
    Scenario {
        name: "error.bad_request",
        title: "A request that cannot be parsed",
        clause: "RFC 9110 §15.5.1",
        loss: "the client never learns what was wrong with its request",
        steps: &[Send(BAD), AwaitResponse, LookForReset],
        expect: ClientError,
        ..EARLY
    },
    Scenario {
        name: "error.headers_too_large",
        title: "100 KiB of header fields",
        manner: WritesThenReads,
        clause: "RFC 6585 §5",
        loss: "the client sees a broken connection instead of 431",
        steps: &[
            Send("GET {path} HTTP/1.1\r\nHost: {authority}\r\n"),
            Repeat(FILLER, 100 << 10),
            SendBytes(b"\r\n\r\n"),
            AwaitResponse,
            LookForReset,
        ],
        expect: ClientError,
        ..EARLY
    },
    Scenario {
        name: "release.silent",
        title: "The client has the whole response, sends nothing, and does not close",
        severity: CanBeHeldOpen,
        loss: "anyone can hold this server's sockets open for free",
        steps: &[Send(GET_LAST), AwaitResponse, Stay],
        expect: Release,
        ..CLOSE
    },
    Scenario {
        name: "release.trickle",
        title: "The client has the whole response, and sends a byte a second",
        severity: CanBeHeldOpen,
        loss: "anyone can hold this server's sockets open for the price of a byte a second",
        steps: &[Send(GET_LAST), AwaitResponse, Trickle(Duration::from_secs(1))],
        expect: Release,
        ..CLOSE
    },
    Scenario {
        name: "tls.close_notify",
        title: "close_notify at the end of a connection",
        loss: "the client cannot tell the end from a truncation; OpenSSL 3 and GnuTLS report an error",
        steps: &[Send(GET_LAST), AwaitEnd],
        ..NOTIFIED
    },
    Scenario {
        name: "tls.close_notify_idle",
        title: "close_notify at the end of an idle connection",
        loss: "pooled connections end in what looks like a truncation attack",
        steps: &[Send(GET), AwaitResponse, AwaitIdleEnd],
        ..NOTIFIED
    },
    Scenario {
        name: "tls.answered",
        title: "The client answers close_notify with its own",
        severity: Harsh,
        loss: "a client that closes as TLS requires loses the response",
        steps: &[Send(GET_LAST), AwaitEnd, AnswerCloseNotify, LookForReset],
        expect: NoReset,
        ..NOTIFIED
    },
    Scenario { name: "alert.protocol", title: "No common application protocol", ..ALERT_PROTOCOL },
    Scenario { name: "alert.version", title: "No common TLS version", ..ALERT_VERSION },
    Scenario {
        name: "alert.certificate",
        title: "No client certificate where one is asked for",
        ..ALERT_CERTIFICATE
    },
    Scenario {
        name: "h2.refused_upload",
        title: "HTTP/2: a large upload is refused",
        clause: "RFC 9113 §8.1",
        loss: "HTTP/2 clients report a failed stream instead of the response",
        needs: &[Need::Http2],
        opening: Opening::Http2,
        manner: ReadsWhileWriting,
        steps: &[SendBytes(PREFACE), Http2Upload, AwaitResponse, LookForReset],
        expect: Http2Response,
        ..EARLY
    },
    Scenario {
        name: "h2.idle",
        title: "HTTP/2: a connection is left idle until the server ends it",
        clause: "RFC 9113 §6.8",
        loss: "the client cannot tell which requests may be sent again",
        steps: &[SendBytes(PREFACE), Http2Request, AwaitResponse, AwaitIdleEnd],
        ..GOES_AWAY
    },
    Scenario {
        name: "h2.garbage",
        title: "HTTP/2: an invalid frame",
        clause: "RFC 9113 §5.4.1",
        loss: "the client never learns what was wrong",
        steps: &[SendBytes(PREFACE), SendBytes(SHORT_PING), AwaitEnd],
        ..GOES_AWAY
    },
    Scenario {
        name: "websocket.close",
        title: "WebSocket: the client sends Close",
        clause: "RFC 6455 §7.1.1",
        severity: BreaksProtocol,
        loss: "the browser reports 1006 instead of the close code",
        needs: &[Need::WebsocketPath],
        steps: &[Send(UPGRADE), AwaitResponse, SendBytes(WEBSOCKET_CLOSE), AwaitEnd],
        expect: WebsocketClose,
        ..CLOSE
    },
    Scenario {
        name: "flood.pipelined",
        title: "4 MiB of requests after one with Connection: close",
        severity: Harsh,
        loss: "a client that keeps pipelining loses the one response that it is owed",
        steps: &[Send(GET_LAST), Repeat(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 4 << 20), AwaitEnd],
        ..CLOSE
    },
    Scenario {
        name: "flood.bad_request",
        title: "A request that cannot be parsed, and 8 MiB after it",
        clause: "RFC 9110 §15.5.1",
        severity: Harsh,
        loss: "a client that keeps sending never learns what was wrong with its request",
        steps: &[Send(BAD), Repeat(b"garbage \x01\x02\r\n", 8 << 20), AwaitResponse],
        expect: ClientError,
        ..EARLY
    },
    Scenario {
        name: "flood.headers",
        title: "8 MiB of header fields",
        clause: "RFC 6585 §5",
        severity: Harsh,
        loss: "the client sees a broken connection instead of 431",
        steps: &[
            Send("GET {path} HTTP/1.1\r\nHost: {authority}\r\n"),
            Repeat(FILLER, 8 << 20),
            AwaitResponse,
        ],
        expect: ClientError,
        ..EARLY
    },
    Scenario {
        name: "flood.alert_protocol",
        title: "No common application protocol; the client sends 8 MiB more",
        severity: Harsh,
        steps: FLOOD,
        ..ALERT_PROTOCOL
    },
    Scenario {
        name: "flood.alert_version",
        title: "No common TLS version; the client sends 8 MiB more",
        severity: Harsh,
        steps: FLOOD,
        ..ALERT_VERSION
    },
    Scenario {
        name: "flood.alert_certificate",
        title: "No client certificate; the client sends 8 MiB more",
        severity: Harsh,
        steps: FLOOD,
        ..ALERT_CERTIFICATE
    },
    Scenario {
        name: "flood.h2_garbage",
        title: "HTTP/2: 8 MiB of garbage after the preface",
        clause: "RFC 9113 §5.4.1",
        severity: Harsh,
        manner: StopsAtError,
        loss: "a client that keeps sending never learns what was wrong",
        steps: &[SendBytes(PREFACE), Repeat(&[0xff; 1024], 8 << 20), AwaitEnd],
        ..GOES_AWAY
    },
    Scenario {
        name: "flood.websocket",
        title: "WebSocket: 1 MiB of Pings after the client's Close",
        clause: "RFC 6455 §7.1.1",
        severity: Harsh,
        loss: "the browser reports 1006 instead of the close code",
        needs: &[Need::WebsocketPath],
        steps: &[
            Send(UPGRADE),
            AwaitResponse,
            SendBytes(WEBSOCKET_CLOSE),
            Repeat(&[0x89, 0x80, 0, 0, 0, 0], 1 << 20),
            AwaitEnd,
        ],
        expect: WebsocketClose,
        ..CLOSE
    },
];

/// The server refuses a request while the client is still sending it.
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

/// The ordinary end of a connection.
const CLOSE: Scenario = Scenario { expect: CleanEnd, ..EARLY };

/// The end of a TLS connection, which `close_notify` announces.
const NOTIFIED: Scenario =
    Scenario { clause: NOTIFY, severity: BreaksProtocol, needs: &[Need::Tls], expect: CloseNotify, ..CLOSE };

/// A handshake that fails; the client waits for the alert.
const ALERT: Scenario =
    Scenario { severity: BreaksProtocol, needs: &[Need::Tls], steps: &[AwaitEnd], expect: Alert, ..EARLY };
const ALERT_PROTOCOL: Scenario = Scenario {
    clause: "RFC 7301 §3.2",
    loss: "the client never sees no_application_protocol",
    needs: &[Need::Alpn],
    opening: Opening::UnknownProtocol,
    ..ALERT
};
const ALERT_VERSION: Scenario = Scenario {
    clause: "RFC 8446 §4.2.1",
    loss: "an old client never sees protocol_version",
    opening: Opening::OldVersion,
    ..ALERT
};
const ALERT_CERTIFICATE: Scenario = Scenario {
    clause: "RFC 8446 §4.4.2.4",
    loss: "the client never learns that it needs a certificate",
    needs: &[Need::ClientCertificate],
    opening: Opening::NoCertificate,
    ..ALERT
};
const FLOOD: &[Step] = &[RepeatRaw(8 << 20), AwaitEnd];

/// An HTTP/2 connection whose end GOAWAY must announce.
const GOES_AWAY: Scenario = Scenario {
    severity: BreaksProtocol,
    needs: &[Need::Http2],
    opening: Opening::Http2,
    manner: ReadsWhileWriting,
    expect: GoAway,
    ..EARLY
};

pub(crate) const GET: &str = "GET {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}\r\n";
pub(crate) const GET_LAST: &str =
    "GET {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Connection: close\r\n\r\n";
const LAST_OF_THREE: &str = "GET {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Connection: close\r\n\r\n\
     GET {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}\r\n\
     GET {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}\r\n";
const BAD: &str = "GET {path} HTTP/1.1\r\nHost: {authority}\r\nno colon here\r\n\r\n";
const FILLER: &[u8] = b"X-Filler: 0123456789012345678901234567890123456789\r\n";
pub(crate) const UPLOAD: &str =
    "{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Content-Length: {upload}\r\n\r\n";
const UPGRADE: &str = "GET {websocket} HTTP/1.1\r\nHost: {authority}\r\n{headers}Connection: Upgrade\r\n\
     Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
/// A PING of one byte, which is a connection error (RFC 9113 §6.7). An unknown frame type would be ignored.
const SHORT_PING: &[u8] = &[0, 0, 1, 6, 0, 0, 0, 0, 0, 0];
/// Close with code 1000, masked by zeros.
const WEBSOCKET_CLOSE: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_scenario_has_a_unique_name_and_all_texts() {
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
