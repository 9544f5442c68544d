//! TCP.

use std::io;
use std::num::NonZeroUsize;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;

use super::sys;
use super::transport::{SocketRef, Transport};

impl Transport for TcpStream {
    type Raw = Self;

    fn poll_discard(&mut self, cx: &mut Context<'_>, limit: NonZeroUsize) -> Poll<io::Result<usize>> {
        sys::poll_discard(self, cx, limit)
    }

    fn poll_acknowledged(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Duration>> {
        sys::poll_acknowledged(self, cx)
    }

    fn into_raw(self) -> Self {
        self
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        Some(sys::as_socket(self))
    }
}
