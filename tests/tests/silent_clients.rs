//! Clients that are silent behind their response and do not close. Where the last request is known to have
//! been read to its end, nobody waits for them to the policy's bounds.

#![cfg(all(target_os = "linux", not(tower_linger_portable)))]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::routing::any;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower_linger::{ClosePolicy, CloseReport, Outcome, Phase, RequestLayer, Shutdown};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, receive};
use tower_linger_tests::server::{Engine, listen, reporting};

const CLOSES: [(header::HeaderName, &str); 1] = [(header::CONNECTION, "close")];
const IDLE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);

fn app() -> Router {
    Router::new()
        .route("/answers", any(async || (CLOSES, "answer")))
        .route("/reads", any(async |body: Bytes| (CLOSES, format!("{} bytes", body.len()))))
        .route("/refuses", any(async || (StatusCode::PAYLOAD_TOO_LARGE, CLOSES)))
}

fn policy() -> ClosePolicy {
    ClosePolicy::builder().drain_idle_timeout(IDLE).build().expect("it makes sense")
}

/// The report on a client that has seen the end, has then sent a bit more, and stays.
async fn report(
    client: &mut Client,
    reports: &mut UnboundedReceiver<CloseReport>,
    request: &str,
    more: &[u8],
) -> CloseReport {
    client.write_all(request.as_bytes()).await.expect("loopback");
    let seen = receive(client, End::Fin).await;
    assert!(seen.status.is_some(), "{request:?}: {seen:?}");
    client.write_all(more).await.expect("loopback");
    timeout(PATIENCE, reports.recv()).await.expect("in time").expect("reported")
}

/// A request, what is sent behind its response, and what ends the close.
const REQUESTS: [(&str, &[u8], Outcome); 5] = [
    ("GET /answers HTTP/1.1\r\nHost: x\r\n\r\n", b"", Outcome::Acknowledged),
    ("GET /answers HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"", Outcome::Acknowledged),
    ("PUT /reads HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", b"", Outcome::Acknowledged),
    ("GET /answers HTTP/1.1\r\nHost: x\r\n\r\n", b"x", Outcome::DrainIdle),
    // It may be uploading.
    ("PUT /refuses HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{}", b"", Outcome::DrainIdle),
];

fn layered(app: Router) -> Router {
    app.layer(RequestLayer)
}

#[tokio::test]
async fn a_silent_client_is_released_where_nothing_of_its_request_is_missing() {
    for engine in Engine::ALL {
        let (linger, mut reports) = reporting(policy());
        let server = engine.start(Some(&linger), layered(app())).await;
        for (request, more, expected) in REQUESTS {
            let mut client = Client::plain(server.address, None).await.expect("it listens");
            let report = report(&mut client, &mut reports, request, more).await;
            assert_eq!(report.outcome, expected, "{engine:?} {request:?}: {report}");
            if expected == Outcome::Acknowledged {
                assert_eq!(report.unacked, Some(0), "{engine:?} {request:?}: {report}");
                let waited = report.time_in(Phase::Drain);
                assert!(waited >= Duration::from_millis(350), "{engine:?} {request:?}: {report}");
            }
        }
    }
}

/// Also one that had announced its last request: its session may answer.
#[tokio::test]
async fn a_silent_session_is_released_as_well() {
    let certs = Certs::make();
    let trusts = Arc::new(certs.client(&Version::ALL));
    for engine in Engine::ALL {
        let (linger, mut reports) = reporting(policy());
        let acceptor = TlsAcceptor::from(Arc::new(certs.server(&Version::ALL, ClientAuth::None)));
        let server = engine.layered(listen().await, &linger, Some(acceptor), layered(app()));
        for says in ["keep-alive", "close"] {
            let request = format!("GET /answers HTTP/1.1\r\nHost: x\r\nConnection: {says}\r\n\r\n");
            let mut client = Client::tls(server.address, None, trusts.clone()).await.expect("it listens");
            let report = report(&mut client, &mut reports, &request, b"").await;
            assert_eq!(report.outcome, Outcome::Acknowledged, "{engine:?} {says}: {report}");
        }
    }
}

#[tokio::test]
async fn without_a_request_layer_nobody_knows_and_the_close_waits() {
    for engine in Engine::ALL {
        let (linger, mut reports) = reporting(policy());
        let server = engine.start(Some(&linger), app()).await;
        let mut client = Client::plain(server.address, None).await.expect("it listens");
        let report = report(&mut client, &mut reports, REQUESTS[0].0, b"").await;
        assert_eq!(report.outcome, Outcome::DrainIdle, "{engine:?}: {report}");
    }
}

/// In a container the network goes with the process, so what was announced as the last is waited for, too:
/// until it has arrived.
#[tokio::test]
async fn in_a_shutdown_a_last_response_is_waited_for_until_it_has_arrived() {
    let (linger, mut reports) = reporting(policy());
    let server = Engine::Hyper.start(Some(&linger), layered(app())).await;
    Shutdown::new(linger.tracker().clone(), PATIENCE).handle().request();
    let mut client = Client::plain(server.address, None).await.expect("it listens");
    let report = report(&mut client, &mut reports, "GET /answers HTTP/1.0\r\n\r\n", b"").await;
    assert_eq!(report.outcome, Outcome::Acknowledged, "{report}");
}
