//! A connection over TLS whose handshake is part of its first read, for servers that accept one connection
//! after another and serve each in a task of its own.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::handshake::Handshake;
use super::layer::TlsAcceptLayer;
use super::library::AcceptTls;
use crate::layer::LingerLayer;
use crate::serve::io::LingerIo;
use crate::transport::Transport;

/// A connection over TLS. Its first read or write does the handshake; from then on it is a [`LingerIo`].
///
/// So the task that serves the connection does its handshake, and the server can accept others meanwhile. If
/// the handshake fails, that read or write fails, and the connection lingers in a task of its own, so that
/// the client reads the alert. If this is dropped before the handshake is complete, the socket is closed at
/// once, because there is no message to save.
pub struct TlsLingerIo<A: AcceptTls, T: Transport> {
    state: State<A, T>,
}

enum State<A: AcceptTls, T: Transport> {
    Handshaking { handshake: Pin<Box<Handshake<A, T>>>, linger: LingerLayer },
    Served(LingerIo<A::Stream<T>>),
    Failed,
}

type PinnedIo<'a, A, T> = Pin<&'a mut LingerIo<<A as AcceptTls>::Stream<T>>>;

impl<A: AcceptTls, T: Transport> TlsLingerIo<A, T> {
    /// The handshake has the layer's time from now on, but no more than `limit`.
    pub(crate) fn new(io: T, tls: &TlsAcceptLayer<A>, limit: Option<Duration>) -> Self {
        let handshake = match limit {
            Some(limit) if limit < tls.handshakes.timeout => {
                let mut handshakes = tls.handshakes.clone();
                handshakes.timeout = limit;
                handshakes.start(io)
            }
            _ => tls.handshakes.start(io),
        };
        Self { state: State::Handshaking { handshake: Box::pin(handshake), linger: tls.linger().clone() } }
    }

    /// The connection, once its handshake is done.
    #[must_use]
    pub fn get_ref(&self) -> Option<&LingerIo<A::Stream<T>>> {
        match &self.state {
            State::Served(io) => Some(io),
            State::Handshaking { .. } | State::Failed => None,
        }
    }

    /// Takes the connection. `None` if its handshake is not done: that gives the handshake up, and closes the
    /// socket.
    #[must_use = "dropping the connection closes it"]
    pub fn into_inner(self) -> Option<LingerIo<A::Stream<T>>> {
        match self.state {
            State::Served(io) => Some(io),
            State::Handshaking { .. } | State::Failed => None,
        }
    }

    /// Does the handshake, if it is not done, and then has the connection.
    fn poll_served(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<PinnedIo<'_, A, T>>> {
        if let State::Handshaking { handshake, linger } = &mut self.state {
            match ready!(handshake.as_mut().poll(cx)) {
                Ok((stream, place)) => {
                    self.state = State::Served(linger.wrap(stream));
                    // The connection has a new place in the tracker now.
                    drop(place);
                }
                // A task of its own closes the connection.
                Err(failed) => {
                    self.state = State::Failed;
                    return Poll::Ready(Err(failed.error.into_io()));
                }
            }
        }
        Poll::Ready(match &mut self.state {
            State::Served(io) => Ok(Pin::new(io)),
            State::Handshaking { .. } | State::Failed => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

impl<A: AcceptTls, T: Transport> AsyncRead for TlsLingerIo<A, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_served(cx))?.poll_read(cx, buf)
    }
}

impl<A: AcceptTls, T: Transport> AsyncWrite for TlsLingerIo<A, T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_served(cx))?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_served(cx))?.poll_write_vectored(cx, bufs)
    }

    /// Also before the handshake, because hyper asks once and then relies on it.
    fn is_write_vectored(&self) -> bool {
        self.get_ref().is_none_or(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_served(cx))?.poll_flush(cx)
    }

    /// Before the handshake is complete this gives it up, and closes the socket.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Served(io) => Pin::new(io).poll_shutdown(cx),
            State::Handshaking { .. } | State::Failed => {
                self.state = State::Failed;
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<A: AcceptTls, T: Transport> fmt::Debug for TlsLingerIo<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let served = matches!(self.state, State::Served(_));
        f.debug_struct("TlsLingerIo").field("served", &served).finish_non_exhaustive()
    }
}
