//! Closes in several runtimes, in one that ends, in one without timers, and in none. Each runtime has its own
//! timer for the closes that wait in it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout};
use tower::{Layer, Service};
use tower_linger::{Close, ClosePolicy, LingerIo, LingerLayer, Outcome, Tracker, close};
use tower_linger_tests::scripted::{Script, Scripted};

/// A runtime with its own paused clock, which advances when the runtime is idle.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

/// Longer than any close takes, on the paused clock.
const LONG: Duration = Duration::from_secs(600);

fn poll_once(closing: &mut Close<Scripted>) -> Poll<Outcome> {
    let mut cx = Context::from_waker(Waker::noop());
    Pin::new(closing).poll(&mut cx).map(|report| report.outcome)
}

#[test]
fn a_stalled_runtime_does_not_delay_the_closes_of_another() {
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
    // The first runtime is stalled from here on, and its timer is due first.
    let (second, io) = Script::new();
    running.block_on(async {
        drop(linger.wrap(io));
        timeout(LONG, second.until(|seen| seen.drops == 1)).await.expect("its own runtime's timer wakes it");
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
    let report = runtime().block_on(async { timeout(LONG, closing).await }).expect("the next timer wakes it");
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

/// A timer that was set in one runtime wakes nothing in another.
#[test]
fn a_close_polled_in_two_runtimes_ends_in_time_in_the_second_whether_or_not_the_first_goes_on() {
    for first_goes_on in [false, true] {
        let (tracker, limit) = (Tracker::new(), Duration::from_secs(2));
        let layer = |limit| {
            let policy = ClosePolicy::builder().drain_idle_timeout(limit).drain_limit(limit).build();
            LingerLayer::new(policy.expect("it makes sense")).with_tracker(tracker.clone())
        };
        // The second runtime's timer already waits for another, longer close, and its clock says 20 s.
        let (first, second) = (runtime(), runtime());
        let (kept, io) = Script::new();
        second.block_on(async {
            drop(layer(LONG).wrap(io));
            kept.until(|seen| seen.discards > 0).await;
            tokio::time::advance(10 * limit).await;
        });
        let (script, io) = Script::new();
        let mut service = layer(limit).layer(tower::service_fn(|io: LingerIo<Scripted>| async move {
            drop(io);
            Ok::<_, Infallible>(())
        }));
        let mut closing = Box::pin(service.call(io));
        let mut poll_once = || closing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        first.block_on(async {
            // Both clocks say 20 s.
            tokio::time::advance(10 * limit).await;
            assert!(poll_once().is_pending());
            tokio::task::yield_now().await;
        });
        second.block_on(async { assert!(poll_once().is_pending()) });
        if first_goes_on {
            first.block_on(async {
                tokio::time::advance(2 * limit).await;
                tokio::task::yield_now().await;
            });
        }
        let (ended, took) = second.block_on(async {
            let began = Instant::now();
            (timeout(LONG, closing).await, began.elapsed())
        });
        assert!(ended.is_ok() && took < 2 * limit, "goes on: {first_goes_on}; {ended:?} after {took:?}");
        assert_eq!(script.seen().drops, 1);
        assert_eq!(tracker.summary().to_string(), "1 closed: drain_deadline 1");
    }
}

/// The timer's numbers wrap after 49 days and can be compared over 24 days. The clock leaps by less than
/// either, by more than 24 days, and by more than both.
#[test]
fn closes_still_end_after_the_clock_leaps_by_days() {
    for days in [2, 30, 60] {
        let linger = LingerLayer::default();
        runtime().block_on(async {
            for _ in 0..3 {
                let (script, io) = Script::new();
                drop(linger.wrap(io));
                script.until(|seen| seen.discards > 0).await;
            }
            tokio::time::advance(Duration::from_secs(days * 24 * 60 * 60)).await;
            let (after, io) = Script::new();
            drop(linger.wrap(io));
            after.until(|seen| seen.discards > 0).await;
            timeout(LONG, linger.tracker().wait()).await.expect("all of them end");
        });
        assert_eq!(linger.tracker().summary().total(), 4, "{days} days");
    }
}

/// Without tokio's timers, a thread bounds the closes.
#[test]
fn a_runtime_without_timers_bounds_its_closes_and_loses_no_result() {
    for (mut builder, name) in
        [(Builder::new_current_thread(), "current thread"), (Builder::new_multi_thread(), "multi thread")]
    {
        let timeless = builder.worker_threads(1).build().expect("a runtime");
        let limit = Duration::from_millis(100);
        let policy = ClosePolicy::builder().drain_idle_timeout(limit).build().expect("it makes sense");
        let (reports, ended) = mpsc::channel();
        let linger = LingerLayer::new(policy).on_close(move |report| {
            let _ = reports.send((report.outcome, report.total_time()));
        });
        let mut service = linger.layer(tower::service_fn(|io: LingerIo<Scripted>| async move {
            drop(io);
            Ok::<_, Infallible>("the result")
        }));
        // The second time, the runtime is already known to have no timers.
        for _ in 0..2 {
            let (script, io) = Script::new();
            let result = timeless.block_on(service.call(io));
            assert_eq!(result, Ok("the result"), "{name}");
            assert_eq!(script.seen().drops, 1, "{name}");
            let (outcome, took) = ended.try_recv().expect("reported");
            assert_eq!(outcome, Outcome::DrainIdle, "{name}");
            assert!(took >= limit, "{name}: {took:?}");
        }
        // The thread waits for a long bound when a shorter one comes.
        let (script, io) = Script::new();
        let patient = ClosePolicy::builder().drain_idle_timeout(LONG).drain_limit(LONG).build();
        let patient =
            LingerLayer::new(patient.expect("it makes sense")).with_tracker(linger.tracker().clone());
        timeless.block_on(async {
            drop(patient.wrap(io));
            script.until(|seen| seen.discards > 0).await;
            let (_script, io) = Script::new();
            assert_eq!(service.call(io).await, Ok("the result"));
        });
        assert_eq!(ended.try_recv().expect("reported").0, Outcome::DrainIdle, "{name}");
        assert_eq!(linger.tracker().len(), 1, "{name}: the longer one still waits");
    }
}

/// Many closes with different bounds. A third of them end early; each of the others ends at its own time.
#[test]
fn one_timer_wakes_each_close_at_its_own_time() {
    let tracker = Tracker::unlimited();
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
