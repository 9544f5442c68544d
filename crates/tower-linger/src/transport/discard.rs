//! Reading bytes to throw them away, without a buffer of the connection's own.

use std::cell::RefCell;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// Size of the buffer that a thread copies unwanted bytes into.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    /// One buffer for all the connections of a thread: nobody looks at its contents.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Discards by reading into the thread's scratch buffer.
pub(super) fn by_reading<T>(
    stream: &mut T,
    cx: &mut Context<'_>,
    limit: NonZeroUsize,
) -> Poll<io::Result<usize>>
where
    T: AsyncRead + Unpin + ?Sized,
{
    // Taken rather than borrowed: a transport that reads through another one may come here twice.
    let mut scratch = SCRATCH.take();
    scratch.resize(SCRATCH_BYTES, 0);
    let length = limit.get().min(SCRATCH_BYTES);
    let mut buffer = ReadBuf::new(&mut scratch[..length]);
    let polled = Pin::new(stream).poll_read(cx, &mut buffer);
    let read = buffer.filled().len();
    SCRATCH.set(scratch);
    polled.map_ok(|()| read)
}

#[cfg(target_os = "linux")]
pub(super) use linux::{arrived, without_copying};

#[cfg(target_os = "linux")]
mod linux {
    use std::cell::RefCell;
    use std::io;
    use std::num::NonZeroUsize;
    use std::os::fd::BorrowedFd;
    use std::task::{Context, Poll, ready};

    use rustix::net::{RecvFlags, recv};
    use tokio::io::Interest;
    use tokio::net::TcpStream;

    /// Most bytes that one call discards.
    const CALL_BYTES: usize = 1 << 20;

    thread_local! {
        /// Address space that is never touched, so it costs no memory: `MSG_TRUNC` on TCP writes nothing to it,
        /// and only the length of the slice matters. The allocator gets it zeroed from the kernel, page by page,
        /// on first use, which never comes.
        static UNTOUCHED: RefCell<Vec<u8>> = RefCell::new(vec![0; CALL_BYTES]);
    }

    /// Discards in the kernel: `recv(MSG_TRUNC)` on TCP drops bytes without copying them (tcp(7)).
    pub(crate) fn without_copying(
        stream: &TcpStream,
        cx: &mut Context<'_>,
        limit: NonZeroUsize,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(stream.poll_read_ready(cx))?;
            match stream.try_io(Interest::READABLE, || discard(stream, limit)) {
                // The readiness was stale and is cleared now: wait for the next.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Discards, at most `limit` bytes, what has arrived by now; whatever ends that is not worth a word any more.
    pub(crate) fn arrived(socket: BorrowedFd<'_>, limit: NonZeroUsize) -> usize {
        let mut total = 0;
        while let Some(left) = NonZeroUsize::new(limit.get() - total) {
            match discard(socket, left) {
                Ok(0) | Err(_) => break,
                Ok(bytes) => total += bytes,
            }
        }
        total
    }

    fn discard(socket: impl std::os::fd::AsFd, limit: NonZeroUsize) -> io::Result<usize> {
        UNTOUCHED.with_borrow_mut(|untouched| {
            let length = limit.get().min(untouched.len());
            let (_, bytes) = recv(socket, &mut untouched[..length], RecvFlags::TRUNC | RecvFlags::DONTWAIT)?;
            Ok(bytes)
        })
    }
}
