//! A stream whose first bytes are the header of the PROXY protocol, version 1 or 2
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>): a balancer says by it who its client is.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use proxy_header::{Error, ParseConfig, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tower_linger::session::SessionEnd;
use tower_linger::{Notified, SocketRef, Transport};

/// The longest header that is read, in bytes. Version 2 allows 64 KiB, of which real balancers send a few
/// hundred.
pub const MAX_HEADER: usize = 4096;

/// A connection behind a balancer.
#[derive(Debug)]
pub struct Proxied<S> {
    io: S,
    client: Option<SocketAddr>,
    /// What came behind the header, with the same read.
    rest: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Proxied<S> {
    /// Reads the header. Put a timeout around it: the balancer sends it at once.
    ///
    /// # Errors
    ///
    /// Those of reading, and `InvalidData` for a header that is wrong, too long, or not complete. The
    /// connection is dropped then, as the protocol asks for.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection.
    pub async fn accept(mut io: S) -> io::Result<Self> {
        let mut read = Vec::with_capacity(MAX_HEADER);
        loop {
            if (&mut io).take((MAX_HEADER - read.len()) as u64).read_buf(&mut read).await? == 0 {
                let is_full = read.len() == MAX_HEADER;
                return Err(refused(if is_full {
                    "its header is too long"
                } else {
                    "it ended within its header"
                }));
            }
            match ProxyHeader::parse(&read, ParseConfig::default()) {
                Ok((header, length)) => {
                    let client = header.proxied_address().map(|address| address.source);
                    return Ok(Self { io, client, rest: read.split_off(length) });
                }
                Err(Error::BufferTooShort) => {}
                Err(_) => return Err(refused("its header is not the PROXY protocol's")),
            }
        }
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the proxied connection is refused: {why}"))
}

impl<S> Proxied<S> {
    /// Who the balancer's client is. None for a connection of the balancer's own, such as a health check.
    pub fn client(&self) -> Option<SocketAddr> {
        self.client
    }
}

impl<S: Transport> Transport for Proxied<S> {
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
        self.rest.clear();
        self.io.poll_discard(cx, limit)
    }

    fn poll_acknowledged(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Duration>> {
        self.io.poll_acknowledged(cx)
    }

    /// Drops what was read and not served, too.
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

impl<S: AsyncRead + Unpin> AsyncRead for Proxied<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let length = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..length]);
        self.rest.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Proxied<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
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
