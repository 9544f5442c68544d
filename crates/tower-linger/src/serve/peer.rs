//! What a request handler can know of its connection.

use std::net::SocketAddr;

use crate::serve::close_handle::CloseHandle;

/// The peer of a connection, and a handle to override how the connection closes.
///
/// [`serve`](crate::serve()) puts it into the extensions of each request. With `axum`, take it by
/// `ConnectInfo<Peer>`.
#[derive(Debug, Clone)]
pub struct Peer<A = SocketAddr> {
    /// The peer's address.
    pub address: A,
    /// For handlers and middleware.
    pub close: CloseHandle,
}
