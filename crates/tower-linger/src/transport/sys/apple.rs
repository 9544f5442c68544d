//! macOS and its relatives: what is not acknowledged. They have no counterpart of Linux's other answers that
//! wakes a task, or that leaves the bytes where they are. CI compiles this on Linux, for
//! aarch64-apple-darwin; only the workflow's job on macOS runs it.

use nix::sys::socket::getsockopt;
use nix::{getsockopt_impl, libc, sockopt_impl};
use socket2::Socket;

sockopt_impl!(NotAcknowledged, GetOnly, libc::SOL_SOCKET, libc::SO_NWRITE, i32);

/// How many bytes were written and not acknowledged: TCP keeps them in the send buffer until then, and a FIN
/// takes no room there.
///
/// A connection that is over has an empty send buffer, whether its bytes arrived or not. Such a connection
/// has no peer address either, so the address is asked for last.
pub(crate) fn unacked(socket: &Socket) -> Option<u64> {
    let bytes = getsockopt(&socket, NotAcknowledged).ok()?;
    // On a Unix socket, the send buffer does not say what the peer has read.
    socket.peer_addr().ok()?.as_socket()?;
    u64::try_from(bytes).ok()
}
