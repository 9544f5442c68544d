//! poem's listeners and acceptors.

use std::io;
use std::sync::Arc;

use poem::http::StatusCode;
use poem::listener::{AcceptorExt as _, TcpAcceptor};
use poem::{Body, EndpointExt as _, Route, Server, endpoint, get, put};
use tokio::sync::Notify;
use tokio_stream::StreamExt as _;
use tower_linger::poem::{LingerAcceptor, LingerListener, TlsLingerAcceptor};
use tower_linger::{LingerLayer, RequestLayer, Shutdown};

use crate::{BOUND, Guarded, TOO_LARGE};

fn app(entered: Arc<Notify>, answer: Arc<Notify>) -> Route {
    let waits = endpoint::make(move |_| {
        let (entered, answer) = (entered.clone(), answer.clone());
        async move {
            entered.notify_one();
            answer.notified().await;
            "waited"
        }
    });
    let endless = || {
        let parts = tokio_stream::once(Ok::<_, io::Error>("part")).chain(tokio_stream::pending());
        Body::from_bytes_stream(parts)
    };
    Route::new()
        .at("/", put(endpoint::make_sync(|_| (StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE))).get(hello()))
        .at("/waits", get(waits))
        .at("/endless", get(endpoint::make_sync(move |_| endless())))
}

fn hello() -> impl poem::Endpoint {
    endpoint::make_sync(|_| "hello")
}

fn simple() -> Route {
    app(Arc::default(), Arc::default())
}

fn bind() -> (std::net::SocketAddr, TcpAcceptor) {
    let (address, listener) = crate::bind();
    (address, TcpAcceptor::from_tokio(listener).expect("a listener"))
}

#[tokio::test]
async fn poem_keeps_its_early_answer() {
    let linger = LingerLayer::default();
    let (bare, acceptor) = bind();
    tokio::spawn(Server::new_with_acceptor(acceptor).run(simple()));
    let (layered, acceptor) = bind();
    tokio::spawn(Server::new_with_acceptor(LingerAcceptor::new(acceptor, linger.clone())).run(simple()));
    let (watched, acceptor) = bind();
    let acceptor = LingerAcceptor::new(acceptor, linger.clone()).boxed();
    tokio::spawn(Server::new_with_acceptor(acceptor).run(simple().with(RequestLayer)));
    crate::no_answer(bare, None).await;
    crate::early_answer(layered, None).await;
    crate::early_answer(watched, None).await;
    linger.tracker().wait().await;
    assert_eq!(linger.tracker().summary().to_string(), "2 closed: peer_closed 2");
}

/// The client is told that the connection ends, so that it does not use it again.
#[tokio::test]
async fn poem_says_that_it_closes_after_an_early_answer() {
    let (address, acceptor) = bind();
    let acceptor = LingerAcceptor::new(acceptor, LingerLayer::default());
    tokio::spawn(Server::new_with_acceptor(acceptor).run(simple().with(RequestLayer)));
    crate::says_close(address).await;
}

#[tokio::test]
async fn poem_over_tls_keeps_its_early_answer_and_its_alerts() {
    let certs = Guarded::new();
    let linger = LingerLayer::default();
    let (address, acceptor) = bind();
    let tls = linger.clone().tls(certs.acceptor.clone());
    tokio::spawn(Server::new_with_acceptor(TlsLingerAcceptor::new(acceptor, tls)).run(simple()));
    certs.told(address, &linger).await;
    crate::handshakes_at_once(address, &certs).await;
}

#[tokio::test]
async fn poem_ends_gracefully_and_counts_its_connections() {
    let linger = LingerLayer::default();
    let shutdown = Shutdown::new(linger.tracker().clone(), BOUND);
    let (entered, answer) = (Arc::<Notify>::default(), Arc::<Notify>::default());
    let (address, acceptor) = bind();
    let app = app(entered.clone(), answer.clone()).with(RequestLayer);
    let server = Server::new_with_acceptor(LingerAcceptor::new(acceptor, linger));
    let requested = shutdown.requested();
    let serve = async { server.run_with_graceful_shutdown(app, requested, None).await.expect("it serves") };
    let summary = crate::graceful_end(address, shutdown, serve, entered, answer).await;
    assert_eq!(summary.to_string(), "2 closed: peer_closed 2");
}

/// poem drops what is left at its own deadline.
#[tokio::test]
async fn a_busy_connection_that_poem_drops_does_not_end_cleanly() {
    let certs = Guarded::new();
    let linger = LingerLayer::default();
    let (address, acceptor) = bind();
    let tls = linger.clone().tls(certs.acceptor.clone());
    let server = Server::new_with_acceptor(TlsLingerAcceptor::new(acceptor, tls));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let app = simple().with(RequestLayer);
    let deadline = Some(std::time::Duration::ZERO);
    tokio::spawn(async move { server.run_with_graceful_shutdown(app, stopped, deadline).await });
    crate::busy_is_not_clean(address, &certs, &linger, || stop.send(()).expect("it waits")).await;
}

#[cfg(unix)]
#[tokio::test]
async fn poem_on_a_unix_socket_keeps_its_early_answer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("socket");
    let linger = LingerLayer::default();
    let listener = LingerListener::new(poem::listener::UnixListener::bind(path.clone()), linger.clone());
    tokio::spawn(Server::new(listener).run(simple()));
    crate::early_answer_on_a_unix_socket(&path).await;
    linger.tracker().wait().await;
    assert_eq!(linger.tracker().summary().to_string(), "1 closed: peer_closed 1");
}
