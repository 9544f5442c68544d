//! What only a socket can do. Nothing here can fail a close: most of it is asked of a socket that is about to
//! be released.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use socket2::{SockRef, Socket};

use super::sys;
use super::transport::Transport;

fn with_socket<R>(stream: &impl Transport, ask: impl FnOnce(&Socket) -> R) -> Option<R> {
    stream.socket().map(|socket| ask(&SockRef::from(&socket)))
}

/// Makes the socket's release a RST. It sets `SO_LINGER` to zero, the only value with which `close` does not
/// block. Returns whether the release will be a RST: only TCP sockets send one.
pub(crate) fn abort(stream: &impl Transport) -> bool {
    let set = with_socket(stream, |socket| {
        let is_ip = socket.local_addr().is_ok_and(|address| address.as_socket().is_some());
        is_ip && socket.set_linger(Some(Duration::ZERO)).is_ok()
    });
    set.unwrap_or(false)
}

/// Bounds how long the kernel goes on delivering after the release (`TCP_USER_TIMEOUT`, tcp(7)).
pub(crate) fn bound_orphan(stream: &impl Transport, timeout: Duration) {
    with_socket(stream, |socket| sys::set_user_timeout(socket, timeout));
}

/// Discards what has arrived and was not read, so that closing the descriptor does not send a RST for it
/// (Linux `tcp_close`). Returns how many bytes that were.
pub(crate) fn discard_arrived(stream: &impl Transport, limit: NonZeroUsize) -> usize {
    let discarded = with_socket(stream, |socket| {
        let mut total = 0;
        while let Some(left) = NonZeroUsize::new(limit.get() - total) {
            match sys::discard(socket, left) {
                // Errors are ignored: the socket is about to be released.
                Ok(0) | Err(_) => break,
                Ok(bytes) => total += bytes,
            }
        }
        total
    });
    discarded.unwrap_or(0)
}

/// Discards what has arrived, at most `limit` bytes; 0 is the end of the peer's data.
pub(crate) fn discard_now(stream: &impl Transport, limit: NonZeroUsize) -> io::Result<usize> {
    let discarded = with_socket(stream, |socket| sys::discard(socket, limit));
    discarded.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
}

/// Lets the kernel wake the reader only when this many bytes are there. Returns whether it can.
pub(crate) fn set_low_water(stream: &impl Transport, bytes: u32) -> bool {
    with_socket(stream, |socket| sys::set_low_water(socket, bytes)).unwrap_or(false)
}

/// Bytes of ours that the peer has not acknowledged, the FIN not counted; none where the system cannot tell.
pub(crate) fn unacked(stream: &impl Transport) -> Option<u64> {
    with_socket(stream, sys::unacked).flatten()
}

/// How long ago the peer's last bytes arrived; none where the system cannot tell.
pub(crate) fn last_received(stream: &impl Transport) -> Option<Duration> {
    with_socket(stream, sys::last_received).flatten()
}

/// The peer's address, if it has one. An IPv4 address that is mapped into IPv6 is returned as IPv4.
pub(crate) fn peer(stream: &impl Transport) -> Option<IpAddr> {
    let peer = with_socket(stream, |socket| socket.peer_addr().ok());
    Some(peer.flatten()?.as_socket()?.ip().to_canonical())
}

/// Lets no further client connect to this listener, where the system can do that without harm to those whose
/// handshake has begun, or lets them connect again. Returns whether it can.
#[cfg(feature = "serve")]
pub(crate) fn drop_new_handshakes<'a, L>(listener: &'a L, drops: bool) -> bool
where
    SockRef<'a>: From<&'a L>,
{
    sys::drop_new_handshakes(&SockRef::from(listener), drops)
}

/// Which sockets a connection is between.
#[derive(Debug, Default)]
#[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "only a span tells"))]
pub(crate) struct Ends {
    /// `tcp` or `unix`, as OpenTelemetry calls them; none where there is no socket.
    pub(crate) transport: Option<&'static str>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) peer: Option<SocketAddr>,
}

/// Asks the system which sockets a connection is between.
pub(crate) fn ends(stream: &impl Transport) -> Ends {
    let ends = with_socket(stream, |socket| {
        let local = socket.local_addr().ok();
        let is_unix = local.as_ref().is_some_and(socket2::SockAddr::is_unix);
        let ip = |address: socket2::SockAddr| {
            address.as_socket().map(|it| SocketAddr::new(it.ip().to_canonical(), it.port()))
        };
        let (local, peer) = (local.and_then(ip), socket.peer_addr().ok().and_then(ip));
        let transport = if is_unix { Some("unix") } else { local.map(|_| "tcp") };
        Ends { transport, local, peer }
    });
    ends.unwrap_or_default()
}

/// Corks the socket: what is written next waits for the FIN and leaves with it.
pub(super) fn cork(stream: &impl Transport) {
    with_socket(stream, sys::cork);
}

/// Writes once, without waiting. Returns how many bytes were written.
pub(super) fn send_now(stream: &impl Transport, bytes: &[u8]) -> io::Result<usize> {
    let sent = with_socket(stream, |socket| socket.send_with_flags(bytes, sys::NO_SIGNAL));
    sent.unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))
}

/// Writes once, without waiting, and shuts down the write side. Returns whether everything was written.
pub(super) fn last_words(stream: &impl Transport, words: &[u8]) -> io::Result<bool> {
    let sent = send_now(stream, words)?;
    with_socket(stream, |socket| socket.shutdown(std::net::Shutdown::Write)).transpose()?;
    Ok(sent == words.len())
}
