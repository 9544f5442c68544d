//! A connection in memory. One end is a transport that the server closes; threads of the test play the peer.

use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use shuttle::sync::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::Transport;

/// The server's end.
pub(super) struct Server(Arc<Line>);

/// The peer's end; clones are the same peer.
#[derive(Clone)]
pub(super) struct Peer(Arc<Line>);

#[derive(Default)]
struct Line {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    peer_end: Option<End>,
    /// How many bytes the server may still write.
    room: usize,
    written: usize,
    /// A flush has to wait until the peer takes something.
    is_full: bool,
    fins: usize,
    releases: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// How the peer ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Fin,
    Reset,
}

/// What the peer has seen of the server's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) written: usize,
    pub(super) fins: usize,
    pub(super) releases: usize,
}

/// A connection on which the server may write so many bytes at first.
pub(super) fn line(room: usize) -> (Server, Peer) {
    let line = Arc::new(Line::default());
    line.lock().room = room;
    (Server(line.clone()), Peer(line))
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    /// Lets flushes wait.
    pub(super) fn stop_taking(&self) {
        self.0.lock().is_full = true;
    }

    /// Takes what a flush waits for.
    pub(super) fn take(&self) {
        let mut state = self.0.lock();
        state.is_full = false;
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
    }

    pub(super) fn end(&self, end: End) {
        let mut state = self.0.lock();
        state.peer_end = Some(end);
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    pub(super) fn seen(&self) -> Seen {
        let state = self.0.lock();
        Seen { written: state.written, fins: state.fins, releases: state.releases }
    }
}

impl AsyncRead for Server {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        match state.peer_end {
            Some(End::Fin) => Poll::Ready(Ok(())),
            Some(End::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            None => {
                let replaced = state.reader.replace(cx.waker().clone());
                drop(state);
                drop(replaced);
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Server {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock();
        assert_eq!(state.fins, 0, "nothing is written after the FIN");
        if state.peer_end == Some(End::Reset) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let bytes = state.room.min(buf.len());
        if bytes == 0 {
            let replaced = state.writer.replace(cx.waker().clone());
            drop(state);
            drop(replaced);
            return Poll::Pending;
        }
        state.room -= bytes;
        state.written += bytes;
        Poll::Ready(Ok(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        if !state.is_full {
            return Poll::Ready(Ok(()));
        }
        let replaced = state.writer.replace(cx.waker().clone());
        drop(state);
        drop(replaced);
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().fins += 1;
        Poll::Ready(Ok(()))
    }
}

impl Transport for Server {
    type Raw = Self;

    fn into_raw(self) -> Self {
        self
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.releases += 1;
        let wakers = [mem::take(&mut state.reader), mem::take(&mut state.writer)];
        drop(state);
        drop(wakers);
    }
}
