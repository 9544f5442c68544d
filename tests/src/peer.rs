//! Clients that behave as real ones do, and what they saw.
//!
//! What a client loses to a reset depends on what it does at a failed write, so that is what they differ in.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, split};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};

/// How long a client takes to connect, to write and to read, each in total, before it gives up: longer than
/// any bound of a close. A total, because a server that trickles would keep a client that counts silence
/// only for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a client treats a write that fails, and when it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Writes everything, then reads; a failed write ends it, response or not, as an exception does in
    /// `http.client`.
    StopsAtFailedWrite,
    /// Reads while it writes, and goes on reading when a write fails, as curl and browsers do.
    ReadsWhileWriting,
}

/// What a client saw of one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The status code, where the response's head arrived.
    pub status: Option<u16>,
    /// Bytes of the body that arrived.
    pub body: usize,
    /// Whether the head and the whole body arrived, by the response's own Content-Length.
    pub complete: bool,
    /// How the connection ended.
    pub end: End,
}

/// How a connection ended, for the client. Complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The server's FIN; over TLS, one without a `close_notify` before it.
    Fin,
    /// The server's `close_notify`.
    CloseNotify,
    /// A fatal alert of the server's, by its name.
    Alert(String),
    /// A reset, met by a read or by a write.
    Reset,
    /// Any other failure.
    Failed(String),
    /// Nothing, for longer than any bound.
    TimedOut,
}

impl End {
    /// What an error means.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (error.kind(), tls) {
            (_, Some(rustls::Error::AlertReceived(alert))) => Self::Alert(format!("{alert:?}")),
            (io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe, _) => Self::Reset,
            (io::ErrorKind::UnexpectedEof, _) => Self::Fin,
            (io::ErrorKind::TimedOut, _) => Self::TimedOut,
            _ => Self::Failed(error.to_string()),
        }
    }
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
    /// Connects over plain TCP; `receive_buffer` bytes of `SO_RCVBUF` make a client that takes little at a
    /// time.
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
        let tcp = connect(server, receive_buffer).await?;
        let name = ServerName::IpAddress(server.ip().into());
        let tls = timeout(PATIENCE, TlsConnector::from(config).connect(name, tcp)).await??;
        Ok(Self { io: Io::Tls(Box::new(tls)) })
    }

    /// Connects over TLS where there is a configuration, plainly otherwise.
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

    /// Sends the client's `close_notify`, and no FIN after it.
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

    /// The end that a read of no bytes means on this connection.
    fn clean_end(&self) -> End {
        match &self.io {
            Io::Plain(_) => End::Fin,
            Io::Tls(_) => End::CloseNotify,
        }
    }

    /// Sends a request's bytes and a body of zeros, and reads to the connection's end.
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
                    // Keeps the connection whole until the reader is done.
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

/// Reads one response and everything after it, to the connection's end.
pub async fn receive(io: &mut (impl AsyncRead + Unpin), clean_end: End) -> Seen {
    let (mut received, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    let deadline = Instant::now() + PATIENCE;
    let end = loop {
        match timeout_at(deadline, io.read(&mut chunk)).await {
            Err(_) => break End::TimedOut,
            Ok(Err(error)) => break End::of(&error),
            Ok(Ok(0)) => break clean_end,
            Ok(Ok(bytes)) => received.extend_from_slice(&chunk[..bytes]),
        }
    };
    seen(&received, end)
}

/// Makes sense of what arrived.
fn seen(received: &[u8], end: End) -> Seen {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = response.parse(received) else {
        return Seen { status: None, body: 0, complete: false, end };
    };
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    let body = received.len() - head;
    Seen { status: response.code, body, complete: length == Some(body), end }
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};
    use tokio::time::{Instant, sleep};

    use super::*;

    /// One byte a second for ever: a client that counted silence only would never give up.
    #[tokio::test(start_paused = true)]
    async fn a_server_that_trickles_does_not_hold_a_client() {
        let (mut client, mut server) = duplex(64);
        let trickle = tokio::spawn(async move {
            while server.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let begun = Instant::now();
        let seen =
            timeout(PATIENCE * 2, receive(&mut client, End::Fin)).await.expect("it gives up by itself");
        assert_eq!((seen.end, seen.complete), (End::TimedOut, false));
        assert_eq!(begun.elapsed(), PATIENCE);
        drop(client);
        trickle.await.expect("it ends when the client has gone");
    }

    #[test]
    fn only_a_whole_body_is_complete() {
        let whole = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nabc";
        assert!(seen(whole, End::Fin).complete);
        for cut in 0..whole.len() {
            assert!(!seen(&whole[..cut], End::Fin).complete, "{cut} bytes");
        }
        let two: Vec<u8> = whole.repeat(2);
        assert!(!seen(&two, End::Fin).complete, "more than was announced");
    }
}
