//! Windows: a socket is a handle of its own kind.

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
