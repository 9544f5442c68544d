//! What only a socket can do. Everything here is a best effort: it is asked of a socket that is about to be
//! released.

use std::io;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use socket2::SockRef;

use super::{SocketRef, Transport, sys};

/// Makes the socket's release a RST: the zero linger, the only one that does not block `close`. Says whether
/// it will be one: other sockets than TCP's know no RST.
pub(crate) fn abort(stream: &impl Transport) -> bool {
    let Some(socket) = stream.socket() else { return false };
    let socket = SockRef::from(&socket);
    let is_ip = socket.local_addr().is_ok_and(|address| address.as_socket().is_some());
    is_ip && socket.set_linger(Some(Duration::ZERO)).is_ok()
}

/// Bounds the life of what the kernel still has to deliver after the release (`TCP_USER_TIMEOUT`, tcp(7)).
pub(crate) fn bound_orphan(stream: &impl Transport, timeout: Duration) {
    if let Some(socket) = stream.socket() {
        sys::set_user_timeout(socket, timeout);
    }
}

/// Reads what has arrived unseen, so that closing the descriptor does not send a RST for it (Linux
/// `tcp_close`).
pub(crate) fn discard_arrived(stream: &impl Transport, limit: NonZeroUsize) -> usize {
    let Some(socket) = stream.socket() else { return 0 };
    let mut total = 0;
    while let Some(left) = NonZeroUsize::new(limit.get() - total) {
        match sys::discard(socket, left) {
            // Errors are ignored: the socket is about to be released.
            Ok(0) | Err(_) => break,
            Ok(bytes) => total += bytes,
        }
    }
    total
}

/// Discards what has arrived, at most `limit` bytes; 0 is the end of the peer's data.
pub(crate) fn discard_now(stream: &impl Transport, limit: NonZeroUsize) -> io::Result<usize> {
    stream.socket().map_or(Err(io::ErrorKind::WouldBlock.into()), |socket| sys::discard(socket, limit))
}

/// Wakes the reader only when this many bytes are there; says whether that can be had.
pub(crate) fn set_low_water(stream: &impl Transport, bytes: u32) -> bool {
    stream.socket().is_some_and(|socket| sys::set_low_water(socket, bytes))
}

/// Bytes of ours that the peer has not acknowledged, the FIN not counted; where the system can tell.
pub(crate) fn unacked(stream: &impl Transport) -> Option<u64> {
    stream.socket().and_then(sys::unacked)
}

/// How long ago the peer's last bytes arrived, where the system can tell.
pub(crate) fn last_received(stream: &impl Transport) -> Option<Duration> {
    stream.socket().and_then(sys::last_received)
}

/// The peer's address, where it has one; its IPv4 address where that is mapped into IPv6.
pub(crate) fn peer(stream: &impl Transport) -> Option<IpAddr> {
    let socket = stream.socket()?;
    Some(SockRef::from(&socket).peer_addr().ok()?.as_socket()?.ip().to_canonical())
}

/// Corks the socket, so that what is written next waits for the FIN and leaves with it.
#[cfg(feature = "rustls")]
pub(super) fn cork(socket: SocketRef<'_>) {
    sys::cork(socket);
}

/// Writes at most once, without waiting, and shuts down the write side; says whether all was written.
#[cfg(feature = "rustls")]
pub(super) fn last_words(socket: SocketRef<'_>, words: &[u8]) -> io::Result<bool> {
    let socket = SockRef::from(&socket);
    let sent = socket.send_with_flags(words, sys::NO_SIGNAL)?;
    socket.shutdown(std::net::Shutdown::Write)?;
    Ok(sent == words.len())
}
