//! TCP on Linux: discards without copying, and asks the kernel about a connection.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{MsgFlags, recv, setsockopt};
use socket2::Protocol;
#[cfg(feature = "serve")]
use socket2::SockFilter;
use socket2::{SockRef, Socket};
use tokio::io::Interest;
use tokio::net::TcpStream;

mod info;

// States of the kernel's `tcp_states.h`.
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;

/// How many bytes one call discards at most.
const CALL_BYTES: usize = 1 << 20;

thread_local! {
    /// Only the length of this slice matters: with `MSG_TRUNC`, TCP writes nothing to it. It costs no memory
    /// then, because the kernel provides a zeroed page only when it is first used. Only the last read before
    /// the release of a socket of another kind writes to it.
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
                // That was all there is. This clears the readiness without asking again; what arrives from
                // now on, a FIN too, sets it again.
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(())
        });
        match tried {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The readiness was stale and is now cleared.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && discarded == 0 => {}
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
            _ => return Poll::Ready(Ok(discarded)),
        }
    }
}

/// Lets the kernel wake the reader only for this many bytes, the end or a failure (socket(7)). It wakes the
/// reader earlier if the peer's window would close.
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
        // A packet socket returns the whole length of a packet, even if less was asked for.
        Ok(recv(socket.as_raw_fd(), &mut buffer[..length], flags)?.min(length))
    };
    // A runtime in a `thread_local!` may be dropped after this one is gone.
    let tried = UNTOUCHED.try_with(|untouched| into(&mut untouched.borrow_mut()));
    tried.unwrap_or_else(|_| into(&mut vec![0; CALL_BYTES]))
}

/// Has the kernel drop each SYN that reaches this listening socket, by a filter of classic BPF, which sees a
/// TCP segment from its header on. Everything else passes, so that handshakes that have begun are completed.
/// The client sends its SYN again after a second. Without `drops` it takes the filter away.
#[cfg(feature = "serve")]
pub(crate) fn drop_new_handshakes(listener: &Socket, drops: bool) -> bool {
    // RFC 9293 §3.1: the byte of the flags, and two of them.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const SYN_OR_ACK: u32 = 0x12;
    const ALL: u32 = u32::MAX;
    if !drops {
        return listener.detach_filter().is_ok();
    }
    // Flags of `linux/bpf_common.h`; `as` because libc has them in a wider type than the kernel.
    #[expect(clippy::cast_possible_truncation, reason = "they are 16 bits in `struct sock_filter`")]
    let code = |code: u32| code as u16;
    let filter = [
        SockFilter::new(code(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS), 0, 0, FLAGS),
        SockFilter::new(code(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K), 0, 0, SYN_OR_ACK),
        SockFilter::new(code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K), 0, 1, SYN),
        SockFilter::new(code(libc::BPF_RET | libc::BPF_K), 0, 0, 0),
        SockFilter::new(code(libc::BPF_RET | libc::BPF_K), 0, 0, ALL),
    ];
    listener.attach_filter(&filter).is_ok()
}

pub(crate) fn cork(socket: &Socket) {
    // MPTCP would hold a corked FIN back for 200 ms.
    if socket.protocol().is_ok_and(|protocol| protocol != Some(Protocol::MPTCP)) {
        // If it fails (the stream is not TCP), alert and FIN leave apart, which is correct too.
        let _ = socket.set_tcp_cork(true);
    }
}

pub(crate) fn set_user_timeout(socket: &Socket, timeout: Duration) {
    let _ = socket.set_tcp_user_timeout(Some(timeout));
}

/// Completes in `FIN_WAIT2`. When the FIN is acknowledged, the kernel wakes the task that waits for
/// writability, so this needs no timer.
pub(crate) fn poll_acknowledged(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<Duration>> {
    // Twice, because the first try clears a stale readiness. A readiness that does not clear means that the
    // socket has an error queue (`SO_TIMESTAMPING`). It says nothing, so the next poll of the close tries
    // again.
    for _ in 0..2 {
        ready!(stream.poll_write_ready(cx))?;
        // The question is asked inside, so that an acknowledgement after it sets a readiness that is not
        // cleared here.
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

/// How many bytes were written and not acknowledged. Works after a reset, too.
pub(crate) fn unacked(socket: &Socket) -> Option<u64> {
    let info = info::ask(socket)?;
    // An acknowledged FIN counts as a byte in `bytes_acked` and not in `bytes_sent`: this may be below zero.
    let in_flight = info.bytes_sent.saturating_sub(info.bytes_retrans).saturating_sub(info.bytes_acked);
    // A FIN that is not sent yet counts as the last byte that is not sent.
    let fin_waits = matches!(info.state, FIN_WAIT1 | LAST_ACK | CLOSING) && info.notsent_bytes > 0;
    Some(in_flight + u64::from(info.notsent_bytes) - u64::from(fin_waits))
}

/// How long ago the peer's last bytes arrived.
pub(crate) fn last_received(socket: &Socket) -> Option<Duration> {
    info::ask(socket).map(|info| Duration::from_millis(info.last_data_recv_ms.into()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    /// Only a packet socket would write to the shared memory.
    #[test]
    fn discarding_writes_nothing() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("loopback");
        let (server, _) = listener.accept().expect("loopback");
        client.write_all(&[b'x'; 10_000]).expect("loopback");
        let mut discarded = 0;
        while discarded < 10_000 {
            // Waits until something is there.
            server.peek(&mut [0; 1]).expect("loopback");
            let limit = NonZeroUsize::new(CALL_BYTES).expect("not zero");
            discarded += discard(&SockRef::from(&server), limit).expect("something is there");
        }
        assert_eq!(discarded, 10_000);
        UNTOUCHED.with_borrow(|memory| assert!(memory.iter().all(|byte| *byte == 0)));
    }
}
