//! Unix sockets.

use tokio::net::UnixStream;

use super::{SocketRef, Transport, sys};

impl Transport for UnixStream {
    type Raw = Self;

    fn into_raw(self) -> Self {
        self
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        Some(sys::as_socket(self))
    }
}
