//! `TCP_INFO`.

use std::ffi::OsString;
use std::mem::MaybeUninit;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::GetOsString;
use nix::{getsockopt_impl, libc, sockopt_impl};
use socket2::Socket;

/// The first part of the kernel's `struct tcp_info` (`linux/tcp.h`), as of Linux 4.19. The kernel fills as
/// much as is asked for, and new versions only append to it.
#[expect(unreachable_pub, reason = "nix's macro makes the option public, so its value has to be")]
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TcpInfoHead {
    pub state: u8,
    states: [u8; 7],
    timers_and_counts: [u32; 9],
    last_data_sent_ms: u32,
    last_ack_sent_ms: u32,
    /// Milliseconds since the peer's last bytes.
    pub last_data_recv_ms: u32,
    last_ack_recv_ms: u32,
    path_mtu_and_threshold: [u32; 2],
    /// Smoothed round-trip time in microseconds.
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

sockopt_impl!(AnswerLength, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, OsString, GetOsString<NoZeros>);

/// Bytes of the answer that are needed.
const WANTED_BYTES: usize = size_of::<TcpInfoHead>();

/// What the kernel knows about a TCP connection, if it answers as much as is needed.
pub(super) fn ask(socket: &Socket) -> Option<TcpInfoHead> {
    // An old kernel, an emulated one or another protocol (TIPC) may answer less than was asked for.
    // nix panics on that, so the length is asked for first.
    let length = getsockopt(&socket, AnswerLength).ok()?.len();
    if length < WANTED_BYTES {
        return None;
    }
    getsockopt(&socket, TcpInfo).ok()
}

/// Takes the kernel's answer and replaces its bytes by ones, because only its length is of interest. nix has
/// no other getter for answers of any length than the one for strings, which end at the first zero.
#[derive(Debug)]
struct NoZeros(MaybeUninit<[u8; WANTED_BYTES]>);

impl AsMut<[u8]> for NoZeros {
    fn as_mut(&mut self) -> &mut [u8] {
        self.0.write([1; WANTED_BYTES])
    }
}
