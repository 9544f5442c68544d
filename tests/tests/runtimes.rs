//! Closes that wait in several runtimes, in one that ends, or in none. Each runtime has an alarm of its own for those that wait in
//! it.

use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tower_linger::{Close, ClosePolicy, LingerLayer, Outcome, Tracker, close};
use tower_linger_tests::scripted::{Script, Scripted};

/// On a clock of its own, which advances when there is nothing else to do.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

/// Longer than any close takes, on a paused clock.
const LONG: Duration = Duration::from_secs(600);

fn poll_once(closing: &mut Close<Scripted>) -> Poll<Outcome> {
    let mut cx = Context::from_waker(Waker::noop());
    Pin::new(closing).poll(&mut cx).map(|report| report.outcome)
}

#[test]
fn a_runtime_that_stands_still_does_not_keep_the_closes_of_another() {
    let (reports, ended) = mpsc::channel();
    let linger = LingerLayer::default().on_close(move |report| {
        let _ = reports.send(report.outcome);
    });
    let (standing, running) = (runtime(), runtime());
    let (first, io) = Script::new();
    standing.block_on(async {
        drop(linger.wrap(io));
        first.until(|seen| seen.discards > 0).await;
    });
    // Nobody drives it any more, and its alarm has the earlier time.
    let (second, io) = Script::new();
    running.block_on(async {
        drop(linger.wrap(io));
        timeout(LONG, second.until(|seen| seen.drops == 1)).await.expect("its own runtime's alarm rings");
    });
    assert_eq!(ended.try_recv().expect("reported"), Outcome::DrainIdle);
    assert_eq!((first.seen().drops, linger.tracker().len()), (0, 1));
    drop(standing);
    assert_eq!(ended.try_recv().expect("reported"), Outcome::Cancelled);
    assert!(linger.tracker().is_empty());
}

#[test]
fn a_close_that_outlives_its_runtime_goes_on_where_it_is_polled_next() {
    let (_script, io) = Script::new();
    let mut closing = close(io, &ClosePolicy::default());
    let first = runtime();
    assert_eq!(first.block_on(async { poll_once(&mut closing) }), Poll::Pending);
    drop(first);
    let report = runtime().block_on(async { timeout(LONG, closing).await }).expect("the next alarm rings");
    assert_eq!(report.outcome, Outcome::DrainIdle);
}

#[test]
fn a_close_in_a_runtime_that_has_ended_makes_its_best_effort() {
    let (script, io) = Script::new();
    let mut closing = close(io, &ClosePolicy::default());
    let ended = runtime();
    let handle = ended.handle().clone();
    drop(ended);
    let _inside = handle.enter();
    assert_eq!(poll_once(&mut closing), Poll::Ready(Outcome::Cancelled));
    assert_eq!((script.seen().alerts, script.seen().fins, script.seen().drops), (1, 1, 1));
}

#[test]
fn a_close_outside_of_any_runtime_makes_its_best_effort() {
    let (script, io) = Script::new();
    let mut closing = close(io, &ClosePolicy::default());
    assert_eq!(poll_once(&mut closing), Poll::Ready(Outcome::Cancelled));
    assert_eq!((script.seen().alerts, script.seen().fins, script.seen().drops), (1, 1, 1));
}

/// Nothing would bound it, so it is told to whoever made that runtime; and so is the next.
#[test]
fn closes_in_a_runtime_without_timers_panic_and_do_not_wait_for_ever() {
    let timeless = Builder::new_current_thread().build().expect("a runtime");
    for _ in 0..2 {
        let (_script, io) = Script::new();
        let mut closing = close(io, &ClosePolicy::default());
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            timeless.block_on(async { poll_once(&mut closing) })
        }));
        assert!(polled.is_err());
    }
}

/// Many closes, of all lengths, some of which end before: each of the others ends at its own time.
#[test]
fn one_alarm_wakes_each_close_at_its_own_time() {
    let tracker = Tracker::new();
    let (reports, ended) = mpsc::channel();
    runtime().block_on(async {
        for millis in (1..=1000).rev().chain(1..=1000) {
            let limit = Duration::from_millis(10 * millis);
            let policy = ClosePolicy::builder().drain_idle_timeout(limit).drain_limit(limit).build();
            let reports = reports.clone();
            let linger = LingerLayer::new(policy.expect("it makes sense"))
                .with_tracker(tracker.clone())
                .on_close(move |report| {
                    let _ = reports.send((millis, report.outcome, report.total_time(), limit));
                });
            let (script, io) = Script::new();
            drop(linger.wrap(io));
            if millis % 3 == 0 {
                script.until(|seen| seen.discards > 0).await;
                script.end();
            }
        }
        tracker.wait().await;
    });
    drop(reports);
    for (millis, outcome, took, limit) in &ended {
        if millis % 3 == 0 {
            assert_eq!((outcome, took), (Outcome::PeerClosed { close_notify: false }, Duration::ZERO));
        } else {
            assert_eq!((outcome, took), (Outcome::DrainDeadline, limit), "{millis}");
        }
    }
    assert_eq!(tracker.summary().total(), 2000);
}
