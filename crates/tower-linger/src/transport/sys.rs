//! What systems do differently. This is one interface: the same items stand in each file of a pair, of which
//! one is compiled.
//!
//! - `linux.rs`, or `portable.rs` elsewhere: what a system does with a TCP socket and knows about it.
//! - `unix.rs` or `windows.rs`: how a stream lends its socket, and how many a process may have.
//!
//! `apple.rs` is what macOS has beyond `portable.rs`. The table in docs/stacks.md says what follows from
//! these for each system.

#[cfg(target_vendor = "apple")]
mod apple;
#[cfg(all(target_os = "linux", not(tower_linger_portable)))]
mod linux;
#[cfg(not(all(target_os = "linux", not(tower_linger_portable))))]
mod portable;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(all(target_os = "linux", not(tower_linger_portable)))]
use linux as tcp;
#[cfg(not(all(target_os = "linux", not(tower_linger_portable))))]
use portable as tcp;
#[cfg(unix)]
use unix as handle;
#[cfg(windows)]
use windows as handle;

pub(crate) use handle::descriptor_limit;
pub(super) use handle::{AsSocket, BorrowedSocket, NO_SIGNAL, as_socket};
#[cfg(feature = "serve")]
pub(super) use tcp::drop_new_handshakes;
pub(super) use tcp::{
    cork, discard, last_received, poll_acknowledged, poll_discard, set_low_water, set_user_timeout, unacked,
};
