//! TCP on every system but Linux: what sockets can do everywhere.

use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::Socket;
use tokio::net::TcpStream;

use crate::transport::discard;

/// Reads into the thread's buffer.
pub(crate) fn poll_discard(
    stream: &mut TcpStream,
    cx: &mut Context<'_>,
    limit: NonZeroUsize,
) -> Poll<io::Result<usize>> {
    discard::poll_discard(stream, cx, limit)
}

/// Never completes, because the system does not say when.
pub(crate) fn poll_acknowledged(_: &TcpStream, _: &mut Context<'_>) -> Poll<io::Result<Duration>> {
    Poll::Pending
}

/// Discards what has arrived, in one call. It does not wait, because tokio's sockets are non-blocking.
pub(crate) fn discard(socket: &Socket, limit: NonZeroUsize) -> io::Result<usize> {
    let mut scratch = [const { MaybeUninit::uninit() }; SCRATCH_BYTES];
    let length = limit.get().min(SCRATCH_BYTES);
    socket.recv(&mut scratch[..length])
}

/// Small enough for the stack.
const SCRATCH_BYTES: usize = 16 << 10;

pub(crate) fn set_low_water(_: &Socket, _: u32) -> bool {
    false
}

/// Other systems have nothing for this that leaves the handshakes alone that have begun.
#[cfg(feature = "serve")]
pub(crate) fn drop_new_handshakes(_: &Socket, _: bool) -> bool {
    false
}

pub(crate) fn set_user_timeout(_: &Socket, _: Duration) {}

#[cfg(target_vendor = "apple")]
pub(crate) use super::apple::unacked;
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn unacked(_: &Socket) -> Option<u64> {
    None
}

pub(crate) fn last_received(_: &Socket) -> Option<Duration> {
    None
}

/// Alert and FIN leave apart.
pub(crate) fn cork(_: &Socket) {}
