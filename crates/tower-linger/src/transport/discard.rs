//! Discarding by reading, without a buffer for each connection.

use std::cell::Cell;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// Size of a thread's buffer.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    /// One buffer for all connections of a thread, because nobody reads it.
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
    // Taken and not borrowed, because a transport that reads through another one comes here twice. A runtime
    // in a `thread_local!` may be dropped after this one is gone; then the buffer is a new one.
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    scratch.resize(SCRATCH_BYTES, 0);
    let length = limit.get().min(SCRATCH_BYTES);
    let mut buffer = ReadBuf::new(&mut scratch[..length]);
    let polled = Pin::new(stream).poll_read(cx, &mut buffer);
    let read = buffer.filled().len();
    let _ = SCRATCH.try_with(|kept| kept.set(scratch));
    polled.map_ok(|()| read)
}
