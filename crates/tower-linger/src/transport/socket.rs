//! What only a socket can do. Everything here is a best effort: it is asked of a socket that is about to be released.

use std::io;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::{SocketRef, Transport};

/// Makes the socket's release a RST: the zero linger, the only one that does not block `close`. Sockets that know no
/// RST, Unix sockets among them, are only closed.
pub(crate) fn abort(stream: &impl Transport) -> bool {
    stream.socket().map(imp::set_zero_linger).is_some()
}

/// Bounds the life of what the kernel still has to deliver after the release (`TCP_USER_TIMEOUT`, tcp(7)).
pub(crate) fn bound_orphan(stream: &impl Transport, timeout: Duration) {
    if let Some(socket) = stream.socket() {
        imp::set_user_timeout(socket, timeout);
    }
}

/// Reads what has arrived unseen, so that closing the descriptor does not send a RST for it (Linux `tcp_close`).
pub(crate) fn discard_arrived(stream: &impl Transport, limit: NonZeroUsize) -> usize {
    stream.socket().map_or(0, |socket| imp::discard_arrived(socket, limit))
}

/// Discards what has arrived, at most `limit` bytes; 0 is the end of the peer's data.
pub(crate) fn discard_now(stream: &impl Transport, limit: NonZeroUsize) -> io::Result<usize> {
    stream.socket().map_or(Err(io::ErrorKind::WouldBlock.into()), |socket| imp::discard_now(socket, limit))
}

/// Wakes the reader only when this many bytes are there; says whether that can be had.
pub(crate) fn set_low_water(stream: &impl Transport, bytes: u32) -> bool {
    stream.socket().is_some_and(|socket| imp::set_low_water(socket, bytes))
}

/// Bytes of ours that the peer has not acknowledged, the FIN not counted; where the system can tell.
pub(crate) fn unacked(stream: &impl Transport) -> Option<u64> {
    stream.socket().and_then(imp::unacked)
}

/// The peer's address, where it has one; its IPv4 address where that is mapped into IPv6.
pub(crate) fn peer(stream: &impl Transport) -> Option<IpAddr> {
    Some(stream.socket().and_then(imp::peer)?.to_canonical())
}

/// Corks the socket, so that what is written next waits for the FIN and leaves with it.
#[cfg(feature = "rustls")]
pub(super) fn cork(socket: SocketRef<'_>) {
    imp::cork(socket);
}

/// Writes at most once, without waiting, and shuts down the write side; says whether all was written.
#[cfg(feature = "rustls")]
pub(super) fn last_words(socket: SocketRef<'_>, words: &[u8]) -> io::Result<bool> {
    imp::last_words(socket, words)
}

#[cfg(unix)]
mod imp {
    #[cfg(not(target_os = "linux"))]
    use std::{io, num::NonZeroUsize, time::Duration};

    use nix::sys::socket::{setsockopt, sockopt};

    use super::SocketRef;

    pub(super) fn set_zero_linger(socket: SocketRef<'_>) {
        let zero = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        let _ = setsockopt(&socket, sockopt::Linger, &zero);
    }

    pub(super) fn peer(socket: SocketRef<'_>) -> Option<std::net::IpAddr> {
        use std::os::fd::AsRawFd;

        use nix::sys::socket::{SockaddrStorage, getpeername};

        let peer: SockaddrStorage = getpeername(socket.as_raw_fd()).ok()?;
        let v4 = peer.as_sockaddr_in().map(|peer| peer.ip().into());
        v4.or_else(|| peer.as_sockaddr_in6().map(|peer| peer.ip().into()))
    }

    #[cfg(feature = "rustls")]
    pub(super) fn last_words(socket: SocketRef<'_>, words: &[u8]) -> std::io::Result<bool> {
        use std::os::fd::AsRawFd;

        use nix::sys::socket::{MsgFlags, Shutdown, send, shutdown};

        let sent = send(socket.as_raw_fd(), words, MsgFlags::MSG_DONTWAIT | NO_SIGNAL)?;
        shutdown(socket.as_raw_fd(), Shutdown::Write)?;
        Ok(sent == words.len())
    }

    /// Rust's runtime ignores SIGPIPE; where the flag exists, others are safe too.
    #[cfg(all(feature = "rustls", any(target_os = "linux", target_os = "android")))]
    const NO_SIGNAL: nix::sys::socket::MsgFlags = nix::sys::socket::MsgFlags::MSG_NOSIGNAL;
    #[cfg(all(feature = "rustls", not(any(target_os = "linux", target_os = "android"))))]
    const NO_SIGNAL: nix::sys::socket::MsgFlags = nix::sys::socket::MsgFlags::empty();

    #[cfg(all(feature = "rustls", target_os = "linux"))]
    pub(super) use super::super::linux::cork;
    #[cfg(target_os = "linux")]
    pub(super) use super::super::linux::{
        discard_arrived, discard_now, set_low_water, set_user_timeout, unacked,
    };

    #[cfg(not(target_os = "linux"))]
    pub(super) fn set_user_timeout(_: SocketRef<'_>, _: Duration) {}

    #[cfg(not(target_os = "linux"))]
    pub(super) fn discard_arrived(_: SocketRef<'_>, _: NonZeroUsize) -> usize {
        0
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn discard_now(_: SocketRef<'_>, _: NonZeroUsize) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn set_low_water(_: SocketRef<'_>, _: u32) -> bool {
        false
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn unacked(_: SocketRef<'_>) -> Option<u64> {
        None
    }

    #[cfg(all(feature = "rustls", not(target_os = "linux")))]
    pub(super) fn cork(_: SocketRef<'_>) {}
}

#[cfg(not(unix))]
mod imp {
    use std::io;
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use super::SocketRef;

    pub(super) fn set_zero_linger(_: SocketRef<'_>) {}

    pub(super) fn set_user_timeout(_: SocketRef<'_>, _: Duration) {}

    pub(super) fn discard_arrived(_: SocketRef<'_>, _: NonZeroUsize) -> usize {
        0
    }

    pub(super) fn discard_now(_: SocketRef<'_>, _: NonZeroUsize) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    pub(super) fn set_low_water(_: SocketRef<'_>, _: u32) -> bool {
        false
    }

    pub(super) fn unacked(_: SocketRef<'_>) -> Option<u64> {
        None
    }

    pub(super) fn peer(_: SocketRef<'_>) -> Option<std::net::IpAddr> {
        None
    }

    #[cfg(feature = "rustls")]
    pub(super) fn cork(_: SocketRef<'_>) {}

    #[cfg(feature = "rustls")]
    pub(super) fn last_words(_: SocketRef<'_>, _: &[u8]) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
