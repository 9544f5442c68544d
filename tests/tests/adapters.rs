//! Accept loops that a framework owns: through each of them an early answer arrives, and so does the alert
//! of a failed handshake.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::put;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tower::Layer as _;
use tower_linger::axum::LingerListener;
use tower_linger::axum_server::{LingerAcceptor, TlsLingerAcceptor};
use tower_linger::{LingerIo, LingerLayer, NoticeLayer, Outcome, RequestLayer, Shutdown};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, Manner, head};
use tower_linger_tests::server::{listen, serve};

const UPLOAD_BYTES: usize = 64 << 20;

fn app() -> Router {
    Router::new().route("/", put(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large\n")))
}

/// A port, and the listener that axum-server takes.
fn bind() -> (SocketAddr, std::net::TcpListener) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    (listener.local_addr().expect("bound"), listener)
}

#[tokio::test]
async fn axum_server_keeps_its_early_answer() {
    let linger = LingerLayer::default();
    let (layered, listener) = bind();
    let server =
        axum_server::from_tcp(listener).expect("a listener").acceptor(LingerAcceptor::new(linger.clone()));
    tokio::spawn(server.serve(app().into_make_service()));
    let (bare, listener) = bind();
    tokio::spawn(axum_server::from_tcp(listener).expect("a listener").serve(app().into_make_service()));
    for (address, expected) in [(layered, (Some(413), End::Fin)), (bare, (None, End::Reset))] {
        let client = Client::plain(address, None).await.expect("loopback");
        let request = head("PUT", "/", UPLOAD_BYTES);
        let seen = client.exchange(&request, UPLOAD_BYTES, Manner::StopsAtFailedWrite).await;
        assert_eq!((seen.status, seen.end), expected);
    }
    linger.tracker().wait().await;
    assert_eq!(linger.tracker().summary().to_string(), "1 closed: peer_closed 1");
}

#[tokio::test]
async fn axum_server_over_tls_keeps_its_early_answer_and_its_alerts() {
    let certs = Certs::make();
    let linger = LingerLayer::default();
    let acceptor = TlsAcceptor::from(Arc::new(certs.server(&[Version::Tls13], ClientAuth::Required)));
    let tls = linger.clone().tls(acceptor);
    let (address, listener) = bind();
    let server = axum_server::from_tcp(listener).expect("a listener").acceptor(TlsLingerAcceptor::new(tls));
    tokio::spawn(server.serve(app().into_make_service()));
    let with = certs.client_with_certificate(&[Version::Tls13]);
    let without = certs.client(&[Version::Tls13]);
    let told = End::Alert("CertificateRequired".into());
    for (config, expected) in [(with, (Some(413), End::CloseNotify)), (without, (None, told))] {
        let client =
            Client::tls(address, None, Arc::new(config)).await.expect("the client's part of the handshake");
        let request = head("PUT", "/", UPLOAD_BYTES);
        let seen = client.exchange(&request, UPLOAD_BYTES, Manner::StopsAtFailedWrite).await;
        assert_eq!((seen.status, seen.end), expected);
    }
    linger.tracker().wait().await;
    assert_eq!(linger.tracker().summary().count(Outcome::PeerClosed { close_notify: false }), 2);
}

/// Another crate's listener, which does the handshakes itself, inside `LingerListener`.
#[tokio::test]
async fn tls_listener_keeps_its_early_answer() {
    let certs = Certs::make();
    let linger = LingerLayer::default();
    let listener = async || {
        let acceptor = TlsAcceptor::from(Arc::new(certs.server(&[Version::Tls13], ClientAuth::None)));
        tls_listener::builder(acceptor).listen(listen().await)
    };
    let layered = serve(LingerListener::new(listener().await, linger.clone()), app());
    let bare = serve(listener().await, app());
    for (server, expected) in [(layered, (Some(413), End::CloseNotify)), (bare, (None, End::Reset))] {
        let config = Arc::new(certs.client(&[Version::Tls13]));
        let client = Client::tls(server.address, None, config).await.expect("loopback");
        let request = head("PUT", "/", UPLOAD_BYTES);
        let seen = client.exchange(&request, UPLOAD_BYTES, Manner::StopsAtFailedWrite).await;
        assert_eq!((seen.status, seen.end), expected);
    }
    linger.tracker().wait().await;
    assert_eq!(linger.tracker().summary().to_string(), "1 closed: peer_closed 1");
}

/// A Unix socket has no RST, but if it is closed with bytes unread the peer gets ECONNRESET all the same.
#[cfg(unix)]
#[tokio::test]
async fn axum_on_a_unix_socket_keeps_its_early_answer() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("socket");
    let linger = LingerLayer::default();
    let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
    let serve = axum::serve(LingerListener::new(listener, linger.clone()), app());
    tokio::spawn(serve.into_future());
    let mut client = tokio::net::UnixStream::connect(&path).await.expect("it listens");
    client.write_all(&head("PUT", "/", UPLOAD_BYTES)).await.expect("it reads");
    client.write_all(&vec![0; UPLOAD_BYTES]).await.expect("everything is taken");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("no reset");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    drop(client);
    linger.tracker().wait().await;
    assert_eq!(linger.tracker().summary().to_string(), "1 closed: peer_closed 1");
}

/// axum serves by hyper-util's `auto`, which wraps each connection in a private type. Only hyper-util's own
/// `downcast` unwraps it.
#[tokio::test]
async fn an_upgrade_behind_axum_gives_the_connection_back() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let (sender, mut upgrades) = tokio::sync::mpsc::unbounded_channel();
    let app = Router::new().route(
        "/",
        axum::routing::any(async move |request: axum::extract::Request| {
            tokio::spawn(async move { sender.send(hyper::upgrade::on(request).await) });
            (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "talk")])
        }),
    );
    let linger = LingerLayer::default();
    let server = serve(LingerListener::new(listen().await, linger.clone()), app);
    let mut client = Client::plain(server.address, None).await.expect("loopback");
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: talk\r\n\r\nearly";
    client.write_all(request).await.expect("loopback");

    let tunnel = upgrades.recv().await.expect("sent").expect("upgraded");
    let tunnel = tunnel
        .downcast::<TokioIo<LingerIo<TcpStream>>>()
        .expect_err("hyper's own downcast does not look through hyper-util's type");
    let parts = downcast::<TokioIo<LingerIo<TcpStream>>>(tunnel).expect("hyper-util's does");
    assert_eq!(parts.read_buf, "early");
    let mut connection: LingerIo<TcpStream> = parts.io.into_inner();
    connection.write_all(b"hello").await.expect("loopback");
    drop(connection);
    let mut received = String::new();
    client.read_to_string(&mut received).await.expect("no reset");
    assert!(received.starts_with("HTTP/1.1 101 ") && received.ends_with("\r\n\r\nhello"), "{received}");
    drop(client);
    linger.tracker().wait().await;
    assert_eq!(linger.tracker().summary().to_string(), "1 closed: peer_closed 1");
}

/// As tower's own middleware does.
#[tokio::test]
async fn each_service_gives_back_what_it_wraps() {
    macro_rules! assert_wraps {
        ($service:expr) => {{
            let mut service = $service;
            assert_eq!(*service.get_ref(), "inner");
            *service.get_mut() = "another";
            assert_eq!(service.into_inner(), "another");
        }};
    }
    let linger = LingerLayer::default();
    let config = Certs::make().server(&Version::ALL, ClientAuth::None);
    let notice = Shutdown::new(linger.tracker().clone(), Duration::ZERO).handle();
    assert_wraps!(linger.layer("inner"));
    assert_wraps!(RequestLayer.layer("inner"));
    assert_wraps!(NoticeLayer::new(notice).layer("inner"));
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (_client, (io, _)) = (client.expect("loopback"), accepted.expect("loopback"));
    assert_wraps!(linger.wrap(io).watch("inner"));
    // This one wraps the layer, too.
    let mut accept = linger.tls(TlsAcceptor::from(Arc::new(config))).layer("inner");
    assert_eq!(*accept.get_ref().get_ref(), "inner");
    *accept.get_mut().get_mut() = "another";
    assert_eq!(accept.into_inner().into_inner(), "another");
}
