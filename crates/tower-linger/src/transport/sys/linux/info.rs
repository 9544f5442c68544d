//! `TCP_INFO`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};

use nix::libc;
use nix::sys::socket::getsockopt;
use nix::{getsockopt_impl, sockopt_impl};

use crate::transport::SocketRef;

/// The head of the kernel's `struct tcp_info` (`linux/tcp.h`), as far as it is wanted here: as of Linux 4.19. The kernel
/// fills the part that is asked for, and only ever appends to it.
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

/// What this kernel has answered before.
static KERNEL: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const COMPLETE: u8 = 1;
const SHORT: u8 = 2;

/// What the kernel knows of a TCP connection, if it tells as much as is wanted.
pub(super) fn ask(socket: SocketRef<'_>) -> Option<TcpInfoHead> {
    match KERNEL.load(Ordering::Relaxed) {
        COMPLETE => getsockopt(&socket, TcpInfo).ok(),
        SHORT => None,
        _ => ask_first(socket),
    }
}

/// nix takes an answer that is shorter than it asked for, as an old kernel or an imitation of one gives it, for a mistake
/// of its own and panics. So the first call is one that may panic.
#[cold]
fn ask_first(socket: SocketRef<'_>) -> Option<TcpInfoHead> {
    let asked = catch_unwind(AssertUnwindSafe(|| getsockopt(&socket, TcpInfo)));
    match asked {
        Ok(Ok(info)) => {
            KERNEL.store(COMPLETE, Ordering::Relaxed);
            Some(info)
        }
        // It is no TCP socket.
        Ok(Err(_)) => None,
        Err(_) => {
            KERNEL.store(SHORT, Ordering::Relaxed);
            None
        }
    }
}
