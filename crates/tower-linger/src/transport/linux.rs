//! TCP on Linux: discarding without copying, and what the kernel knows of a connection.

use std::cell::RefCell;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{MsgFlags, getsockopt, recv, setsockopt, sockopt};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::SocketRef;

// States of the kernel's `tcp_states.h`.
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;

/// Most bytes that one call discards.
const CALL_BYTES: usize = 1 << 20;

thread_local! {
    /// Address space that is never touched, so it costs no memory: `MSG_TRUNC` on TCP writes nothing to it, and only the
    /// length of the slice matters. The allocator gets it zeroed from the kernel, page by page, on first use, which
    /// never comes.
    static UNTOUCHED: RefCell<Vec<u8>> = RefCell::new(vec![0; CALL_BYTES]);
}

/// Discards in the kernel: `recv(MSG_TRUNC)` on TCP drops bytes without copying them (tcp(7)).
pub(super) fn poll_discard(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    limit: NonZeroUsize,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_read_ready(cx))?;
        let mut discarded = 0;
        let tried = stream.try_io(Interest::READABLE, || {
            discarded = discard(stream, limit)?;
            if 0 < discarded && discarded < limit.get().min(CALL_BYTES) {
                // That was all there is: clears the readiness without asking again. What arrives from now on, a FIN too, is
                // a readiness of its own.
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(())
        });
        match tried {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The readiness was stale and is cleared now: wait for the next.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && discarded == 0 => {}
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
            _ => return Poll::Ready(Ok(discarded)),
        }
    }
}

/// Discards, at most `limit` bytes, what has arrived by now; whatever ends that is not worth a word any more.
pub(super) fn discard_arrived(socket: SocketRef<'_>, limit: NonZeroUsize) -> usize {
    let mut total = 0;
    while let Some(left) = NonZeroUsize::new(limit.get() - total) {
        match discard(&socket, left) {
            Ok(0) | Err(_) => break,
            Ok(bytes) => total += bytes,
        }
    }
    total
}

/// Discards what has arrived, at most `limit` bytes, in one call.
pub(super) fn discard_now(socket: SocketRef<'_>, limit: NonZeroUsize) -> io::Result<usize> {
    discard(&socket, limit)
}

/// The kernel wakes the reader when this many bytes are there, or the end, or a failure (socket(7)); never too late to keep the
/// peer's window open.
pub(super) fn set_low_water(socket: SocketRef<'_>, bytes: u32) -> bool {
    use nix::{setsockopt_impl, sockopt_impl};
    sockopt_impl!(RcvLowat, SetOnly, libc::SOL_SOCKET, libc::SO_RCVLOWAT, u32);
    setsockopt(&socket, RcvLowat, &bytes).is_ok()
}

fn discard(socket: &impl AsRawFd, limit: NonZeroUsize) -> io::Result<usize> {
    UNTOUCHED.with_borrow_mut(|untouched| {
        let length = limit.get().min(untouched.len());
        let flags = MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
        Ok(recv(socket.as_raw_fd(), &mut untouched[..length], flags)?)
    })
}

#[cfg(feature = "rustls")]
pub(super) fn cork(socket: SocketRef<'_>) {
    use nix::{setsockopt_impl, sockopt_impl};
    sockopt_impl!(TcpCork, SetOnly, libc::IPPROTO_TCP, libc::TCP_CORK, bool);
    // Where it fails (a stream that is not TCP) alert and FIN leave apart, which is right too.
    let _ = setsockopt(&socket, TcpCork, &true);
}

pub(super) fn set_user_timeout(socket: SocketRef<'_>, timeout: Duration) {
    let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    let _ = setsockopt(&socket, sockopt::TcpUserTimeout, &millis);
}

/// Completes in `FIN_WAIT2`. The kernel wakes whoever waits for writability when the FIN is acknowledged, so there is
/// nothing to poll for on a timer.
pub(super) fn poll_acknowledged(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<Duration>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        // Inside, so that an acknowledgement that comes after the look is a readiness that this does not clear.
        let looked = stream.try_io(Interest::WRITABLE, || match getsockopt(stream, TcpInfo) {
            Ok(info) if info.state == FIN_WAIT2 => Ok(Duration::from_micros(info.rtt_us.into())),
            Ok(_) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error.into()),
        });
        match looked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return Poll::Ready(result),
        }
    }
}

/// What was written and neither acknowledged nor, as far as the kernel knows, received. Still answers after a reset.
pub(super) fn unacked(socket: SocketRef<'_>) -> Option<u64> {
    if !has_byte_counts() {
        return None;
    }
    let info = getsockopt(&socket, TcpInfo).ok()?;
    // Sent once and not acknowledged. An acknowledged FIN counts as a byte, hence the saturation.
    let in_flight = info.bytes_sent.saturating_sub(info.bytes_retrans).saturating_sub(info.bytes_acked);
    // A FIN that waits for its turn is the last byte of the queue.
    let fin_waits = matches!(info.state, FIN_WAIT1 | LAST_ACK | CLOSING) && info.notsent_bytes > 0;
    Some(in_flight + u64::from(info.notsent_bytes) - u64::from(fin_waits))
}

use tcp_info::TcpInfo;

mod tcp_info {
    use nix::libc;
    use nix::{getsockopt_impl, sockopt_impl};

    /// The head of the kernel's `struct tcp_info` (`linux/tcp.h`), as far as it is wanted here. The kernel fills the part that
    /// is asked for, and only ever appends to it.
    #[expect(unreachable_pub, reason = "nix's macro makes the option public, so its value has to be")]
    #[repr(C)]
    #[derive(Debug, Clone, Copy)]
    pub struct TcpInfoHead {
        pub state: u8,
        states: [u8; 7],
        timers_and_counts: [u32; 15],
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
}

/// Whether this kernel's `tcp_info` has the byte counts: since Linux 4.19. An older one would give a shorter answer,
/// which nix takes for a mistake of the caller.
fn has_byte_counts() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let Ok(system) = nix::sys::utsname::uname() else { return false };
        let release = system.release().to_string_lossy();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (4, 19)
    })
}
