//! What the modules share.

use tower_linger::{CloseReport, Outcome};

use super::queues::queues;
pub(super) use super::site::{LARGE_BYTES, MESSAGE, TRIES, UPLOAD_BYTES, app, last_request};

#[track_caller]
pub(super) fn assert_peer_closed(report: &CloseReport) {
    let expected = Outcome::PeerClosed { close_notify: false };
    assert_eq!((report.outcome, report.failure), (expected, None), "{report}");
}

/// Waits until a socket of the server holds this many bytes that nobody has read.
pub(super) fn arrived(server_port: u16, bytes: usize) {
    // Each test has a bound of its own, which ends this if nothing else does.
    while !queues(server_port).iter().any(|&(_, _, unread)| unread == bytes) {
        std::thread::yield_now();
    }
}
