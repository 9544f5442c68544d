//! Closes that the tracker ends: all of them at a shutdown's deadline, the oldest when too many wait.

use std::num::NonZeroUsize;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;
use tower_linger::{LingerLayer, Outcome, Tracker};
use tower_linger_tests::scripted::Script;
use tower_linger_tests::until::until;

use super::SECOND;

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
    assert_eq!(began.elapsed(), 2 * SECOND, "before the idle timeout");
    assert!(linger.tracker().is_empty());
    let mut outcomes = Vec::new();
    while let Ok(report) = seen.try_recv() {
        outcomes.push(report.outcome);
    }
    assert_eq!(outcomes.len(), 100, "each close is reported");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::ShutdownCut).count(), 99);
    assert!(scripts.iter().all(|script| script.seen().drops == 1));

    // A close that begins after the deadline is cut too, after its FIN.
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
        // Wait for each, because a close's age counts from the beginning of its wait.
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

/// CONFORMANCE 30: the limit per peer address.
#[tokio::test]
async fn one_peer_with_too_many_lingering_connections_evicts_its_own_oldest() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = listener.local_addr().expect("bound");
    let (ten, two) = (NonZeroUsize::new(10).expect("not zero"), NonZeroUsize::new(2).expect("not zero"));
    let tracker = Tracker::with_limits(ten, two);
    let linger = LingerLayer::default().with_tracker(tracker.clone());
    let mut clients = Vec::new();
    for host in [1, 2, 2, 2, 2, 3] {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, host], 0).into()).expect("loopback");
        let (client, accepted) = tokio::join!(socket.connect(server), listener.accept());
        let mut client = client.expect("loopback");
        drop(linger.wrap(accepted.expect("loopback").0));
        // The FIN shows that the close has begun.
        assert_eq!(client.read(&mut [0; 1]).await.expect("a FIN"), 0);
        clients.push(client);
        let evicted = clients.len().saturating_sub(3).min(2) as u64;
        until("it evicts the oldest", || tracker.summary().count(Outcome::Evicted) >= evicted).await;
    }
    assert_eq!((tracker.len(), tracker.summary().count(Outcome::Evicted)), (4, 2));
    drop(clients);
    tracker.wait().await;
    assert_eq!(tracker.summary().to_string(), "6 closed: evicted 2, peer_closed 4");
}
