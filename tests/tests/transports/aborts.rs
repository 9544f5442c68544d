//! An abort resets TCP and closes any other stream, and the report says which of them happened.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tower_linger::{ClosePolicy, LingerIo, Outcome, Plain, PlainSocket, Release, Transport};
use tower_linger_tests::peer::End;
use tower_linger_tests::server::reporting;

use super::pair;

/// What the client received, the end that it saw, and what the server reported of the release.
struct Seen {
    received: Vec<u8>,
    end: End,
    release: Release,
}

/// Writes half an answer, then ends the connection uncleanly.
async fn end<T: Transport>(
    mut client: impl tokio::io::AsyncRead + Unpin,
    server: T,
    end: fn(LingerIo<T>),
) -> Seen {
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let mut io = linger.wrap(server);
    io.write_all(b"half").await.expect("the peer is there");
    end(io);
    let mut received = Vec::new();
    let read = timeout(Duration::from_secs(30), client.read_to_end(&mut received)).await;
    let end = match read.expect("it ends") {
        Ok(_) => End::Fin,
        Err(error) => End::of(&error),
    };
    drop(client);
    let report = reports.recv().await.expect("reported");
    assert_eq!(report.outcome, Outcome::Aborted);
    Seen { received, end, release: report.release }
}

#[tokio::test]
async fn an_aborted_tcp_connection_is_reset_behind_what_was_sent() {
    let (client, server) = pair().await;
    let bare = end(client, server, LingerIo::abort).await;
    let (client, server) = pair().await;
    let wrapped = end(client, PlainSocket(server), LingerIo::abort).await;
    for seen in [bare, wrapped] {
        assert_eq!((&seen.received[..], seen.end, seen.release), (&b"half"[..], End::Reset, Release::Abort));
    }
}

/// The reset may overtake what was sent before.
#[tokio::test]
async fn a_reset_tcp_connection_is_reset() {
    let (client, server) = pair().await;
    let bare = end(client, server, LingerIo::reset).await;
    let (client, server) = pair().await;
    let wrapped = end(client, PlainSocket(server), LingerIo::reset).await;
    for seen in [bare, wrapped] {
        assert_eq!((seen.end, seen.release), (End::Reset, Release::Abort));
    }
}

#[tokio::test]
async fn a_stream_without_a_known_socket_is_closed_and_not_called_aborted() {
    for way in [LingerIo::abort, LingerIo::reset] {
        let (client, server) = pair().await;
        let seen = end(client, Plain(server), way).await;
        assert_eq!((&seen.received[..], seen.end, seen.release), (&b"half"[..], End::Fin, Release::Close));
    }
}

/// Unix sockets have no reset.
#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_closed_and_not_called_aborted() {
    use tokio::net::UnixStream;

    for way in [LingerIo::abort, LingerIo::reset] {
        let (client, server) = UnixStream::pair().expect("two descriptors");
        let seen = end(client, server, way).await;
        assert_eq!((&seen.received[..], seen.end, seen.release), (&b"half"[..], End::Fin, Release::Close));
    }
    let (client, server) = UnixStream::pair().expect("two descriptors");
    let seen = end(client, PlainSocket(server), LingerIo::abort).await;
    assert_eq!((seen.end, seen.release), (End::Fin, Release::Close));
}
