//! Counts the bytes that a service reads and writes, on any transport.

use std::io::{self, IoSlice};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_linger::session::SessionEnd;
use tower_linger::{Notified, SocketRef, Transport};

/// A connection, and how many bytes went through it.
#[derive(Debug)]
pub struct Metered<S> {
    io: S,
    meter: Arc<Meter>,
}

/// What a service has read and written. What the close discards is not in it: that is
/// [`CloseReport::bytes_drained`](tower_linger::CloseReport::bytes_drained).
#[derive(Debug, Default)]
pub struct Meter {
    read: AtomicU64,
    written: AtomicU64,
}

impl Meter {
    /// How many bytes were read.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

impl<S> Metered<S> {
    /// Counts from now on.
    pub fn new(io: S) -> Self {
        Self { io, meter: Arc::default() }
    }

    /// The counts, which outlive the connection.
    pub fn meter(&self) -> Arc<Meter> {
        self.meter.clone()
    }
}

impl<S: Transport> Transport for Metered<S> {
    // The drain is below: nothing of it has to be counted.
    type Raw = S::Raw;

    fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Notified>> {
        self.io.poll_notify(cx)
    }

    fn poll_half_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_half_close(cx)
    }

    fn session_end(error: &io::Error) -> Option<SessionEnd> {
        S::session_end(error)
    }

    fn ends_with_notify(&self) -> bool {
        self.io.ends_with_notify()
    }

    fn met_fin(&self) -> bool {
        self.io.met_fin()
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>, limit: NonZeroUsize) -> Poll<io::Result<usize>> {
        self.io.poll_discard(cx, limit)
    }

    fn poll_acknowledged(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Duration>> {
        self.io.poll_acknowledged(cx)
    }

    fn into_raw(self) -> S::Raw {
        self.io.into_raw()
    }

    fn reclaim(&mut self) -> Option<S::Raw> {
        self.io.reclaim()
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        self.io.socket()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        self.meter.read.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        read
    }
}

impl<S: AsyncWrite + Unpin> Metered<S> {
    fn count(&self, written: usize) -> Poll<io::Result<usize>> {
        self.meter.written.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs))?;
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
