//! Clients that announce their last request (RFC 9112 §9.6): where all of it was read, nothing can follow,
//! and the close does not wait.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::Layer;
use tower_linger::{ClosePolicy, CloseReport, LingerIo, Outcome, Phase, RequestLayer, Shutdown};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, Manner, receive};
use tower_linger_tests::server::{Engine, accept_loop, listen, reporting};

const CLOSED: Outcome = Outcome::PeerClosed { close_notify: false };

fn app() -> Router {
    Router::new()
        .route("/answers", any(async || "answer"))
        .route("/reads", any(async |body: Bytes| format!("{} bytes", body.len())))
        .route("/echoes", any(async |request: Request| Response::new(request.into_body())))
        .route("/refuses", any(async || StatusCode::PAYLOAD_TOO_LARGE))
        .route("/trailers", any(trailers))
        .layer(RequestLayer)
}

async fn trailers() -> impl IntoResponse {
    let trailers = Frame::trailers(HeaderMap::from_iter([(header::ETAG, "a".parse().expect("a value"))]));
    let frames = [Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from("part"))), Ok(trailers)];
    let body = http_body_util::StreamBody::new(tokio_stream::iter(frames));
    ([(header::TRAILER, "etag")], Body::new(body))
}

/// How the close of a connection with this request was reported. The client has closed when it has seen the
/// end.
async fn outcome(
    server: std::net::SocketAddr,
    reports: &mut UnboundedReceiver<CloseReport>,
    request: &str,
) -> CloseReport {
    let mut client = Client::plain(server, None).await.expect("it listens");
    client.write_all(request.as_bytes()).await.expect("loopback");
    let seen = receive(&mut client, End::Fin).await;
    assert!(seen.status.is_some() && seen.end == End::Fin, "{request:?}: {seen:?}");
    drop(client);
    timeout(PATIENCE, reports.recv()).await.expect("in time").expect("reported")
}

const PATIENCE: Duration = Duration::from_secs(60);

/// The request's head, what it says of its connection, its body; and whether the close has to wait.
const REQUESTS: [(&str, &str, Outcome); 12] = [
    ("GET /answers HTTP/1.1", "Connection: close\r\n\r\n", Outcome::PeerDone),
    ("GET /answers HTTP/1.0", "\r\n", Outcome::PeerDone),
    ("HEAD /answers HTTP/1.0", "\r\n", Outcome::PeerDone),
    ("GET /trailers HTTP/1.1", "TE: trailers\r\nConnection: TE, close\r\n\r\n", Outcome::PeerDone),
    ("PUT /reads HTTP/1.1", "Connection: close\r\nContent-Length: 2\r\n\r\n{}", Outcome::PeerDone),
    ("PUT /echoes HTTP/1.1", "Connection: close\r\nContent-Length: 2\r\n\r\n{}", Outcome::PeerDone),
    // What arrived is read for the service, if it is little.
    ("PUT /answers HTTP/1.1", "Connection: close\r\nContent-Length: 2\r\n\r\n{}", Outcome::PeerDone),
    (
        "PUT /reads HTTP/1.1",
        "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        Outcome::PeerDone,
    ),
    ("PUT /refuses HTTP/1.1", "Connection: close\r\nContent-Length: 9\r\n\r\n{}", CLOSED),
    ("PUT /refuses HTTP/1.0", "Content-Length: 9\r\n\r\n{}", CLOSED),
    ("PUT /refuses HTTP/1.1", "Content-Length: 9\r\n\r\n{}", CLOSED),
    (
        "PUT /refuses HTTP/1.1",
        "Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
        CLOSED,
    ),
];

#[tokio::test]
async fn a_connection_whose_last_request_was_read_is_released_at_once() {
    for engine in Engine::ALL {
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let server = engine.start(Some(&linger), app()).await;
        for (line, rest, expected) in REQUESTS {
            let request = format!("{line}\r\nHost: x\r\n{rest}");
            let report = outcome(server.address, &mut reports, &request).await;
            assert_eq!(report.outcome, expected, "{engine:?} {request:?}");
            if expected == Outcome::PeerDone {
                assert!(report.time_in(Phase::Drain).is_zero(), "{engine:?} {request:?}: {report}");
            }
        }
    }
}

/// It depends on the requests before it no more than on their number.
#[tokio::test]
async fn only_the_last_request_of_a_connection_counts() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let server = Engine::Hyper.start(Some(&linger), app()).await;
    let first = "PUT /reads HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    let last = "GET /answers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let report = outcome(server.address, &mut reports, &[first, last].concat()).await;
    assert_eq!(report.outcome, Outcome::PeerDone);
    let kept = "GET /answers HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let last = "GET /answers HTTP/1.0\r\n\r\n";
    let report = outcome(server.address, &mut reports, &[kept, last].concat()).await;
    assert_eq!(report.outcome, Outcome::PeerDone);
}

/// In a container the network goes with the process, and with it what the kernel has yet to send.
#[tokio::test]
async fn a_server_that_shuts_down_waits_until_the_last_response_has_arrived() {
    for engine in Engine::ALL {
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let server = engine.start(Some(&linger), app()).await;
        let request = "GET /answers HTTP/1.0\r\n\r\n";
        let before = outcome(server.address, &mut reports, request).await;
        assert_eq!(before.outcome, Outcome::PeerDone, "{engine:?}");
        Shutdown::new(linger.tracker().clone(), PATIENCE).handle().request();
        assert_eq!(outcome(server.address, &mut reports, request).await.outcome, CLOSED, "{engine:?}");
    }
}

/// An engine whose service is watched by the connection itself.
#[tokio::test]
async fn a_watched_service_tells_of_the_last_request() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let connections = linger.layer(tower::service_fn(async |io: LingerIo<tokio::net::TcpStream>| {
        let service = io.watch(tower::service_fn(async |request: hyper::Request<hyper::body::Incoming>| {
            let body = request.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>(hyper::Response::new(http_body_util::Full::new(body)))
        }));
        let service = hyper_util::service::TowerToHyperService::new(service);
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service).await
    }));
    let server = accept_loop(listen().await, connections);
    let request = "GET / HTTP/1.0\r\n\r\n";
    assert_eq!(outcome(server.address, &mut reports, request).await.outcome, Outcome::PeerDone);
    // It does not see where a request's body ends.
    let request = "PUT / HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(outcome(server.address, &mut reports, request).await.outcome, CLOSED);
}

/// A session's client answers with its own `close_notify`, and an upload that was announced is still on its
/// way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_still_come_is_waited_for_although_it_is_the_last() {
    const UPLOAD: usize = 64 << 20;
    let request =
        format!("PUT /refuses HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {UPLOAD}\r\n\r\n");
    for engine in Engine::ALL {
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let server = engine.start(Some(&linger), app()).await;
        let client = Client::plain(server.address, None).await.expect("it listens");
        let seen = client.exchange(request.as_bytes(), UPLOAD, Manner::StopsAtFailedWrite).await;
        assert_eq!((seen.status, seen.end), (Some(413), End::Fin), "{engine:?}");
        assert_eq!(reports.recv().await.expect("reported").outcome, CLOSED, "{engine:?}");

        let certs = Certs::make();
        let acceptor = TlsAcceptor::from(std::sync::Arc::new(certs.server(&Version::ALL, ClientAuth::None)));
        let server = engine.layered(listen().await, &linger, Some(acceptor), app());
        let config = std::sync::Arc::new(certs.client(&Version::ALL));
        let mut client = Client::tls(server.address, None, config).await.expect("a handshake");
        client.write_all(b"GET /answers HTTP/1.0\r\n\r\n").await.expect("loopback");
        let seen = receive(&mut client, End::CloseNotify).await;
        assert_eq!((seen.status, seen.end), (Some(200), End::CloseNotify), "{engine:?}");
        client.shutdown().await.expect("loopback");
        assert_eq!(reports.recv().await.expect("reported").outcome, CLOSED, "{engine:?}");
    }
}
