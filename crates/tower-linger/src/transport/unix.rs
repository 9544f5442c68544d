//! Unix sockets.

use tokio::net::UnixStream;

use super::sys;
use super::transport::{SocketRef, Transport};

impl Transport for UnixStream {
    type Raw = Self;

    fn into_raw(self) -> Self {
        self
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        Some(sys::as_socket(self))
    }
}
