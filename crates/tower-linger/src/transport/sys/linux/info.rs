//! `TCP_INFO`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;
use nix::sys::socket::getsockopt;
use nix::{getsockopt_impl, sockopt_impl};

use crate::transport::SocketRef;

/// The head of the kernel's `struct tcp_info` (`linux/tcp.h`), as far as it is wanted here: as of Linux 4.19.
/// The kernel fills the part that is asked for, and only ever appends to it.
#[expect(unreachable_pub, reason = "nix's macro makes the option public, so its value has to be")]
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TcpInfoHead {
    pub state: u8,
    states: [u8; 7],
    timers_and_counts: [u32; 9],
    last_data_sent_ms: u32,
    last_ack_sent_ms: u32,
    /// Since the peer's last bytes, milliseconds.
    pub last_data_recv_ms: u32,
    last_ack_recv_ms: u32,
    path_mtu_and_threshold: [u32; 2],
    /// Smoothed round-trip time, microseconds.
    pub rtt_us: u32,
    more_counts: [u32; 8],
    pacing_rates: [u64; 2],
    pub bytes_acked: u64,
    bytes_received: u64,
    segments: [u32; 2],
    pub notsent_bytes: u32,
    min_rtt: u32,
    data_segments: [u32; 2],
    rates: [u64; 4],
    delivered: [u32; 2],
    pub bytes_sent: u64,
    pub bytes_retrans: u64,
}

sockopt_impl!(TcpInfo, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, TcpInfoHead);

/// Whether this kernel, or what stands in for it, has answered with less than was asked for.
static IS_SHORT: AtomicBool = AtomicBool::new(false);

/// What the kernel knows of a TCP connection, if it tells as much as is wanted.
///
/// nix takes an answer that is shorter than it asked for, as an old kernel or an imitation of one gives it,
/// for a mistake of its own and panics, and has no other way to ask for a struct without `unsafe`. That panic
/// is caught; the panic hook prints it once, since nobody asks again. Catching costs nothing where there is
/// no panic.
pub(super) fn ask(socket: SocketRef<'_>) -> Option<TcpInfoHead> {
    if IS_SHORT.load(Ordering::Relaxed) {
        return None;
    }
    match catch_unwind(AssertUnwindSafe(|| getsockopt(&socket, TcpInfo))) {
        Ok(Ok(info)) => Some(info),
        // It is no TCP socket.
        Ok(Err(_)) => None,
        Err(_) => {
            IS_SHORT.store(true, Ordering::Relaxed);
            None
        }
    }
}
