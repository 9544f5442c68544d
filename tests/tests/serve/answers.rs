//! Real clients of a real server, plain and over TLS, HTTP/1 and HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, put};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use reqwest::Version;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tower::service_fn;
use tower_linger::{LingerIo, LingerLayer, Outcome, Peer, RequestBody, Summary, Tracker, serve};
use tower_linger_tests::certs::{Certs, ClientAuth, Version as TlsVersion};
use tower_linger_tests::peer::{Client, End, Manner, head};
use tower_linger_tests::server::listen;

const UPLOAD_BYTES: usize = 64 << 20;

fn app() -> Router {
    Router::new().route("/", put(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large\n"))).route(
        "/who",
        get(async |ConnectInfo(peer): ConnectInfo<Peer>, ConnectInfo(address): ConnectInfo<SocketAddr>| {
            assert_eq!(peer.address, address);
            address.to_string()
        }),
    )
}

fn spawn<S>(server: S) -> JoinHandle<Summary>
where
    S: IntoFuture<Output = Summary, IntoFuture: Send + 'static>,
{
    tokio::spawn(server.into_future())
}

#[tokio::test]
async fn a_refused_upload_gets_its_answer_plain_and_over_tls() {
    let certs = Certs::make();
    for tls in [false, true] {
        let linger = LingerLayer::default();
        let listener = listen().await;
        let address = listener.local_addr().expect("bound");
        let server = serve(listener, app()).linger(linger.clone());
        let running = if tls {
            spawn(server.tls(certs.server(&TlsVersion::ALL, ClientAuth::None)))
        } else {
            spawn(server)
        };
        for _ in 0..10 {
            let config = tls.then(|| Arc::new(certs.client(&TlsVersion::ALL)));
            let client = Client::connect(address, None, config).await.expect("loopback");
            let request = head("PUT", "/", UPLOAD_BYTES);
            let seen = client.exchange(&request, UPLOAD_BYTES, Manner::StopsAtFailedWrite).await;
            let end = if tls { End::CloseNotify } else { End::Fin };
            assert_eq!((seen.status, seen.complete, seen.end), (Some(413), true, end));
        }
        linger.tracker().wait().await;
        assert_eq!(linger.tracker().summary().count(Outcome::PeerClosed { close_notify: false }), 10);
        running.abort();
    }
}

/// The server offers both protocols where the configuration names none.
#[tokio::test]
async fn http2_is_spoken_over_tls_and_the_handler_knows_its_peer() {
    let certs = Certs::make();
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let running = spawn(serve(listener, app()).tls(certs.server(&TlsVersion::ALL, ClientAuth::None)));
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    for (only_http1, version) in [(false, Version::HTTP_2), (true, Version::HTTP_11)] {
        let mut config = certs.client(&TlsVersion::ALL);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.alpn_protocols.drain(..usize::from(only_http1));
        let client = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config);
        let response = client.build().expect("a client").get(format!("https://{address}/who")).send().await;
        let response = response.expect("an answer");
        assert_eq!(response.version(), version);
        let local: SocketAddr = response.text().await.expect("text").parse().expect("an address");
        assert_eq!(local.ip(), address.ip());
    }
    running.abort();
}

/// A service of requests that is no axum router.
#[tokio::test]
async fn any_tower_service_is_served_and_finds_its_peer_in_the_extensions() {
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let app = service_fn(async |request: Request<RequestBody<_>>| {
        let peer = request.extensions().get::<Peer>().expect("the peer");
        Ok::<_, Infallible>(Response::new(Body::from(peer.address.ip().to_string())))
    });
    let running = spawn(serve(listener, app));
    let mut client = TcpStream::connect(address).await.expect("loopback");
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.expect("it reads");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("a clean end");
    assert!(answer.ends_with("\r\n\r\n127.0.0.1"), "{answer}");
    running.abort();
}

#[tokio::test]
async fn a_client_that_half_closes_after_its_request_gets_the_answer() {
    let app = Router::new().route(
        "/",
        get(async || {
            tokio::task::yield_now().await;
            "hello"
        }),
    );
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let running = spawn(serve(listener, app));
    let mut client = TcpStream::connect(address).await.expect("loopback");
    client.write_all(&head("GET", "/", 0)).await.expect("it reads");
    client.shutdown().await.expect("it is open");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("a clean end");
    assert!(answer.ends_with("hello"), "{answer}");
    running.abort();
}

/// Upgraded connections count as served, and the server waits for them.
#[tokio::test]
async fn an_upgraded_connection_is_served_until_its_handler_drops_it() {
    let app = Router::new().route(
        "/",
        get(async |request: Request<Body>| {
            tokio::spawn(async move {
                let upgraded = hyper::upgrade::on(request).await.expect("an upgrade");
                let parts =
                    downcast::<TokioIo<LingerIo<TcpStream>>>(upgraded).expect("the layer's connection");
                let mut io = parts.io.into_inner();
                io.write_all(b"hi").await.expect("it reads");
                let _end = io.read_u8().await;
            });
            Response::builder()
                .status(101)
                .header("connection", "upgrade")
                .header("upgrade", "hi")
                .body(Body::empty())
                .expect("valid")
        }),
    );
    let tracker = Tracker::new();
    let shutdown = tower_linger::Shutdown::new(tracker.clone(), std::time::Duration::from_secs(60));
    let handle = shutdown.handle();
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let running = spawn(serve(listener, app).graceful(shutdown));
    let mut client = TcpStream::connect(address).await.expect("loopback");
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: hi\r\n\r\n")
        .await
        .expect("it reads");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nhi") {
        answer.push(client.read_u8().await.expect("an answer"));
    }
    handle.request();
    assert_eq!(tracker.served(), 1);
    client.write_all(b".").await.expect("it reads");
    client.read_to_end(&mut answer).await.expect("a clean end");
    drop(client);
    assert_eq!(running.await.expect("no panic").to_string(), "1 closed: peer_closed 1");
}
