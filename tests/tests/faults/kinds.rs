//! The kinds of connections: what each client sends, and where its connection then stays.

use tower_linger_tests::peer::head;

use super::scene::Target;

/// One client.
pub(crate) struct Kind {
    pub(crate) target: Target,
    /// Nothing, not even a handshake, if it is empty.
    pub(crate) request: Vec<u8>,
    /// What it reads before it stops reading.
    pub(crate) answer: &'static str,
    /// Whether it then ends its side.
    pub(crate) half_closes: bool,
    pub(crate) stays: Stays,
}

/// Where a connection stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stays {
    /// Served, with a request of this path under way, if there is one.
    Served(Option<&'static str>),
    /// Served without a request: it can be asked once more.
    Idle,
    /// Closing, in this phase.
    Closing(&'static str),
    /// In its drain, and the client goes on sending.
    Trickling,
}

impl Kind {
    fn new(target: Target, request: impl Into<Vec<u8>>, answer: &'static str, stays: Stays) -> Self {
        Self { target, request: request.into(), answer, half_closes: false, stays }
    }
}

/// An upload that does not end.
const UPLOAD_BYTES: usize = 64 << 20;

/// Every way of being served, by each of the servers that can.
pub(crate) fn served() -> Vec<Kind> {
    use Stays::{Idle, Served};
    use Target::{Own, Plain, Tls};

    let mut kinds = Vec::new();
    for target in [Plain, Tls, Own] {
        for (request, answer, stays) in [
            // Over TLS it is in its handshake.
            ("", "", Served(None)),
            ("GET / HTTP/1.1\r\nHo", "", Served(None)),
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hello", Idle),
            ("GET /pending HTTP/1.1\r\nHost: x\r\n\r\n", "", Served(Some("pending"))),
            (
                "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nsome",
                "",
                Served(Some("upload")),
            ),
            ("GET /events HTTP/1.1\r\nHost: x\r\n\r\n", "an event", Served(Some("events"))),
            // The client's window is full soon.
            ("GET /large HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK", Served(Some("large"))),
            (
                "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                "welcome",
                Served(Some("upgrade")),
            ),
        ] {
            kinds.push(Kind::new(target, request, answer, stays));
        }
    }
    for target in [Plain, Tls] {
        let request = "GET /pending HTTP/1.1\r\nHost: x\r\n\r\n";
        let kind = Kind::new(target, request, "", Served(Some("pending")));
        kinds.push(Kind { half_closes: true, ..kind });
    }
    kinds.push(Kind::new(Plain, http2_request("/"), "", Served(None)));
    kinds.push(Kind::new(Plain, http2_request("/pending"), "", Served(Some("pending"))));
    kinds
}

/// Closes in every phase that can be waited for, but for those of [`Menagerie`](super::menagerie)'s clients
/// that acknowledge nothing.
pub(crate) fn closing() -> Vec<Kind> {
    use Stays::{Closing, Trickling};
    use Target::{Own, Plain, Raw, Tls};

    // What is announced may still come, so its close waits.
    let last = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n")
    };
    let mut kinds = Vec::new();
    for target in [Plain, Tls, Own] {
        kinds.push(Kind::new(target, last("/"), "hello", Closing("drain")));
        kinds.push(Kind::new(target, head("PUT", "/refused", UPLOAD_BYTES), "too large", Trickling));
    }
    for target in [Plain, Tls] {
        kinds.push(Kind::new(target, last("/peer-first"), "hello", Closing("peer_first")));
    }
    kinds.push(Kind::new(Tls, last("/await"), "hello", Closing("drain")));
    // The service has ended when the client's window is full.
    kinds.push(Kind::new(Raw, "f", "", Closing("flush")));
    kinds
}

/// The HTTP/2 preface, empty settings and one GET (RFC 9113, RFC 7541).
fn http2_request(path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).expect("a short one");
    let mut block = vec![0x82, 0x86, 0x04, length];
    block.extend_from_slice(path.as_bytes());
    block.extend_from_slice(&[0x01, 1, b'x']);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    bytes.extend_from_slice(&[0, 0, u8::try_from(block.len()).expect("a short one"), 1, 5, 0, 0, 0, 1]);
    bytes.extend_from_slice(&block);
    bytes
}
