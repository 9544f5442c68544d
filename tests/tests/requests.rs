//! `RequestLayer` with a real hyper: what it adds to responses and what it leaves alone. And what it does,
//! on a paused clock, with HTTP/2 bodies that nobody reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Response, StatusCode, Version, header};
use axum::routing::any;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tower::ServiceExt as _;
use tower_linger::{LingerLayer, RequestLayer};
use tower_linger_tests::certs::{self, Certs, ClientAuth};
use tower_linger_tests::peer::{Client, End, receive};
use tower_linger_tests::server::listen;

fn app() -> Router {
    Router::new()
        .route("/ignores", any(async || "no"))
        .route("/echo", any(async |request: Request| Response::new(request.into_body())))
        .route("/reads", any(async |body: Bytes| format!("{} bytes", body.len())))
        .route("/upgrade", any(async || (StatusCode::UPGRADE_REQUIRED, [(header::CONNECTION, "upgrade")])))
        .route("/switch", any(switch))
        .route(
            "/stream",
            any(async || Body::from_stream(tokio_stream::iter([Ok::<_, std::io::Error>("part")]))),
        )
}

/// Echoes what comes after the switch.
async fn switch(mut request: Request) -> impl axum::response::IntoResponse {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let upgraded = TokioIo::new(upgrade.await.expect("the client asked for it"));
        let (mut read, mut write) = tokio::io::split(upgraded);
        tokio::io::copy(&mut read, &mut write).await
    });
    let switch = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")];
    (StatusCode::SWITCHING_PROTOCOLS, switch)
}

async fn connect(app: Router) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    TcpStream::connect(address).await.expect("listening")
}

/// Sends a request and reads a response's head.
async fn head(client: &mut TcpStream, request: &str) -> String {
    client.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.expect("a head before the end"));
    }
    String::from_utf8(head).expect("ASCII").to_lowercase()
}

fn post(path: &str, rest: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\n{rest}")
}

/// Reads the body of the response with this head.
async fn read_body(client: &mut TcpStream, head: &str) -> Vec<u8> {
    let mut body = Vec::new();
    if let Some((_, rest)) = head.split_once("content-length: ") {
        body.resize(rest.lines().next().expect("a line").parse().expect("a number"), 0);
        client.read_exact(&mut body).await.expect("the whole body");
    }
    while head.contains("chunked") && !body.ends_with(b"0\r\n\r\n") {
        body.push(client.read_u8().await.expect("the last chunk before the end"));
    }
    body
}

const WHOLE: &str = "Content-Length: 2\r\n\r\n{}";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
const PART: &str = "Content-Length: 9000000\r\n\r\n{}";

#[tokio::test]
async fn a_small_unread_body_and_an_echo_keep_their_connection_as_without_the_layer() {
    for path in ["/ignores", "/echo", "/reads"] {
        for app in [app(), app().layer(RequestLayer)] {
            let mut client = connect(app).await;
            for request in [WHOLE, CHUNKED, WHOLE] {
                let head = head(&mut client, &post(path, request)).await;
                assert!(head.starts_with("http/1.1 200") && !head.contains("connection:"), "{path}: {head}");
                read_body(&mut client, &head).await;
            }
        }
    }
}

#[tokio::test]
async fn only_the_layer_says_that_an_unread_upload_closes_the_connection() {
    for (app, says) in [(app(), false), (app().layer(RequestLayer), true)] {
        let head = head(&mut connect(app).await, &post("/ignores", PART)).await;
        assert_eq!(head.contains("connection: close"), says, "{head}");
    }
}

#[tokio::test]
async fn what_a_connection_header_says_already_is_kept() {
    for (app, says) in [(app(), "upgrade\r\n"), (app().layer(RequestLayer), "upgrade, close\r\n")] {
        let head = head(&mut connect(app).await, &post("/upgrade", PART)).await;
        assert!(head.contains(&format!("connection: {says}")), "{head}");
    }
}

#[tokio::test]
async fn an_expected_body_that_nobody_wants_is_not_asked_for() {
    let request = post("/ignores", "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    let head = head(&mut connect(app().layer(RequestLayer)).await, &request).await;
    assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");
}

#[tokio::test]
async fn responses_are_framed_as_without_the_layer() {
    for path in ["/ignores", "/stream", "/upgrade"] {
        let mut heads = Vec::new();
        for app in [app(), app().layer(RequestLayer)] {
            let head =
                head(&mut connect(app).await, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
            heads.push(head.lines().filter(|line| !line.starts_with("date")).collect::<Vec<_>>().join("\n"));
        }
        assert_eq!(heads[0], heads[1]);
    }
}

#[tokio::test]
async fn after_an_unread_upload_the_connection_ends() {
    let mut client = connect(app().layer(RequestLayer)).await;
    let head = head(&mut client, &post("/ignores", PART)).await;
    assert_eq!(read_body(&mut client, &head).await, b"no");
    assert_eq!(client.read(&mut [0]).await.expect("no reset: nothing more was sent"), 0);
}

/// The request's `Expect` and `Upgrade` reach the application, and its answers reach the client.
#[tokio::test]
async fn a_switch_of_protocols_and_100_continue_pass_through() {
    let upgrade = "GET /switch HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    let expects = post("/reads", "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    for app in [app(), app().layer(RequestLayer)] {
        let mut client = connect(app.clone()).await;
        let switched = head(&mut client, upgrade).await;
        assert!(
            switched.starts_with("http/1.1 101") && switched.contains("connection: upgrade\r\n"),
            "{switched}"
        );
        client.write_all(b"hello").await.expect("sent");
        let mut echo = [0; 5];
        client.read_exact(&mut echo).await.expect("the tunnel is open");
        assert_eq!(&echo, b"hello");

        let mut client = connect(app).await;
        assert_eq!(head(&mut client, &expects).await, "http/1.1 100 continue\r\n\r\n");
        let answer = head(&mut client, "{}").await;
        assert!(answer.starts_with("http/1.1 200") && !answer.contains("connection:"), "{answer}");
        assert_eq!(read_body(&mut client, &answer).await, b"2 bytes");
    }
}

/// A body, the number of bytes that were read of it, and a receiver that fails when it is dropped.
fn body(
    parts: impl Stream<Item = Bytes> + Send + 'static,
) -> (Body, Arc<AtomicUsize>, oneshot::Receiver<()>) {
    let (alive, dropped) = oneshot::channel::<()>();
    let read = Arc::<AtomicUsize>::default();
    let count = read.clone();
    let parts = parts.map(move |part| {
        let _lives_as_long = &alive;
        count.fetch_add(part.len(), Ordering::Relaxed);
        Ok::<_, std::io::Error>(part)
    });
    (Body::from_stream(parts), read, dropped)
}

/// Sends a request that is answered at once. Returns how many bytes of its body were read, and how long
/// after the answer the body was dropped.
async fn unread(
    app: Router,
    version: Version,
    parts: impl Stream<Item = Bytes> + Send + 'static,
) -> (usize, Duration) {
    let (body, read, dropped) = body(parts);
    let request = Request::builder().version(version).method("PUT").uri("/ignores").body(body);
    let response = app.oneshot(request.expect("well-formed")).await.expect("axum does not fail");
    assert_eq!(response.status(), StatusCode::OK);
    let answered = Instant::now();
    assert!(dropped.await.is_err());
    (read.load(Ordering::Relaxed), answered.elapsed())
}

fn layered() -> Router {
    app().layer(RequestLayer)
}

#[tokio::test(start_paused = true)]
async fn on_http2_an_unread_body_is_discarded_after_the_answer() {
    let upload = || tokio_stream::iter(vec![Bytes::from(vec![0; 1 << 20]); 32]);
    assert_eq!(unread(layered(), Version::HTTP_2, upload()).await, (32 << 20, Duration::ZERO));
    assert_eq!(unread(app(), Version::HTTP_2, upload()).await.0, 0);
}

#[tokio::test(start_paused = true)]
async fn discarding_on_http2_is_bounded_in_silence_and_time_and_bytes() {
    let silent = tokio_stream::pending();
    assert_eq!(unread(layered(), Version::HTTP_2, silent).await, (0, Duration::from_secs(5)));

    let (drops, dripping) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        while drops.send(Bytes::from_static(b"x")).await.is_ok() {
            ticks.tick().await;
        }
    });
    let (_, time) = unread(layered(), Version::HTTP_2, ReceiverStream::new(dripping)).await;
    assert_eq!(time, Duration::from_secs(30));

    let part = Bytes::from(vec![0; 1 << 24]);
    let endless = tokio_stream::iter(std::iter::repeat(part));
    let (bytes, _) = unread(layered(), Version::HTTP_2, endless).await;
    assert_eq!(bytes, (1 << 30) + (1 << 24), "it ends with the part that exceeds the limit");
}

#[test]
fn in_a_runtime_without_timers_nothing_is_discarded() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for _ in 0..2 {
        let upload = tokio_stream::iter(vec![Bytes::from_static(b"x"); 3]);
        assert_eq!(runtime.block_on(unread(layered(), Version::HTTP_2, upload)).0, 0);
    }
}

/// Serves one TLS connection, in a task that the test aborts. Returns how the client saw it end.
async fn aborted(app: Router, path: &str) -> End {
    let certs = Certs::make();
    let acceptor = TlsAcceptor::from(Arc::new(certs.server(&certs::Version::ALL, ClientAuth::None)));
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let linger = LingerLayer::default();
    let wrapping = linger.clone();
    let serving = async move {
        let (tcp, _) = listener.accept().await.expect("a client");
        let io = wrapping.wrap(acceptor.accept(tcp).await.expect("a handshake"));
        let service = hyper_util::service::TowerToHyperService::new(app);
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service).await
    };
    let serving = tokio::spawn(serving);
    let mut client =
        Client::tls(address, None, Arc::new(certs.client(&certs::Version::ALL))).await.expect("a handshake");
    client
        .write_all(format!("GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").as_bytes())
        .await
        .expect("sent");
    client.flush().await.expect("sent");
    let mut seen = Vec::new();
    while !seen.ends_with(b"hello") {
        seen.push(client.read_u8().await.expect("an answer"));
    }
    serving.abort();
    receive(&mut client, End::CloseNotify).await.end
}

#[tokio::test]
async fn a_dropped_connection_ends_with_close_notify_only_if_it_is_idle() {
    let app = || {
        Router::new().route("/whole", any(async || "hello")).route(
            "/endless",
            any(async || {
                let hello = tokio_stream::once(Ok::<_, std::io::Error>("hello"));
                Body::from_stream(hello.chain(tokio_stream::pending()))
            }),
        )
    };
    assert_eq!(aborted(app().layer(RequestLayer), "/whole").await, End::CloseNotify);
    assert_ne!(
        aborted(app(), "/whole").await,
        End::CloseNotify,
        "without `RequestLayer` nobody knows that it is idle"
    );
    assert_eq!(aborted(app().layer(RequestLayer), "/endless").await, End::Reset);
}
