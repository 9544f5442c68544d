//! `TlsLingerListener` around listeners whose `accept` must not be dropped half-way, because they wait for
//! something between accepting a connection and returning it: a PROXY header, for example.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use axum::serve::Listener;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower_linger::axum::TlsLingerListener;
use tower_linger::{LingerLayer, Plain, TlsAcceptLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, head, receive};
use tower_linger_tests::server::{listen, serve};

/// Only reached if a connection was lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Holds its connection number `n` (from zero) back until `n` connections may pass.
struct Gated {
    listener: TcpListener,
    accepted: watch::Sender<usize>,
    may_pass: watch::Receiver<usize>,
}

impl Listener for Gated {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let connection = self.listener.accept().await.expect("loopback");
        let mut number = 0;
        self.accepted.send_modify(|accepted| {
            number = *accepted;
            *accepted += 1;
        });
        let _ = self.may_pass.wait_for(|passed| *passed >= number).await;
        connection
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn gated() -> (Gated, watch::Sender<usize>) {
    let may_pass = watch::Sender::new(0);
    let gated =
        Gated { listener: listen().await, accepted: watch::Sender::new(0), may_pass: may_pass.subscribe() };
    (gated, may_pass)
}

fn tls(certs: &Certs) -> TlsAcceptLayer<TlsAcceptor> {
    let config = certs.server(&Version::ALL, ClientAuth::None);
    LingerLayer::default().tls(TlsAcceptor::from(Arc::new(config)))
}

/// Each connection is held back until one more client has its answer, so every handshake ends during the next
/// `accept`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_end_during_an_accept_do_not_cancel_it() {
    const CLIENTS: usize = 20;
    let certs = Certs::make();
    let (gated, answered) = gated().await;
    let app = Router::new().route("/", get(async || "hello"));
    let server = serve(TlsLingerListener::new(gated, tls(&certs)), app);
    let config = Arc::new(certs.client(&Version::ALL));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (config, answered, address) = (config.clone(), answered.clone(), server.address);
        clients.spawn(async move {
            let mut client = Client::tls(address, None, config).await.expect("a handshake");
            client.write_all(&head("GET", "/", 0)).await.expect("a request");
            let mut status = [0; 12];
            client.read_exact(&mut status).await.expect("an answer");
            answered.send_modify(|answered| *answered += 1);
            status == *b"HTTP/1.1 200"
        });
    }
    let answers = timeout(PATIENCE, clients.join_all()).await;
    let complete = answers.map(|answers| answers.into_iter().filter(|whole| *whole).count());
    assert_eq!(complete, Ok(CLIENTS), "{} had their answer", *answered.borrow());
}

/// axum drops the future of `accept` when it is told to stop, and an accept loop with `select!` drops it
/// whenever another branch is ready.
#[tokio::test]
async fn an_accept_that_is_dropped_and_called_again_loses_no_connection() {
    let certs = Certs::make();
    let (gated, may_pass) = gated().await;
    let mut accepted = gated.accepted.subscribe();
    // The first connection may not pass either.
    gated.accepted.send_replace(1);
    accepted.mark_unchanged();
    let mut listener = TlsLingerListener::new(gated, tls(&certs));
    let address = listener.local_addr().expect("it is bound");

    let config = Arc::new(certs.client(&Version::ALL));
    let client = tokio::spawn(async move {
        let mut client = Client::tls(address, None, config).await.expect("a handshake");
        receive(&mut client, End::CloseNotify).await.end
    });
    tokio::select! {
        _ = listener.accept() => panic!("the inner accept is held back"),
        changed = accepted.changed() => changed.expect("the inner listener is there"),
    }
    assert_eq!(listener.local_addr().expect("known before"), address);
    may_pass.send_replace(1);
    let (connection, _) = timeout(PATIENCE, listener.accept()).await.expect("the connection is not lost");
    drop(connection);
    assert_eq!(client.await.expect("no panic"), End::CloseNotify);
}

/// Always has another connection, whose client sends nothing.
#[derive(Default)]
struct Endless {
    accepted: Arc<AtomicUsize>,
    clients: Vec<DuplexStream>,
}

impl Listener for Endless {
    type Io = Plain<DuplexStream>;
    type Addr = ();

    async fn accept(&mut self) -> (Self::Io, ()) {
        yield_now().await;
        let (server, client) = duplex(64);
        self.clients.push(client);
        self.accepted.fetch_add(1, Ordering::Relaxed);
        (Plain(server), ())
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_is_accepted_while_nobody_asks() {
    const TURNS: usize = 200;
    let endless = Endless::default();
    let accepted = endless.accepted.clone();
    let mut listener = TlsLingerListener::new(endless, tls(&Certs::make()));
    {
        let asking = pin!(listener.accept());
        let turns = pin!(turns(TURNS));
        tokio::select! {
            _ = asking => panic!("no client does its handshake"),
            () = turns => {}
        }
    }
    let asked = accepted.load(Ordering::Relaxed);
    assert!(asked > 10, "{asked} accepted while somebody asked");
    turns(TURNS).await;
    let after = accepted.load(Ordering::Relaxed);
    assert!(after <= asked + 1, "{} accepted while nobody asked", after - asked);
}

/// Lets the other tasks of this runtime run.
async fn turns(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

#[tokio::test]
async fn dropping_the_listener_frees_its_port_at_once() {
    let (inner, _may_pass) = gated().await;
    let mut listener = TlsLingerListener::new(inner, tls(&Certs::make()));
    let address = listener.local_addr().expect("it is bound");
    tokio::select! {
        _ = listener.accept() => panic!("there is no client"),
        () = turns(10) => {}
    }
    std::net::TcpListener::bind(address).expect_err("it is taken");
    drop(listener);
    // No other task of this runtime has run since.
    std::net::TcpListener::bind(address).expect("it is free");
}

struct Broken;

impl Listener for Broken {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        panic!("the inner listener is broken");
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "it has none"))
    }
}

/// The panic is raised in the caller's task, as it is without TLS. Otherwise the server would wait for ever.
#[tokio::test]
async fn a_panic_of_the_inner_listener_is_seen_by_the_caller() {
    let mut listener = TlsLingerListener::new(Broken, tls(&Certs::make()));
    let error = listener.local_addr().expect_err("the inner one has none");
    assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::AddrNotAvailable, "it has none".into()));
    let accept = tokio::spawn(async move { drop(listener.accept().await) });
    let panic = accept.await.expect_err("it panics").into_panic();
    assert_eq!(panic.downcast_ref(), Some(&"the inner listener is broken"));
}
