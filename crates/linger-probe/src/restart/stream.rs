//! A connection to the server, plain or over TLS, that remembers how it ended.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::dial::dial;
use crate::model::restart::Ending;
use crate::target::Target;

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// The end of a connection, as its client saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) ending: Ending,
    /// None on plain TCP.
    pub(super) close_notify: Option<bool>,
    pub(super) at: Instant,
}

/// Holds the end of a stream, also after the stream has been moved elsewhere.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Option<End>>>);

impl Seen {
    pub(super) fn end(&self) -> Option<End> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an end, unless there is one already.
    fn note(&self, ending: Ending, close_notify: Option<bool>) {
        let mut end = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        end.get_or_insert(End { ending, close_notify, at: Instant::now() });
    }
}

/// A connection that records its end.
pub(super) struct Stream {
    io: Box<dyn Io>,
    is_tls: bool,
    seen: Seen,
}

impl Stream {
    /// Connects, with a handshake over TLS. With `http2` the handshake offers `h2`, and it is an error if the
    /// server does not choose it.
    pub(super) async fn open(target: &Target, http2: bool) -> io::Result<Self> {
        let tcp = dial(target, None).await?;
        let seen = Seen::default();
        let Some(tls) = &target.tls else { return Ok(Self { io: Box::new(tcp), is_tls: false, seen }) };
        let mut config = tls.config.clone();
        if http2 {
            Arc::make_mut(&mut config).alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        }
        let stream = TlsConnector::from(config).connect(tls.name.clone(), tcp).await?;
        if http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(io::Error::new(ErrorKind::Unsupported, "it does not take h2 by ALPN"));
        }
        Ok(Self { io: Box::new(stream), is_tls: true, seen })
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.clone()
    }

    fn note_read(&self, error: &io::Error) {
        let close_notify = self.is_tls.then_some(false);
        let ending = match error.kind() {
            // rustls reports a FIN without a close_notify by this kind of error.
            ErrorKind::UnexpectedEof => Ending::Fin,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Ending::Reset,
            _ => Ending::Failed,
        };
        self.seen.note(ending, close_notify);
    }

    /// Once a write has failed with a reset, reads do not report the reset. A broken pipe is ignored: it
    /// follows data that was sent after the server's FIN, and the next read finds that FIN.
    fn note_write(&self, error: &io::Error) {
        if error.kind() == ErrorKind::ConnectionReset {
            self.seen.note(Ending::Reset, self.is_tls.then_some(false));
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, has_room) = (buffer.filled().len(), buffer.remaining() > 0);
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        match &polled {
            Poll::Ready(Ok(())) if has_room && buffer.filled().len() == before => {
                self.seen.note(Ending::Fin, self.is_tls.then_some(true));
            }
            Poll::Ready(Err(error)) => self.note_read(error),
            _ => {}
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        if let Poll::Ready(Err(error)) = &polled {
            self.note_write(error);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        if let Poll::Ready(Err(error)) = &polled {
            self.note_write(error);
        }
        polled
    }

    /// Records that the client closed the connection: what the server does from now on is a reaction to that.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(cx);
        if polled.is_ready() {
            self.seen.note(Ending::Client, None);
        }
        polled
    }
}
