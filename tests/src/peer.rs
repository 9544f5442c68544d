//! Clients that behave like real ones, and what they saw.
//!
//! They differ in what they do when a write fails, because that decides what a client loses to a reset.

mod alert;
mod seen;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, split};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

pub use alert::alert_to;
pub use seen::{End, Seen, receive};

/// How long a client may take to connect, to write and to read, each in total, before it gives up. It is
/// longer than any bound of a close. It bounds the total time, because a server that trickles would hold a
/// client that bounds only the silence for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a client treats a write that fails, and when it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Writes everything, then reads. A failed write ends the exchange without reading, as an exception does
    /// in Python's `http.client`.
    StopsAtFailedWrite,
    /// Reads while it writes, and continues to read when a write fails, as curl and browsers do.
    ReadsWhileWriting,
}

/// A client's connection.
#[derive(Debug)]
pub struct Client {
    io: Io,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Client {
    /// Connects over plain TCP. A small `receive_buffer` (`SO_RCVBUF`, in bytes) makes a client that takes
    /// little at a time.
    ///
    /// # Errors
    ///
    /// Those of connecting.
    pub async fn plain(server: SocketAddr, receive_buffer: Option<u32>) -> io::Result<Self> {
        Ok(Self { io: Io::Plain(connect(server, receive_buffer).await?) })
    }

    /// Connects over TLS.
    ///
    /// # Errors
    ///
    /// Those of connecting and of the handshake.
    pub async fn tls(
        server: SocketAddr,
        receive_buffer: Option<u32>,
        config: Arc<ClientConfig>,
    ) -> io::Result<Self> {
        Self::over(connect(server, receive_buffer).await?, Some(config)).await
    }

    /// Goes on with a connection that exists, over TLS if there is a configuration.
    ///
    /// # Errors
    ///
    /// Those of the handshake.
    pub async fn over(tcp: TcpStream, tls: Option<Arc<ClientConfig>>) -> io::Result<Self> {
        let Some(config) = tls else { return Ok(Self { io: Io::Plain(tcp) }) };
        let name = ServerName::IpAddress(tcp.peer_addr()?.ip().into());
        let tls = timeout(PATIENCE, TlsConnector::from(config).connect(name, tcp)).await??;
        Ok(Self { io: Io::Tls(Box::new(tls)) })
    }

    /// Connects over TLS if there is a configuration, and over plain TCP otherwise.
    ///
    /// # Errors
    ///
    /// Those of connecting and of the handshake.
    pub async fn connect(
        server: SocketAddr,
        receive_buffer: Option<u32>,
        tls: Option<Arc<ClientConfig>>,
    ) -> io::Result<Self> {
        match tls {
            Some(config) => Self::tls(server, receive_buffer, config).await,
            None => Self::plain(server, receive_buffer).await,
        }
    }

    /// The socket.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match &self.io {
            Io::Plain(tcp) => tcp,
            Io::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Sends the client's `close_notify` without a FIN after it.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub async fn send_close_notify(&mut self) -> io::Result<()> {
        if let Io::Tls(tls) = &mut self.io {
            tls.get_mut().1.send_close_notify();
        }
        self.flush().await
    }

    /// What a read of zero bytes means on this connection.
    fn clean_end(&self) -> End {
        match &self.io {
            Io::Plain(_) => End::Fin,
            Io::Tls(_) => End::CloseNotify,
        }
    }

    /// Sends a request's bytes and a body of zeros, and reads until the connection ends.
    pub async fn exchange(mut self, request: &[u8], body_bytes: usize, manner: Manner) -> Seen {
        let clean_end = self.clean_end();
        match manner {
            Manner::StopsAtFailedWrite => match send(&mut self, request, body_bytes).await {
                Ok(()) => receive(&mut self, clean_end).await,
                Err(error) => Seen { status: None, body: 0, complete: false, end: End::of(&error) },
            },
            Manner::ReadsWhileWriting => {
                let (mut reader, mut writer) = split(self);
                let writing = async move {
                    let _ = send(&mut writer, request, body_bytes).await;
                    // Keeps the write half open until the reader is done.
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    seen = receive(&mut reader, clean_end) => seen,
                    () = writing => unreachable!("it waits for ever"),
                }
            }
        }
    }
}

/// A request's head, with the length of the body that follows it.
#[must_use]
pub fn head(method: &str, path: &str, body_bytes: usize) -> Vec<u8> {
    let length = if body_bytes > 0 { format!("Content-Length: {body_bytes}\r\n") } else { String::new() };
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n").into_bytes()
}

async fn connect(server: SocketAddr, receive_buffer: Option<u32>) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    let stream = timeout(PATIENCE, socket.connect(server)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn send(io: &mut (impl AsyncWrite + Unpin), request: &[u8], mut body_bytes: usize) -> io::Result<()> {
    static CHUNK: [u8; 64 << 10] = [0; 64 << 10];
    let deadline = Instant::now() + PATIENCE;
    timeout_at(deadline, io.write_all(request)).await??;
    while body_bytes > 0 {
        let chunk = &CHUNK[..body_bytes.min(CHUNK.len())];
        timeout_at(deadline, io.write_all(chunk)).await??;
        body_bytes -= chunk.len();
    }
    timeout_at(deadline, io.flush()).await?
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Io::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Client {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Io::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Io::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Io::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
