//! The app that the wire tests serve, over TCP and over TLS.

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::any;

/// More than the buffers of two sockets hold: a client that uploads this much is still sending when the
/// response is there.
pub(crate) const UPLOAD_BYTES: usize = 64 << 20;

/// Size of the large response: at the end of its last write most of it is still in the server's socket.
pub(crate) const LARGE_BYTES: usize = 3 << 20;

/// For a loss that is a race: nearly always the first try shows it.
pub(crate) const TRIES: usize = 20;

pub(crate) const MESSAGE: &str = "not like this\n";

/// Answers by the path, without reading the request's body.
pub(crate) fn app() -> Router {
    let large = Bytes::from(vec![b'.'; LARGE_BYTES]);
    Router::new()
        .route("/small", any(async || MESSAGE))
        .route("/large", any(async move || large.clone()))
        .route("/413", any(async || (StatusCode::PAYLOAD_TOO_LARGE, MESSAGE)))
        .route("/401", any(async || (StatusCode::UNAUTHORIZED, MESSAGE)))
}

/// A request that is its connection's last.
pub(crate) fn last_request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes()
}
