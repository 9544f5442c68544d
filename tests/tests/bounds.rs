//! Every bound of a close, on a paused clock: the times are exact, and nothing waits for them.

use std::num::NonZeroUsize;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, duplex};
use tokio::net::UnixStream;
use tokio::time::Instant;
use tower_linger::{ClosePolicy, CloseReport, LingerLayer, Outcome, Phase, Plain, Release, Tracker, close};
use tower_linger_tests::scripted::Script;

const SECOND: Duration = Duration::from_secs(1);

/// The report, and how long the close took on the paused clock.
async fn timed(closing: impl Future<Output = CloseReport>) -> (CloseReport, Duration) {
    let began = Instant::now();
    (closing.await, began.elapsed())
}

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
        assert!(sent < 100, "one byte per idle timeout keeps it for ever");
    }
    let (report, took) = closing.await.expect("no panic");
    assert_eq!(report.outcome, Outcome::DrainDeadline);
    assert!((30 * SECOND..34 * SECOND).contains(&took), "{took:?}");
}

/// The byte limit is exact, and no read is asked to read nothing: that would look like a FIN.
#[tokio::test(start_paused = true)]
async fn a_flood_is_let_go_at_exactly_the_byte_limit() {
    for limit in [1, 1_000, (1 << 20) - 1, 1 << 20, (5 << 20) + 7] {
        let (script, io) = Script::new();
        script.send(1 << 40);
        let policy = ClosePolicy::builder().drain_limit_bytes(limit).build().expect("makes sense");
        let (report, took) = timed(close(io, &policy)).await;
        assert_eq!(
            (report.outcome, report.bytes_drained, took),
            (Outcome::DrainLimit, limit, Duration::ZERO)
        );
        let seen = script.seen();
        assert_eq!(seen.discarded, limit);
        assert!(seen.smallest_limit.is_some_and(|smallest| smallest > 0));
    }
}

/// A peer that has sent a lot wakes the close only for a lot more; a deadline still counts what has come.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_flood_that_becomes_a_trickle_is_not_taken_for_silence() {
    const FLOOD_BYTES: usize = 8 << 20;
    // What is under way in the kernel is no reason to advance the clock.
    let awake = tokio::spawn(async {
        while std::future::ready(true).await {
            tokio::task::yield_now().await;
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut peer =
        tokio::net::TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
    let (io, _) = listener.accept().await.expect("it connects");
    let closing = tokio::spawn(async move { close(io, &ClosePolicy::default()).await });
    peer.write_all(&vec![0; FLOOD_BYTES]).await.expect("it is drained");
    for trickled in 1..=4 {
        settled().await;
        peer.write_all(&[0]).await.expect("it is drained");
        settled().await;
        assert!(!closing.is_finished(), "before byte {trickled}");
        // Later than the idle timeout after the last byte that the close was woken for, and not after this
        // one.
        tokio::time::advance(4 * SECOND).await;
    }
    settled().await;
    drop(peer);
    let report = closing.await.expect("no panic");
    awake.abort();
    assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false });
    assert_eq!(report.bytes_drained, FLOOD_BYTES as u64 + 4);
}

/// Whatever is ready has been done, by the sockets too.
#[cfg(target_os = "linux")]
async fn settled() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

/// Lets those go first that are ready now. `yield_now` would wait for the next look at the sockets, too.
async fn requeued() {
    let mut polled = false;
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// CONFORMANCE 29, in the flood's own unit: what another task waits for its turn is at most one turn of the
/// flood. How long that is in a given machine's time is for `benches/fairness.rs`.
#[tokio::test(start_paused = true)]
async fn a_flood_makes_the_others_wait_for_one_turn_at_most() {
    const OTHERS: usize = 100;
    const TURN_BYTES: u64 = 16 << 20;
    let (script, io) = Script::new();
    script.send(1 << 40);
    let policy = ClosePolicy::builder().drain_limit_bytes(4 << 30).build().expect("makes sense");
    let closing = tokio::spawn(async move { close(io, &policy).await });
    let others: Vec<_> = (0..OTHERS)
        .map(|_| {
            let script = script.clone();
            tokio::spawn(async move {
                let mut waits = Vec::new();
                while script.seen().drops == 0 {
                    let before = script.seen().discarded;
                    requeued().await;
                    waits.push(script.seen().discarded - before);
                }
                waits
            })
        })
        .collect();
    let mut waits = Vec::new();
    for other in others {
        waits.extend(other.await.expect("no panic"));
    }
    waits.sort_unstable();
    let p99 = waits[waits.len() * 99 / 100];
    assert!(waits.len() > OTHERS * 100, "{} turns", waits.len());
    assert!((1..=TURN_BYTES).contains(&p99), "{p99} bytes of flood before a turn");
    assert_eq!(closing.await.expect("no panic").outcome, Outcome::DrainLimit);
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
async fn a_peer_that_takes_nothing_is_let_go_at_the_flush_idle_timeout_and_reset() {
    let (script, io) = Script::new();
    script.stick(Phase::Flush);
    let (report, took) = timed(close(io, &ClosePolicy::default())).await;
    // What is no socket cannot be reset, and the report says so.
    assert_eq!((report.outcome, report.release, took), (Outcome::FlushTimeout, Release::Close, 10 * SECOND));
    assert_eq!(
        (script.seen().fins, script.seen().drops),
        (0, 1),
        "a FIN would make a cut response look whole"
    );
}

/// CONFORMANCE 24.
#[tokio::test(start_paused = true)]
async fn a_closure_alert_that_nobody_takes_is_given_up_at_the_flush_idle_timeout() {
    let (script, io) = Script::new();
    script.stick(Phase::Notify);
    let (report, took) = timed(close(io, &ClosePolicy::default())).await;
    assert_eq!((report.outcome, report.ended_in, took), (Outcome::FlushTimeout, Phase::Notify, 10 * SECOND));
    assert!(!report.sent_close_notify);
    assert_eq!(report.release, Release::Close, "over TLS the missing alert says that something is missing");
}

#[tokio::test(start_paused = true)]
async fn write_progress_restarts_the_flush_idle_timeout_and_never_the_flush_limit() {
    let (script, io) = Script::new();
    script.stick(Phase::Flush);
    let closing = tokio::spawn(async move { timed(close(io, &ClosePolicy::default())).await });
    let mut wakes = 0;
    while !closing.is_finished() {
        tokio::time::advance(7 * SECOND).await;
        script.wake();
        tokio::task::yield_now().await;
        wakes += 1;
        assert!(wakes < 100, "progress keeps it for ever");
    }
    let (report, took) = closing.await.expect("no panic");
    assert_eq!(report.outcome, Outcome::FlushTimeout);
    assert!((60 * SECOND..68 * SECOND).contains(&took), "{took:?}");
}

/// The timer of a bound that has moved on is no progress.
#[tokio::test(start_paused = true)]
async fn a_peer_that_took_something_once_has_one_more_flush_idle_timeout() {
    let (script, io) = Script::new();
    script.stick(Phase::Flush);
    let closing = tokio::spawn(async move { timed(close(io, &ClosePolicy::default())).await });
    tokio::task::yield_now().await;
    tokio::time::advance(7 * SECOND).await;
    script.wake();
    let (report, took) = closing.await.expect("no panic");
    assert_eq!((report.outcome, took), (Outcome::FlushTimeout, 17 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_shuts_down_cuts_its_closes_at_the_deadline_and_waits_for_them() {
    let (reports, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let linger =
        LingerLayer::default().on_close(move |report| reports.send(*report).expect("the test listens"));
    let scripts: Vec<_> = (0..100).map(|_| Script::new()).collect();
    let scripts: Vec<_> = scripts
        .into_iter()
        .map(|(script, io)| {
            drop(linger.wrap(io));
            script
        })
        .collect();
    assert_eq!(linger.tracker().len(), 100);
    let began = Instant::now();
    scripts[0].end();
    let summary = linger.tracker().shutdown(2 * SECOND).await;
    assert_eq!(summary.to_string(), "100 closed: peer_closed 1, shutdown_cut 99");
    assert_eq!(began.elapsed(), 2 * SECOND, "well before the idle timeout");
    assert!(linger.tracker().is_empty());
    let mut outcomes = Vec::new();
    while let Ok(report) = seen.try_recv() {
        outcomes.push(report.outcome);
    }
    assert_eq!(outcomes.len(), 100, "each close is reported");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::ShutdownCut).count(), 99);
    assert!(scripts.iter().all(|script| script.seen().drops == 1));

    // What begins after the deadline is cut too, after its FIN.
    let (script, io) = Script::new();
    drop(linger.wrap(io));
    linger.tracker().wait().await;
    assert_eq!(began.elapsed(), 2 * SECOND);
    assert_eq!((script.seen().fins, script.seen().drops), (1, 1));
}

/// CONFORMANCE 30.
#[tokio::test(start_paused = true)]
async fn one_lingering_connection_too_many_evicts_the_oldest_and_counts_it() {
    let tracker = Tracker::with_limit(NonZeroUsize::new(3).expect("not zero"));
    let linger = LingerLayer::default().with_tracker(tracker.clone());
    let mut scripts = Vec::new();
    for _ in 0..5 {
        let (script, io) = Script::new();
        drop(linger.wrap(io));
        // The order in which they begin to wait is the order of their age.
        script.until(|seen| seen.discards > 0).await;
        scripts.push(script);
    }
    scripts[0].until(|seen| seen.drops > 0).await;
    scripts[1].until(|seen| seen.drops > 0).await;
    assert_eq!(tracker.len(), 3);
    assert_eq!(tracker.summary().count(Outcome::Evicted), 2);
    assert!(scripts[2..].iter().all(|script| script.seen().drops == 0));
    tracker.wait().await;
    assert_eq!(tracker.summary().to_string(), "5 closed: drain_idle 3, evicted 2");
}

/// CONFORMANCE 30: per peer address, for those that have one.
#[tokio::test]
async fn one_peer_with_too_many_lingering_connections_evicts_its_own_oldest() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = listener.local_addr().expect("bound");
    let (ten, two) = (NonZeroUsize::new(10).expect("not zero"), NonZeroUsize::new(2).expect("not zero"));
    let tracker = Tracker::with_limits(ten, two);
    let linger = LingerLayer::default().with_tracker(tracker.clone());
    let mut clients = Vec::new();
    for host in [1, 2, 2, 2, 2, 3] {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, host], 0).into()).expect("loopback");
        let (client, accepted) = tokio::join!(socket.connect(server), listener.accept());
        let mut client = client.expect("loopback");
        drop(linger.wrap(accepted.expect("loopback").0));
        // Its FIN says that the close is under way.
        assert_eq!(tokio::io::AsyncReadExt::read(&mut client, &mut [0; 1]).await.expect("a FIN"), 0);
        clients.push(client);
        while tracker.summary().count(Outcome::Evicted) < clients.len().saturating_sub(3).min(2) as u64 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!((tracker.len(), tracker.summary().count(Outcome::Evicted)), (4, 2));
    drop(clients);
    tracker.wait().await;
    assert_eq!(tracker.summary().to_string(), "6 closed: evicted 2, peer_closed 4");
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
    let wrapped =
        tokio::spawn(async move { close(Plain(tokio::io::BufStream::new(wrapped)), &policy).await });
    upload(unix_peer, UPLOAD).await;
    upload(pipe_peer, UPLOAD).await;
    upload(wrapped_peer, UPLOAD).await;
    for report in [unix.await, pipe.await, wrapped.await] {
        let report = report.expect("no panic");
        assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false }, "{report}");
        assert_eq!(report.bytes_drained, UPLOAD as u64);
    }
}

/// Sends, then closes. The FIN of the other side is there before the last byte is sent.
async fn upload(mut peer: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, bytes: usize) {
    let fin = tokio::io::AsyncReadExt::read(&mut peer, &mut [0; 1]).await.expect("no reset");
    assert_eq!(fin, 0, "the half-close comes before the drain");
    peer.write_all(&vec![0; bytes]).await.expect("everything is taken");
}
