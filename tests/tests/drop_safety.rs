//! CONFORMANCE 38: whatever is dropped, whenever, the connection is dropped once and its outcome is reported.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tower::{Layer, Service};
use tower_linger::{ClosePolicy, CloseReport, Ending, LingerIo, LingerLayer, Outcome, Phase, Release, close};
use tower_linger_tests::scripted::{Counts, Script, Scripted};

/// The phases that a close can be found waiting in.
const PHASES: [Phase; 4] = [Phase::Flush, Phase::Notify, Phase::HalfClose, Phase::Drain];

/// Waits until the close is stuck where the script wants it: it was polled there.
async fn stuck_in(script: &Script, phase: Phase) {
    script
        .until(|seen| match phase {
            // The alert's poll follows the flush without a pause.
            Phase::Flush | Phase::Notify => seen.flushes > 0,
            Phase::HalfClose => seen.alerts > 0,
            _ => seen.discards > 0,
        })
        .await;
}

fn reporting() -> (LingerLayer, mpsc::Receiver<CloseReport>) {
    let (reports, seen) = mpsc::channel();
    let linger = LingerLayer::default().on_close(move |report| {
        let _ = reports.send(*report);
    });
    (linger, seen)
}

/// A service that serves until it is told to stop.
fn serving(
    linger: &LingerLayer,
) -> (
    impl Service<Scripted, Response = (), Error = Infallible, Future: Send + 'static> + use<>,
    oneshot::Sender<()>,
) {
    let (stop, stopped) = oneshot::channel::<()>();
    let mut stopped = Some(stopped);
    let service = tower::service_fn(move |io: LingerIo<Scripted>| {
        let stopped = stopped.take();
        async move {
            if let Some(stopped) = stopped {
                let _ = stopped.await;
            }
            drop(io);
            Ok(())
        }
    });
    (linger.layer(service), stop)
}

#[tokio::test(start_paused = true)]
async fn a_future_dropped_in_any_phase_leaves_the_close_to_a_task_of_its_own() {
    for phase in PHASES {
        let (linger, reports) = reporting();
        let (script, io) = Script::new();
        script.stick(phase);
        let (mut service, stop) = serving(&linger);
        let connection = tokio::spawn(service.call(io));
        stop.send(()).expect("the service is there");
        stuck_in(&script, phase).await;
        connection.abort();
        assert!(connection.await.expect_err("aborted").is_cancelled());
        assert_eq!((linger.tracker().len(), script.seen().drops), (1, 0), "in {phase}");

        script.stick(None);
        script.end();
        linger.tracker().wait().await;
        let report = reports.try_recv().expect("reported before the wait ends");
        assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false }, "in {phase}");
        assert!(reports.try_recv().is_err(), "reported once");
        let Counts { alerts, fins, drops, .. } = script.seen();
        assert_eq!((alerts, fins, drops), (1, 1, 1), "in {phase}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_future_dropped_while_it_serves_still_closes_the_connection() {
    let (linger, reports) = reporting();
    let (script, io) = Script::new();
    script.end();
    let (mut service, _stop) = serving(&linger);
    let connection = tokio::spawn(service.call(io));
    tokio::task::yield_now().await;
    connection.abort();
    assert!(connection.await.expect_err("aborted").is_cancelled());
    linger.tracker().wait().await;
    assert_eq!(reports.try_recv().expect("reported").outcome, Outcome::PeerClosed { close_notify: false });
    assert_eq!((script.seen().fins, script.seen().drops), (1, 1));
}

#[test]
fn a_runtime_shut_down_in_any_phase_gets_a_best_effort_and_reports_it() {
    for phase in PHASES {
        let (linger, reports) = reporting();
        let (script, io) = Script::new();
        script.stick(phase);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let task = linger.clone();
        runtime.block_on(async {
            tokio::spawn(async move { drop(task.wrap(io)) });
            stuck_in(&script, phase).await;
        });
        if phase == Phase::Notify {
            // What was in the way is out of it by the time of the best effort.
            script.stick(None);
        }
        runtime.shutdown_timeout(Duration::from_secs(60));
        let report = reports.try_recv().expect("reported");
        assert_eq!(report.outcome, Outcome::Cancelled, "in {phase}: {report}");
        assert!(reports.try_recv().is_err(), "reported once");
        let seen = script.seen();
        assert_eq!(seen.drops, 1, "in {phase}");
        assert_eq!(seen.fins, usize::from(phase == Phase::Notify || phase == Phase::Drain), "in {phase}");
        assert!(linger.tracker().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_bare_close_that_is_dropped_goes_on_too() {
    let (script, io) = Script::new();
    let mut closing = Box::pin(close(io, &ClosePolicy::default()));
    assert!(futures_poll(closing.as_mut()).await.is_pending());
    drop(closing);
    assert_eq!(script.seen().drops, 0);
    script.end();
    script.until(|seen| seen.drops == 1).await;
}

#[tokio::test(start_paused = true)]
async fn shutting_down_twice_sends_one_alert_and_one_fin() {
    let (linger, reports) = reporting();
    let (script, io) = Script::new();
    let mut io = linger.wrap(io);
    io.shutdown().await.expect("nothing is in the way");
    assert_eq!((script.seen().alerts, script.seen().fins), (1, 1), "a tunnel's FIN is sent at that moment");
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

/// An engine whose shutdown cannot be sent is not made to wait for it: the close has bounds, the engine has
/// none.
#[tokio::test(start_paused = true)]
async fn a_shutdown_that_has_to_wait_is_left_to_later_reads_and_to_the_close() {
    for paid_by_a_read in [true, false] {
        let (linger, _reports) = reporting();
        let (script, io) = Script::new();
        script.stick(Phase::HalfClose);
        let mut io = linger.wrap(io);
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

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_service_aborts_the_connection_once() {
    let (linger, reports) = reporting();
    let (script, io) = Script::new();
    script.end();
    let mut service = linger.layer(tower::service_fn(|io: LingerIo<Scripted>| async move {
        let _held = io;
        handler_that_panics()
    }));
    let connection = tokio::spawn(service.call(io));
    assert!(connection.await.expect_err("panicked").is_panic());
    linger.tracker().wait().await;
    let report = reports.try_recv().expect("reported");
    // What is no socket cannot be reset, and the report says so.
    assert_eq!((report.outcome, report.release), (Outcome::Aborted, Release::Close));
    assert_eq!((script.seen().alerts, script.seen().fins, script.seen().drops), (0, 0, 1));
}

/// A classifier says which results are failures that must not look clean.
#[tokio::test(start_paused = true)]
async fn a_classifier_decides_by_the_services_result() {
    for (fails, expected) in [(false, Outcome::PeerClosed { close_notify: false }), (true, Outcome::Aborted)]
    {
        let (linger, reports) = reporting();
        let (script, io) = Script::new();
        script.end();
        let layer = linger.classify(|result: &Result<(), &str>| match result {
            Ok(()) => Ending::Graceful,
            Err(_) => Ending::Abort,
        });
        let mut service = layer.layer(tower::service_fn(move |io: LingerIo<Scripted>| async move {
            drop(io);
            if fails { Err("a body failed") } else { Ok(()) }
        }));
        assert_eq!(service.call(io).await.is_err(), fails, "the result passes through");
        assert_eq!(reports.try_recv().expect("reported").outcome, expected);
        assert_eq!(script.seen().fins, usize::from(!fails));
    }
}

/// An abuser is owed no socket: the classifier gives its connection a policy without a drain.
#[tokio::test(start_paused = true)]
async fn a_classifier_can_give_a_connection_another_policy() {
    let (linger, reports) = reporting();
    let (script, io) = Script::new();
    script.send(1_000);
    let short = ClosePolicy::builder().without_drain().build().expect("makes sense");
    let layer = linger.classify(move |result: &Result<(), &str>| match result {
        Ok(()) => Ending::Graceful,
        Err(_) => Ending::GracefulBy(short),
    });
    let mut service = layer.layer(tower::service_fn(|io: LingerIo<Scripted>| async move {
        drop(io);
        Err("abuse")
    }));
    assert_eq!(service.call(io).await, Err("abuse"));
    let report = reports.try_recv().expect("reported");
    assert_eq!((report.outcome, report.total_time()), (Outcome::Undrained, Duration::ZERO));
    assert_eq!((script.seen().fins, script.seen().discards, script.seen().drops), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_connection_can_be_aborted_by_hand() {
    let (linger, reports) = reporting();
    let (script, io) = Script::new();
    linger.wrap(io).abort();
    linger.tracker().wait().await;
    assert_eq!(reports.try_recv().expect("reported").outcome, Outcome::Aborted);
    assert_eq!((script.seen().fins, script.seen().drops), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_handlers_word_changes_the_close_of_its_connection() {
    let (linger, reports) = reporting();
    let (_script, io) = Script::new();
    let io = linger.wrap(io);
    let second = Duration::from_secs(1);
    let policy = ClosePolicy::builder().drain_idle_timeout(second).build().expect("makes sense");
    io.close_handle().set_policy(policy);
    drop(io);
    linger.tracker().wait().await;
    let report = reports.try_recv().expect("reported");
    assert_eq!((report.outcome, report.total_time()), (Outcome::DrainIdle, second));

    let (_script, io) = Script::new();
    let io = linger.wrap(io);
    io.close_handle().abort();
    drop(io);
    linger.tracker().wait().await;
    assert_eq!(reports.try_recv().expect("reported").outcome, Outcome::Aborted);
}

#[tokio::test(start_paused = true)]
async fn the_services_own_result_passes_through_after_the_close() {
    let (linger, reports) = reporting();
    let (script, io) = Script::new();
    script.end();
    let mut service = linger.layer(tower::service_fn(|io: LingerIo<Scripted>| async move {
        drop(io);
        Err::<(), _>("the service's own error")
    }));
    assert_eq!(service.call(io).await, Err("the service's own error"));
    assert!(reports.try_recv().is_ok(), "the future completes after the release");
    assert_eq!(script.seen().drops, 1);
}

/// Errors are one-shot in the kernel. The engine's reset must not become the close's clean end.
#[tokio::test(start_paused = true)]
async fn a_reset_that_the_service_saw_stays_one() {
    let (linger, reports) = reporting();
    let (script, io) = Script::new();
    script.fail(Phase::Drain, ErrorKind::ConnectionReset);
    let mut io = linger.wrap(io);
    assert_eq!(io.read(&mut [0; 8]).await.expect_err("reset").kind(), ErrorKind::ConnectionReset);
    script.fail(Phase::Done, ErrorKind::ConnectionReset);
    script.end();
    drop(io);
    linger.tracker().wait().await;
    assert_eq!(reports.try_recv().expect("reported").outcome, Outcome::PeerReset);
}

#[tokio::test(start_paused = true)]
async fn a_reset_first_met_by_any_step_of_the_close_is_reported_as_one() {
    for phase in PHASES {
        let (script, io) = Script::new();
        script.fail(phase, ErrorKind::BrokenPipe);
        script.end();
        let report = close(io, &ClosePolicy::default()).await;
        assert_eq!((report.outcome, report.ended_in), (Outcome::PeerReset, phase));
        assert_eq!(report.failure.expect("kept").kind(), ErrorKind::BrokenPipe);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_taken_out_is_its_takers_alone() {
    let (linger, reports) = reporting();
    let (script, io) = Script::new();
    let mut service = linger.layer(tower::service_fn(|io: LingerIo<Scripted>| async move {
        Ok::<_, Infallible>(io.into_inner())
    }));
    let taken = service.call(io).await.expect("infallible");
    assert_eq!((script.seen().fins, script.seen().drops), (0, 0));
    drop(taken);
    assert_eq!(script.seen().drops, 1);
    assert!(linger.tracker().is_empty() && reports.try_recv().is_err());
}

/// One poll.
async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

fn handler_that_panics() -> Result<(), Infallible> {
    std::panic::resume_unwind(Box::new("on purpose"))
}
