//! The stream below a session whose library cannot give it back.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::session_end::SessionEnd;
use super::transport::{SocketRef, Transport};

/// A stream with a security session whose library has no `into_inner`. [`Below`] is made of it.
pub trait Session: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The stream that carries the session.
    type Below: Transport;

    /// The stream that carries the session.
    fn below(&self) -> &Self::Below;

    /// The stream that carries the session.
    fn below_mut(&mut self) -> &mut Self::Below;
}

/// The stream below a session, which is read and shut down directly: the [`Raw`](Transport::Raw) of a
/// transport whose library cannot give the stream back.
///
/// The session is freed first where its stream can be reclaimed: that is so for the connections that a
/// [`TlsAcceptLayer`](crate::TlsAcceptLayer) has accepted. Otherwise its memory is held until the release.
pub struct Below<S: Session>(State<S>);

enum State<S: Session> {
    Alone(<S::Below as Transport>::Raw),
    Within(S),
}

impl<S: Session> Below<S> {
    /// Ends the session, and keeps what is below it.
    pub fn new(mut session: S) -> Self {
        match session.below_mut().reclaim() {
            Some(raw) => Self(State::Alone(raw)),
            None => Self(State::Within(session)),
        }
    }
}

impl<S: Session> fmt::Debug for Below<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_alone = matches!(self.0, State::Alone(_));
        f.debug_struct("Below").field("is_alone", &is_alone).finish_non_exhaustive()
    }
}

/// The same for whichever stream it is.
macro_rules! of {
    ($state:expr, $lend:ident, $stream:ident => $call:expr) => {
        match $state {
            State::Alone($stream) => $call,
            State::Within(session) => {
                let $stream = session.$lend();
                $call
            }
        }
    };
}

impl<S: Session> Transport for Below<S> {
    type Raw = Self;

    fn poll_half_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of!(&mut self.0, below_mut, stream => stream.poll_half_close(cx))
    }

    fn session_end(error: &io::Error) -> Option<SessionEnd> {
        S::Below::session_end(error)
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>, limit: NonZeroUsize) -> Poll<io::Result<usize>> {
        of!(&mut self.0, below_mut, stream => stream.poll_discard(cx, limit))
    }

    fn poll_acknowledged(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Duration>> {
        of!(&mut self.0, below_mut, stream => stream.poll_acknowledged(cx))
    }

    fn into_raw(self) -> Self {
        self
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        of!(&self.0, below, stream => stream.socket())
    }
}

impl<S: Session> AsyncRead for Below<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        of!(&mut self.0, below_mut, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl<S: Session> AsyncWrite for Below<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        of!(&mut self.0, below_mut, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of!(&mut self.0, below_mut, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of!(&mut self.0, below_mut, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
