//! Wrappers that make a transport of any other stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::sys;
use super::transport::{SocketRef, Transport};

/// Makes a [`Transport`] of any stream whose `poll_shutdown` is its half-close: a `BufStream`, a stream of
/// another crate, a test double.
///
/// It does not know the stream's socket, so it cannot reset the connection. If the policy or a failure asks
/// for a reset, the stream is dropped instead, and
/// [`CloseReport::release`](linger_proto::CloseReport::release) says so. [`PlainSocket`] can reset it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain<S>(pub S);

/// Like [`Plain`], for a stream that lends its socket by `AsFd`, or by `AsSocket` on Windows. This connection
/// can be reset, is read once more before its release, and its report has the bytes that were not
/// acknowledged. An early release works only with [`TcpStream`](tokio::net::TcpStream) itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainSocket<S>(pub S);

impl<S> Transport for Plain<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Raw = Self;

    fn into_raw(self) -> Self {
        self
    }
}

impl<S> Transport for PlainSocket<S>
where
    S: AsyncRead + AsyncWrite + sys::AsSocket + Unpin + Send + 'static,
{
    type Raw = Self;

    fn into_raw(self) -> Self {
        self
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        Some(sys::as_socket(&self.0))
    }
}

impl Transport for DuplexStream {
    type Raw = Self;

    fn into_raw(self) -> Self {
        self
    }
}

macro_rules! pass_through {
    ($wrapper:ident) => {
        impl<S: AsyncRead + Unpin> AsyncRead for $wrapper<S> {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.0).poll_read(cx, buf)
            }
        }

        impl<S: AsyncWrite + Unpin> AsyncWrite for $wrapper<S> {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.0).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                self.0.is_write_vectored()
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.0).poll_flush(cx)
            }

            fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.0).poll_shutdown(cx)
            }
        }
    };
}

pass_through!(Plain);
pass_through!(PlainSocket);
