//! Reading bytes to throw them away, without a buffer of the connection's own.

use std::cell::Cell;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// Size of the buffer that a thread copies unwanted bytes into.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    /// One buffer for all the connections of a thread: nobody looks at its contents.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Discards by reading into the thread's scratch buffer.
pub(super) fn poll_discard<T>(
    stream: &mut T,
    cx: &mut Context<'_>,
    limit: NonZeroUsize,
) -> Poll<io::Result<usize>>
where
    T: AsyncRead + Unpin + ?Sized,
{
    // Taken rather than borrowed: a transport that reads through another one may come here twice. A thread
    // that is ending has none any more; a runtime in a `thread_local!` may end after it.
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    scratch.resize(SCRATCH_BYTES, 0);
    let length = limit.get().min(SCRATCH_BYTES);
    let mut buffer = ReadBuf::new(&mut scratch[..length]);
    let polled = Pin::new(stream).poll_read(cx, &mut buffer);
    let read = buffer.filled().len();
    let _ = SCRATCH.try_with(|kept| kept.set(scratch));
    polled.map_ok(|()| read)
}
