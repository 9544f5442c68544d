//! A close keeps its bounds when other wake-ups poll it, and when its transport never makes it wait.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, interval};
use tower_linger::{ClosePolicy, LingerLayer, Outcome, Phase, Plain, close};
use tower_linger_tests::scripted::Script;

#[tokio::test(start_paused = true)]
async fn a_poll_that_the_transport_did_not_ask_for_is_no_write_progress() {
    let idle = Duration::from_secs(2);
    let policy = ClosePolicy::builder().flush_idle_timeout(idle).flush_limit(25 * idle);
    let policy = policy.build().expect("it makes sense");
    for is_polled in [false, true] {
        let (script, io) = Script::new();
        script.stick(Phase::Flush);
        let began = Instant::now();
        let mut closing = close(io, &policy);
        let mut tick = interval(idle / 10);
        let report = loop {
            tokio::select! { report = &mut closing => break report, _ = tick.tick(), if is_polled => {} }
        };
        assert_eq!((report.outcome, began.elapsed()), (Outcome::FlushTimeout, idle), "polled: {is_polled}");
    }
}

/// A transport that is always ready, with a peer that sends without end.
struct Endless;

impl AsyncRead for Endless {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = into.remaining();
        into.initialize_unfilled();
        into.advance(room);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_sends_without_end_is_cut_at_the_shutdowns_deadline() {
    let minute = Duration::from_secs(60);
    let policy = ClosePolicy::builder().drain_limit(minute).drain_limit_bytes(u64::MAX);
    let linger = LingerLayer::new(policy.build().expect("it makes sense"));
    drop(linger.wrap(Plain(Endless)));
    let began = Instant::now();
    let summary = linger.tracker().shutdown(Duration::from_millis(200)).await;
    assert_eq!((summary.count(Outcome::ShutdownCut), summary.total(), linger.tracker().len()), (1, 1, 0));
    assert!(began.elapsed() < minute / 6, "{:?}", began.elapsed());
}
