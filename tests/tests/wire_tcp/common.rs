//! What the modules share.

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::any;
use tower_linger::CloseReport;

/// More than the buffers of two sockets hold: a client that sends so much is still sending when the response
/// is there.
pub(super) const UPLOAD_BYTES: usize = 64 << 20;

/// Size of the large response: at the end of its last write most of it is still in the server's socket.
pub(super) const LARGE_BYTES: usize = 3 << 20;

/// For a loss that depends on who is faster; nearly always the first try shows it.
pub(super) const TRIES: usize = 20;

pub(super) const MESSAGE: &str = "not like this\n";

/// Answers by the path, without a look at the request's body.
pub(super) fn app() -> Router {
    let large = Bytes::from(vec![b'.'; LARGE_BYTES]);
    Router::new()
        .route("/small", any(async || MESSAGE))
        .route("/large", any(async move || large.clone()))
        .route("/413", any(async || (StatusCode::PAYLOAD_TOO_LARGE, MESSAGE)))
        .route("/401", any(async || (StatusCode::UNAUTHORIZED, MESSAGE)))
}

/// A request that is its connection's last.
pub(super) fn last_request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes()
}

#[track_caller]
pub(super) fn assert_peer_closed(report: &CloseReport) {
    let expected = tower_linger::Outcome::PeerClosed { close_notify: false };
    assert_eq!((report.outcome, report.failure), (expected, None), "{report}");
}

/// Waits until a socket of the server's has so many bytes that nobody has read.
pub(super) fn arrived(server_port: u16, bytes: usize) {
    let local = format!("0100007F:{server_port:04X}");
    let queued = format!(":{bytes:08X}");
    // The test's own bound ends this, if nothing else does.
    loop {
        let sockets = std::fs::read_to_string("/proc/net/tcp").expect("procfs is there");
        let mut sockets = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        if sockets.any(|socket| socket[1] == local && socket[3] != LISTENING && socket[4].ends_with(&queued))
        {
            return;
        }
        std::thread::yield_now();
    }
}

/// `TCP_LISTEN`, whose queue is one of connections.
const LISTENING: &str = "0A";
