//! Windows: a socket is a handle of its own kind.
//!
//! Of a connection Windows 10 and later tell something that `portable.rs` does not ask: the bytes in flight
//! (`SIO_TCP_INFO`), though not those that are queued. It also bounds orphans (`TCP_MAXRT`). Both take unsafe
//! code: socket2 0.6 has no call for them (its issue 362), and other crates that ask for `TCP_INFO` (nix,
//! tcp-info-sys, socketstat) do so on other systems. A safe call would belong here.

pub(crate) use std::os::windows::io::{AsSocket, BorrowedSocket};

/// Windows has no signals for sockets.
pub(crate) const NO_SIGNAL: i32 = 0;

pub(crate) fn as_socket(stream: &impl AsSocket) -> BorrowedSocket<'_> {
    stream.as_socket()
}

/// None: a process may have more handles (16 million) than connections.
pub(crate) fn descriptor_limit() -> Option<u64> {
    None
}
