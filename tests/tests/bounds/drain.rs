//! How long a drain waits for its peer, and what ends it earlier.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream, duplex};
use tokio::net::UnixStream;
use tower_linger::{ClosePolicy, Outcome, Phase, Plain, close};
use tower_linger_tests::scripted::Script;

use super::{SECOND, timed};

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_let_go_at_the_idle_timeout() {
    let (script, io) = Script::new();
    let (report, took) = timed(close(io, &ClosePolicy::default())).await;
    assert_eq!((report.outcome, took), (Outcome::DrainIdle, 5 * SECOND));
    assert_eq!(report.time_in(Phase::Drain), took);
    assert_eq!((script.seen().fins, script.seen().drops), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_trickles_is_let_go_at_the_drain_limit() {
    let (script, io) = Script::new();
    let closing = tokio::spawn(async move { timed(close(io, &ClosePolicy::default())).await });
    let mut sent = 0;
    while !closing.is_finished() {
        script.send(1);
        sent += 1;
        tokio::time::advance(4 * SECOND).await;
        assert!(sent < 100, "one byte per idle timeout keeps the connection for ever");
    }
    let (report, took) = closing.await.expect("no panic");
    assert_eq!(report.outcome, Outcome::DrainDeadline);
    assert!((30 * SECOND..34 * SECOND).contains(&took), "{took:?}");
}

/// CONFORMANCE 25: the minimum rate.
#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_too_slowly_is_let_go_at_the_minimum_rate() {
    let (script, io) = Script::new();
    let policy = ClosePolicy::builder().drain_min_rate(1_000, 2 * SECOND).build().expect("makes sense");
    let closing = tokio::spawn(async move { timed(close(io, &policy)).await });
    while !closing.is_finished() {
        script.send(500);
        tokio::time::advance(SECOND).await;
    }
    let (report, took) = closing.await.expect("no panic");
    assert_eq!(report.outcome, Outcome::DrainRate);
    assert!((4 * SECOND..=5 * SECOND).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peers_fin_ends_the_drain_at_once_and_without_spinning() {
    let (script, io) = Script::new();
    script.send(3 << 20);
    script.end();
    let (report, took) = timed(close(io, &ClosePolicy::default())).await;
    assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false });
    assert_eq!((report.bytes_drained, took), (3 << 20, Duration::ZERO));
    assert_eq!(script.seen().discards, 4, "three times 1 MiB, then the FIN");
}

#[tokio::test(start_paused = true)]
async fn a_peer_may_close_first_for_as_long_as_the_policy_gives_it() {
    let policy = ClosePolicy::builder().peer_closes_first(2 * SECOND).build().expect("makes sense");
    let (script, io) = Script::new();
    script.end();
    let (report, took) = timed(close(io, &policy)).await;
    assert_eq!((report.outcome, took), (Outcome::PeerClosed { close_notify: true }, Duration::ZERO));

    let (script, io) = Script::new();
    let (report, took) = timed(close(io, &policy)).await;
    assert_eq!((report.outcome, took), (Outcome::DrainIdle, 7 * SECOND));
    assert_eq!(script.seen().fins, 1);
}

/// CONFORMANCE 28: streams that are no sockets, and sockets that are not TCP.
#[tokio::test]
async fn the_drain_works_on_unix_sockets_and_on_streams_that_are_no_sockets() {
    const UPLOAD: usize = 1 << 20;
    let (unix, unix_peer) = UnixStream::pair().expect("a socket pair");
    let (pipe, pipe_peer) = duplex(1 << 10);
    let (wrapped, wrapped_peer) = duplex(1 << 10);
    let policy = ClosePolicy::default();
    let unix = tokio::spawn(async move { close(unix, &policy).await });
    let pipe = tokio::spawn(async move { close(pipe, &policy).await });
    let wrapped = tokio::spawn(async move { close(Plain(BufStream::new(wrapped)), &policy).await });
    upload(unix_peer, UPLOAD).await;
    upload(pipe_peer, UPLOAD).await;
    upload(wrapped_peer, UPLOAD).await;
    for report in [unix.await, pipe.await, wrapped.await] {
        let report = report.expect("no panic");
        assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false }, "{report}");
        assert_eq!(report.bytes_drained, UPLOAD as u64);
    }
}

/// Waits for the other side's FIN, then uploads and closes.
async fn upload(mut peer: impl AsyncRead + AsyncWrite + Unpin, bytes: usize) {
    let fin = peer.read(&mut [0; 1]).await.expect("no reset");
    assert_eq!(fin, 0, "the half-close comes before the drain");
    peer.write_all(&vec![0; bytes]).await.expect("all of it is drained");
}
