//! salvo's listeners and acceptors.

use std::io;
use std::sync::Arc;

use salvo_core::conn::tcp::TcpAcceptor;
use salvo_core::fuse::{FuseAction, FuseInfo};
use salvo_core::http::{ResBody, StatusCode, StatusError};
use salvo_core::{
    Depot, FlowCtrl, Handler, Listener as _, Request, Response, Router, Server, Service, async_trait,
};
use tokio::sync::Notify;
use tokio_stream::StreamExt as _;
use tower_linger::salvo::{LingerAcceptor, LingerListener, TlsLingerAcceptor};
use tower_linger::{LingerLayer, RequestLayer, Shutdown};

use crate::{BOUND, Guarded, TOO_LARGE};

enum Goal {
    Hello,
    TooLarge,
    /// The same, with the page of salvo's catcher.
    TooLargePage,
    Waits(Arc<Notify>, Arc<Notify>),
    Endless,
}

#[async_trait]
impl Handler for Goal {
    async fn handle(&self, _: &mut Request, _: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        match self {
            Self::Hello => drop(res.body("hello")),
            Self::TooLarge => {
                res.status_code(StatusCode::PAYLOAD_TOO_LARGE).body(TOO_LARGE);
            }
            Self::TooLargePage => res.render(StatusError::payload_too_large()),
            Self::Waits(entered, answer) => {
                entered.notify_one();
                answer.notified().await;
                res.body("waited");
            }
            Self::Endless => {
                let part = tokio_stream::once(Ok::<_, io::Error>("part"));
                res.replace_body(ResBody::stream(part.chain(tokio_stream::pending())));
            }
        }
    }
}

fn app(put: Goal, entered: Arc<Notify>, answer: Arc<Notify>) -> Router {
    Router::new()
        .get(Goal::Hello)
        .put(put)
        .push(Router::with_path("waits").get(Goal::Waits(entered, answer)))
        .push(Router::with_path("endless").get(Goal::Endless))
}

fn simple() -> Router {
    app(Goal::TooLarge, Arc::default(), Arc::default())
}

fn watched(router: Router) -> Service {
    Service::new(router).hoop(RequestLayer)
}

#[tokio::test]
async fn salvo_keeps_its_early_answer() {
    let linger = LingerLayer::default();
    let (bare, listener) = crate::bind();
    let acceptor = TcpAcceptor::try_from(listener).expect("a listener");
    tokio::spawn(Server::new(acceptor).serve(simple()));
    crate::no_answer(bare, None).await;
    let page = app(Goal::TooLargePage, Arc::default(), Arc::default());
    for service in [simple().into(), watched(simple()), watched(page)] {
        let (layered, listener) = crate::bind();
        let acceptor = TcpAcceptor::try_from(listener).expect("a listener");
        let acceptor = LingerAcceptor::new(acceptor, linger.clone()).expect("bound");
        tokio::spawn(Server::new(acceptor).serve::<Service>(service));
        crate::early_answer(layered, None).await;
    }
    linger.tracker().wait().await;
    assert_eq!(linger.tracker().summary().to_string(), "3 closed: peer_closed 3");
}

/// The client is told that the connection ends, so that it does not use it again.
#[tokio::test]
async fn salvo_says_that_it_closes_after_an_early_answer() {
    let (address, listener) = crate::bind();
    let acceptor = LingerAcceptor::new(listener, LingerLayer::default()).expect("bound");
    tokio::spawn(Server::new(acceptor).serve(watched(simple())));
    crate::says_close(address).await;
}

#[tokio::test]
async fn salvo_over_tls_keeps_its_early_answer_and_its_alerts() {
    let certs = Guarded::new();
    let linger = LingerLayer::default();
    let (address, listener) = crate::bind();
    let tls = linger.clone().tls(certs.acceptor.clone());
    let acceptor = TlsLingerAcceptor::new(listener, tls).expect("bound");
    tokio::spawn(Server::new(acceptor).serve(simple()));
    certs.told(address, &linger).await;
    crate::handshakes_at_once(address, &certs).await;
}

#[tokio::test]
async fn salvo_ends_gracefully_and_counts_its_connections() {
    let linger = LingerLayer::default();
    let shutdown = Shutdown::new(linger.tracker().clone(), BOUND);
    let (entered, answer) = (Arc::<Notify>::default(), Arc::<Notify>::default());
    let router = app(Goal::TooLarge, entered.clone(), answer.clone());
    let listener = salvo_core::conn::TcpListener::new("127.0.0.1:0");
    let acceptor = LingerListener::new(listener, linger).bind().await;
    let server = Server::new(acceptor);
    let address = server.holdings()[0].local_addr.clone().into_std().expect("TCP");
    let (handle, requested) = (server.handle(), shutdown.requested());
    tokio::spawn(async move {
        requested.await;
        handle.stop_graceful(None);
    });
    let summary =
        crate::graceful_end(address, shutdown, server.serve(watched(router)), entered, answer).await;
    assert_eq!(summary.to_string(), "2 closed: peer_closed 2");
}

/// salvo drops its connections when it is stopped by force.
#[tokio::test]
async fn a_busy_connection_that_salvo_drops_does_not_end_cleanly() {
    let certs = Guarded::new();
    let linger = LingerLayer::default();
    let (address, listener) = crate::bind();
    let tls = linger.clone().tls(certs.acceptor.clone());
    let server = Server::new(TlsLingerAcceptor::new(listener, tls).expect("bound"));
    let handle = server.handle();
    tokio::spawn(server.serve(watched(simple())));
    crate::busy_is_not_clean(address, &certs, &linger, || handle.stop_forceful()).await;
}

/// A policy of salvo's fuse is asked for each connection, and its time for handshakes holds.
#[tokio::test]
async fn the_fuse_rejects_a_connection_before_it_is_counted() {
    let linger = LingerLayer::default();
    let (address, listener) = crate::bind();
    let acceptor = LingerAcceptor::new(listener, linger.clone()).expect("bound");
    let server = Server::new(acceptor).fuse_policy(|_: &FuseInfo| FuseAction::Reject);
    tokio::spawn(server.serve(simple()));
    let mut client = tokio::net::TcpStream::connect(address).await.expect("loopback");
    let mut nothing = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut client, &mut nothing).await.expect("closed");
    assert_eq!((nothing.len(), linger.tracker().summary().total()), (0, 0));
}

#[cfg(unix)]
#[tokio::test]
async fn salvo_on_a_unix_socket_keeps_its_early_answer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("socket");
    let linger = LingerLayer::default();
    let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
    let acceptor = LingerAcceptor::new(listener, linger.clone()).expect("bound");
    tokio::spawn(Server::new(acceptor).serve(simple()));
    crate::early_answer_on_a_unix_socket(&path).await;
    linger.tracker().wait().await;
    assert_eq!(linger.tracker().summary().to_string(), "1 closed: peer_closed 1");
}
