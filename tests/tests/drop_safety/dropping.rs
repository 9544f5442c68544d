//! Futures, runtimes and services that go away before their connection is closed.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::sync::oneshot;
use tower::{Layer, Service};
use tower_linger::{ClosePolicy, LingerIo, LingerLayer, Outcome, Phase, Release, close};
use tower_linger_tests::scripted::{Counts, Script, Scripted};
use tower_linger_tests::server::reporting;

use super::PHASES;

/// Waits until the close has been polled in this phase, where the script makes it wait.
async fn stuck_in(script: &Script, phase: Phase) {
    script
        .until(|seen| match phase {
            // The same poll that flushes goes on to the alert.
            Phase::Flush | Phase::Notify => seen.flushes > 0,
            Phase::HalfClose => seen.alerts > 0,
            Phase::Settle | Phase::PeerFirst | Phase::Drain | Phase::Done => seen.discards > 0,
        })
        .await;
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
        let (linger, mut reports) = reporting(ClosePolicy::default());
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
    let (linger, mut reports) = reporting(ClosePolicy::default());
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
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let (script, io) = Script::new();
        script.stick(phase);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let task = linger.clone();
        runtime.block_on(async {
            tokio::spawn(async move { drop(task.wrap(io)) });
            stuck_in(&script, phase).await;
        });
        if phase == Phase::Notify {
            // Nothing makes the best effort wait.
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
    assert!(poll_once(closing.as_mut()).await.is_pending());
    drop(closing);
    assert_eq!(script.seen().drops, 0);
    script.end();
    script.until(|seen| seen.drops == 1).await;
}

/// Polls a future once.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_service_aborts_the_connection_once() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
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
    // The script is no socket, so it cannot be reset, and the report says so.
    assert_eq!((report.outcome, report.release), (Outcome::Aborted, Release::Close));
    assert_eq!((script.seen().alerts, script.seen().fins, script.seen().drops), (0, 0, 1));
}

fn handler_that_panics() -> Result<(), Infallible> {
    std::panic::resume_unwind(Box::new("on purpose"))
}

#[tokio::test(start_paused = true)]
async fn a_connection_taken_out_by_into_inner_is_neither_closed_nor_reported() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
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

/// A handler may keep the handle of its connection for as long as it likes.
#[tokio::test(start_paused = true)]
async fn a_handle_that_outlives_its_connection_keeps_no_task_alive() {
    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    let linger = LingerLayer::default();
    let (script, io) = Script::new();
    let mut io = linger.wrap(io);
    let handle = io.close_handle();
    let task = Arc::new(Task);
    let waker = task.clone().into();
    let reading = Pin::new(&mut io).poll_read(&mut Context::from_waker(&waker), &mut ReadBuf::new(&mut [0]));
    assert!(reading.is_pending());
    drop(waker);
    assert!(Arc::strong_count(&task) > 1, "it waits to be woken");
    script.end();
    drop(io);
    linger.tracker().wait().await;
    assert_eq!(Arc::strong_count(&task), 1);
    drop(handle);
}
