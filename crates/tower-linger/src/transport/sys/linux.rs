//! TCP on Linux: discarding without copying, and what the kernel knows of a connection.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{MsgFlags, recv, setsockopt};
#[cfg(feature = "rustls")]
use socket2::Protocol;
use socket2::{SockRef, Socket};
use tokio::io::Interest;
use tokio::net::TcpStream;

mod info;

/// Rust's runtime ignores SIGPIPE; with this, others are safe too.
#[cfg(feature = "rustls")]
pub(crate) const NO_SIGNAL: i32 = libc::MSG_NOSIGNAL;

// States of the kernel's `tcp_states.h`.
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;

/// Most bytes that one call discards.
const CALL_BYTES: usize = 1 << 20;

thread_local! {
    /// Address space that TCP never touches, so it costs no memory: with `MSG_TRUNC` nothing is written to
    /// it, and only the length of the slice matters. The allocator gets it zeroed from the kernel, page by
    /// page, on first use. Only the last look at a socket of another kind writes to it.
    static UNTOUCHED: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; CALL_BYTES]);
}

/// Discards in the kernel: `recv(MSG_TRUNC)` on TCP drops bytes without copying them (tcp(7)).
pub(crate) fn poll_discard(
    stream: &mut TcpStream,
    cx: &mut Context<'_>,
    limit: NonZeroUsize,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_read_ready(cx))?;
        let mut discarded = 0;
        let tried = stream.try_io(Interest::READABLE, || {
            discarded = discard(&SockRef::from(&*stream), limit)?;
            if 0 < discarded && discarded < limit.get().min(CALL_BYTES) {
                // That was all there is: clears the readiness without asking again. What arrives from now on,
                // a FIN too, is a readiness of its own.
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

/// The kernel wakes the reader when this many bytes are there, or the end, or a failure (socket(7)); never
/// too late to keep the peer's window open.
pub(crate) fn set_low_water(socket: &Socket, bytes: u32) -> bool {
    use nix::{setsockopt_impl, sockopt_impl};
    sockopt_impl!(RcvLowat, SetOnly, libc::SOL_SOCKET, libc::SO_RCVLOWAT, u32);
    setsockopt(&socket, RcvLowat, &bytes).is_ok()
}

/// Discards what has arrived, at most `limit` bytes, in one call.
pub(crate) fn discard(socket: &Socket, limit: NonZeroUsize) -> io::Result<usize> {
    let into = |buffer: &mut [u8]| {
        let length = limit.get().min(buffer.len());
        let flags = MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
        // A socket of packets tells the whole length of one, whatever was asked for.
        Ok(recv(socket.as_raw_fd(), &mut buffer[..length], flags)?.min(length))
    };
    // A thread that is ending has none any more; a runtime in a `thread_local!` may end after it.
    let tried = UNTOUCHED.try_with(|untouched| into(&mut untouched.borrow_mut()));
    tried.unwrap_or_else(|_| into(&mut vec![0; CALL_BYTES]))
}

#[cfg(feature = "rustls")]
pub(crate) fn cork(socket: &Socket) {
    // MPTCP holds a corked FIN back for 200 ms.
    if socket.protocol().is_ok_and(|protocol| protocol != Some(Protocol::MPTCP)) {
        // Where it fails (a stream that is not TCP) alert and FIN leave apart, which is right too.
        let _ = socket.set_tcp_cork(true);
    }
}

pub(crate) fn set_user_timeout(socket: &Socket, timeout: Duration) {
    let _ = socket.set_tcp_user_timeout(Some(timeout));
}

/// Completes in `FIN_WAIT2`. The kernel wakes whoever waits for writability when the FIN is acknowledged, so
/// there is nothing to poll for on a timer.
pub(crate) fn poll_acknowledged(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<Duration>> {
    // Twice: a readiness that was stale is cleared by the first look. One that does not clear is that of a
    // socket with an error queue (`SO_TIMESTAMPING`), which says nothing; it is looked at again when the
    // close is polled next.
    for _ in 0..2 {
        ready!(stream.poll_write_ready(cx))?;
        // Inside, so that an acknowledgement that comes after the look is a readiness that this does not
        // clear.
        let looked = stream.try_io(Interest::WRITABLE, || match info::ask(&SockRef::from(stream)) {
            Some(info) if info.state == FIN_WAIT2 => Ok(Duration::from_micros(info.rtt_us.into())),
            Some(_) => Err(io::ErrorKind::WouldBlock.into()),
            None => Err(io::ErrorKind::Unsupported.into()),
        });
        match looked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return Poll::Ready(result),
        }
    }
    Poll::Pending
}

/// What was written and neither acknowledged nor, as far as the kernel knows, received. Still answers after a
/// reset.
pub(crate) fn unacked(socket: &Socket) -> Option<u64> {
    let info = info::ask(socket)?;
    // Sent once and not acknowledged. An acknowledged FIN counts as a byte, hence the saturation.
    let in_flight = info.bytes_sent.saturating_sub(info.bytes_retrans).saturating_sub(info.bytes_acked);
    // A FIN that waits for its turn is the last byte of the queue.
    let fin_waits = matches!(info.state, FIN_WAIT1 | LAST_ACK | CLOSING) && info.notsent_bytes > 0;
    Some(in_flight + u64::from(info.notsent_bytes) - u64::from(fin_waits))
}

/// How long ago the peer's last bytes arrived.
pub(crate) fn last_received(socket: &Socket) -> Option<Duration> {
    info::ask(socket).map(|info| Duration::from_millis(info.last_data_recv_ms.into()))
}
