//! What decides the outcome of a close: the service's result, the handler, and the first failure.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::{Layer, Service};
use tower_linger::{ClosePolicy, Ending, LingerIo, Outcome, Phase, RequestLayer, close};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::scripted::{Script, Scripted};
use tower_linger_tests::server::reporting;

use super::PHASES;

const SECOND: Duration = Duration::from_secs(1);

/// A classifier decides which results are failures, which must not look clean.
#[tokio::test(start_paused = true)]
async fn a_classifier_decides_by_the_services_result() {
    for (fails, expected) in [(false, Outcome::PeerClosed { close_notify: false }), (true, Outcome::Aborted)]
    {
        let (linger, mut reports) = reporting(ClosePolicy::default());
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

/// A read without room for bytes brings none, whatever the peer does. A peer that has not ended may still be
/// the first to close.
#[tokio::test(start_paused = true)]
async fn a_read_without_room_is_not_the_peers_end() {
    for (room, waits) in [(0, SECOND), (1, Duration::ZERO)] {
        let policy = ClosePolicy::builder().peer_closes_first(SECOND).build().expect("makes sense");
        let (linger, mut reports) = reporting(policy);
        let (script, io) = Script::new();
        script.end();
        let mut io = linger.wrap(io);
        assert_eq!(io.read(&mut vec![0; room]).await.expect("no failure"), 0);
        script.hide_end();
        drop(io);
        let report = reports.recv().await.expect("reported");
        assert_eq!(report.time_in(Phase::PeerFirst), waits, "room for {room}");
    }
}

/// The classifier gives an abuser's connection a policy without a drain, so that it holds no socket.
#[tokio::test(start_paused = true)]
async fn a_classifier_can_give_a_connection_another_policy() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
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

/// A record that cannot be decoded ends only the session. What the service meets afterwards may end the
/// connection, and the kernel does not tell the close of it again.
#[tokio::test(start_paused = true)]
async fn a_reset_after_a_failure_of_the_session_is_still_a_reset() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let (script, io) = Script::new();
    let mut io = linger.wrap(io);
    for kind in [ErrorKind::InvalidData, ErrorKind::ConnectionReset] {
        script.fail(Phase::Drain, kind);
        assert_eq!(io.read_u8().await.expect_err("as scripted").kind(), kind);
    }
    script.fail(Phase::Done, ErrorKind::Other);
    script.end();
    drop(io);
    linger.tracker().wait().await;
    let report = reports.try_recv().expect("reported");
    assert_eq!(report.outcome, Outcome::PeerReset, "{report}");
    assert_eq!(
        report.failure.map(tower_linger::Failure::kind),
        Some(ErrorKind::InvalidData),
        "the first one"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_can_be_aborted_by_hand() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let (script, io) = Script::new();
    linger.wrap(io).abort();
    linger.tracker().wait().await;
    assert_eq!(reports.try_recv().expect("reported").outcome, Outcome::Aborted);
    assert_eq!((script.seen().fins, script.seen().drops), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_close_handle_sets_the_policy_of_its_connection_or_aborts_it() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
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
    let (linger, mut reports) = reporting(ClosePolicy::default());
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

/// The kernel reports an error once. A reset that the service has seen must not become a clean end in the
/// close.
#[tokio::test(start_paused = true)]
async fn a_reset_that_the_service_saw_is_reported_by_the_close() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
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
async fn a_reset_in_any_phase_of_the_close_is_reported_as_one() {
    for phase in PHASES {
        let (script, io) = Script::new();
        script.fail(phase, ErrorKind::BrokenPipe);
        script.end();
        let report = close(io, &ClosePolicy::default()).await;
        assert_eq!((report.outcome, report.ended_in), (Outcome::PeerReset, phase));
        assert_eq!(report.failure.expect("kept").kind(), ErrorKind::BrokenPipe);
    }
}

/// The alert was the last message, and what the handshake failed with is the first failure.
#[tokio::test(start_paused = true)]
async fn a_failed_handshake_is_the_failure_of_its_close() {
    const ALERT: u8 = 21; // RFC 8446 §5.1
    let config = Certs::make().server(&[Version::Tls13], ClientAuth::None);
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let service = tower::service_fn(async |_| Ok::<_, io::Error>(()));
    let mut tls = linger.tls(TlsAcceptor::from(Arc::new(config))).layer(service);
    let (mut client, server) = duplex(1024);
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("there is room");
    let error = tls.call(server).await.expect_err("that is not TLS");
    let mut told = Vec::new();
    client.read_to_end(&mut told).await.expect("an end");
    drop(client);
    assert_eq!((told[0], told.len()), (ALERT, 7), "{error}: one alert and nothing else");
    let report = reports.recv().await.expect("a report");
    assert_eq!(report.failure.expect("kept").kind(), ErrorKind::InvalidData);
}

/// hyper drops a connection whose response has failed, but other engines shut it down as if it were whole.
#[tokio::test(start_paused = true)]
async fn a_response_that_has_failed_is_not_told_as_whole_by_a_shutdown() {
    const HALF: &[u8] = b"HTTP/1.1 200 OK\r\n\r\nhalf";
    for fails in [true, false] {
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let (mut client, server) = duplex(1024);
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("there is room");
        let engine = tokio::spawn(async move {
            let mut io = linger.wrap(server);
            assert!(io.read(&mut [0; 64]).await.expect("a request") > 0);
            let handler = tower::service_fn(move |_| async move {
                let end = if fails { Err(io::Error::other("on purpose")) } else { Ok("half") };
                Ok::<_, Infallible>(Response::new(Body::from_stream(tokio_stream::iter([end]))))
            });
            let response = RequestLayer.layer(handler).call(Request::new(Body::empty())).await;
            let body = response.expect("infallible").into_body();
            assert_eq!(body.collect().await.is_err(), fails);
            io.write_all(HALF).await.expect("there is room");
            io.shutdown().await.expect("answered");
            // Nor by a read after that.
            assert!(timeout(SECOND, io.read(&mut [0; 1])).await.is_err(), "the client waits");
            drop(io);
        });
        engine.await.expect("no panic");
        client.shutdown().await.expect("a pipe");
        let report = reports.recv().await.expect("a report");
        let whole = Outcome::PeerClosed { close_notify: false };
        assert_eq!(report.outcome, if fails { Outcome::Aborted } else { whole });
    }
}

/// How the end of a response can be told is known from its head. A request behind it says nothing of that.
#[tokio::test(start_paused = true)]
async fn a_later_request_does_not_change_how_the_last_response_ends() {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let (mut client, server) = duplex(1024);
    let mut io = linger.wrap(server);
    client.write_all(REQUEST).await.expect("there is room");
    assert_eq!(io.read(&mut [0; 64]).await.expect("a request"), REQUEST.len());
    io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhalf").await.expect("there is room");
    client.write_all(REQUEST).await.expect("there is room");
    // A task that has not read before.
    let engine = tokio::spawn(async move {
        assert_eq!(io.read(&mut [0; 64]).await.expect("a request"), REQUEST.len());
    });
    engine.await.expect("no panic");
    let report = reports.recv().await.expect("a report");
    assert_eq!((report.outcome, report.ended_in), (Outcome::Aborted, Phase::Drain));
}
