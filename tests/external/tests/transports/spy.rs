//! A TCP stream that tells what it was asked to do.

use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_linger::Transport;

pub struct Spy {
    io: TcpStream,
    seen: Arc<Seen>,
}

/// The largest number of bytes of one call.
#[derive(Default)]
pub struct Seen {
    pub read: AtomicUsize,
    pub discarded: AtomicUsize,
}

impl Spy {
    pub fn new(io: TcpStream) -> Self {
        Self { io, seen: Arc::default() }
    }

    pub fn seen(&self) -> Arc<Seen> {
        self.seen.clone()
    }
}

impl Transport for Spy {
    type Raw = Self;

    fn poll_discard(&mut self, cx: &mut Context<'_>, limit: NonZeroUsize) -> Poll<io::Result<usize>> {
        let discarded = ready!(self.io.poll_discard(cx, limit))?;
        self.seen.discarded.fetch_max(discarded, Ordering::Relaxed);
        Poll::Ready(Ok(discarded))
    }

    fn poll_acknowledged(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Duration>> {
        self.io.poll_acknowledged(cx)
    }

    fn into_raw(self) -> Self {
        self
    }
}

impl AsyncRead for Spy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        self.seen.read.fetch_max(buf.filled().len(), Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Spy {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
