//! What systems do differently: the same functions in each file, of which one is compiled.

#[cfg(all(target_os = "linux", not(tower_linger_portable)))]
mod linux;
#[cfg(any(not(target_os = "linux"), tower_linger_portable))]
mod portable;

#[cfg(all(target_os = "linux", not(tower_linger_portable)))]
use linux as system;
#[cfg(any(not(target_os = "linux"), tower_linger_portable))]
use portable as system;

#[cfg(feature = "rustls")]
pub(super) use system::{NO_SIGNAL, cork};
pub(super) use system::{
    discard, last_received, poll_acknowledged, poll_discard, set_low_water, set_user_timeout, unacked,
};

use super::SocketRef;

/// What lends its socket.
#[cfg(unix)]
pub(super) use std::os::fd::AsFd as AsSocket;
#[cfg(windows)]
pub(super) use std::os::windows::io::AsSocket;

#[cfg(unix)]
pub(super) fn as_socket(stream: &impl AsSocket) -> SocketRef<'_> {
    stream.as_fd()
}

#[cfg(windows)]
pub(super) fn as_socket(stream: &impl AsSocket) -> SocketRef<'_> {
    stream.as_socket()
}
