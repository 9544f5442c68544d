//! A service that shuts its own side down before it drops the connection.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_linger::{ClosePolicy, Outcome, Phase};
use tower_linger_tests::scripted::{Counts, Script};
use tower_linger_tests::server::reporting;

#[tokio::test(start_paused = true)]
async fn shutting_down_twice_sends_one_alert_and_one_fin() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let (script, io) = Script::new();
    let mut io = linger.wrap(io);
    io.shutdown().await.expect("nothing is in the way");
    assert_eq!((script.seen().alerts, script.seen().fins), (1, 1), "a tunnel's FIN is sent at once");
    io.shutdown().await.expect("it is done");
    script.send(5);
    assert_eq!(io.read(&mut [0; 8]).await.expect("the other direction goes on"), 5);
    script.end();
    drop(io);
    linger.tracker().wait().await;
    let Counts { alerts, fins, drops, .. } = script.seen();
    assert_eq!((alerts, fins, drops), (1, 1, 1));
    assert!(reports.try_recv().expect("reported").sent_close_notify);
}

/// Where the shutdown cannot be sent at once, the engine does not wait for it, because nothing bounds the
/// engine. A later read or the close sends it.
#[tokio::test(start_paused = true)]
async fn a_shutdown_that_has_to_wait_is_left_to_later_reads_and_to_the_close() {
    for (paid_by_a_read, has_read_before) in [(true, true), (true, false), (false, false)] {
        let (linger, _reports) = reporting(ClosePolicy::default());
        let (script, io) = Script::new();
        script.stick(Phase::HalfClose);
        let mut io = linger.wrap(io);
        if has_read_before {
            script.send(5);
            assert_eq!(io.read(&mut [0; 8]).await.expect("no error"), 5);
        }
        io.shutdown().await.expect("answered at once");
        assert_eq!(script.seen().fins, 0);
        script.stick(None);
        script.end();
        if paid_by_a_read {
            assert_eq!(io.read(&mut [0; 8]).await.expect("no error"), 0);
            assert_eq!(script.seen().fins, 1);
        }
        drop(io);
        linger.tracker().wait().await;
        assert_eq!((script.seen().fins, script.seen().drops), (1, 1));
    }
}

/// What a handler wants counts until the peer has been shown the end.
#[tokio::test(start_paused = true)]
async fn an_abort_after_the_shutdown_changes_nothing() {
    for is_first in [true, false] {
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let (script, io) = Script::new();
        let mut io = linger.wrap(io);
        let handle = io.close_handle();
        if is_first {
            handle.abort();
        }
        io.shutdown().await.expect("answered");
        handle.abort();
        script.end();
        drop(io);
        let whole = Outcome::PeerClosed { close_notify: false };
        let report = reports.recv().await.expect("a report");
        assert_eq!(report.outcome, if is_first { Outcome::Aborted } else { whole });
    }
}
