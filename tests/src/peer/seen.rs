//! What a client saw of its connection.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls;

use super::PATIENCE;

/// What a client saw of one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The status code, if the response's head arrived.
    pub status: Option<u16>,
    /// Bytes of the body that arrived.
    pub body: usize,
    /// Whether the head and the whole body arrived, according to the response's Content-Length.
    pub complete: bool,
    /// How the connection ended.
    pub end: End,
}

/// How a connection ended for the client. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The server's FIN. Over TLS: without a `close_notify` before it.
    Fin,
    /// The server's `close_notify`.
    CloseNotify,
    /// A fatal alert from the server, by its name.
    Alert(String),
    /// A reset, reported by a read or by a write.
    Reset,
    /// Any other failure.
    Failed(String),
    /// It did not end within a time that is longer than any bound of a close.
    TimedOut,
}

impl End {
    /// The end that this error of a read or a write stands for.
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

/// Reads one response and everything after it, until the connection ends.
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

/// Parses what arrived.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncWriteExt, duplex};
    use tokio::time::{sleep, timeout};

    use super::*;

    /// The server sends one byte a second for ever: a client that bounds only the silence would never give
    /// up.
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
