//! How long a close waits for its peer to take what is left to be sent.

use tower_linger::{ClosePolicy, Outcome, Phase, Release, close};
use tower_linger_tests::scripted::Script;

use super::{SECOND, timed};

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_let_go_at_the_flush_idle_timeout_and_reset() {
    let (script, io) = Script::new();
    script.stick(Phase::Flush);
    let (report, took) = timed(close(io, &ClosePolicy::default())).await;
    // The script is no socket, so it cannot be reset, and the report says so.
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
    assert_eq!(report.release, Release::Close, "over TLS the missing alert tells the peer of the cut");
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
        assert!(wakes < 100, "progress keeps the connection for ever");
    }
    let (report, took) = closing.await.expect("no panic");
    assert_eq!(report.outcome, Outcome::FlushTimeout);
    assert!((60 * SECOND..68 * SECOND).contains(&took), "{took:?}");
}

/// The close also wakes when the earlier deadline passes. That wake-up must not count as progress.
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
