//! `WebSocket`s of a server that stops: by the recipe of docs/stacks.md each client gets a Close frame with
//! code 1001.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use axum::routing::any;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ClientConfig;
use tokio_stream::StreamExt;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame as Goodbye, frame::coding::CloseCode};
use tokio_tungstenite::{accept_async, client_async};
use tower_linger::axum::{LingerListener, TlsLingerListener};
use tower_linger::{LingerLayer, Outcome, Shutdown, ShutdownHandle, Summary};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::Client;
use tower_linger_tests::server::listen;

const CLIENTS: usize = 300;
/// Far more than a loaded machine needs. If the recipe works, nothing waits that long.
const LIMIT: Duration = Duration::from_secs(40);
const GOODBYE: Duration = Duration::from_secs(20);

/// When a handler sends its Close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// When the shutdown is requested.
    Promptly,
    /// When `axum::serve` has returned: the handler needs longer than the framework waits.
    AfterServe,
    /// Never: it does not know about the shutdown.
    Unaware,
}

#[derive(Clone)]
struct Server {
    shutdown: ShutdownHandle,
    leaving: Leaving,
    serve_is_over: watch::Receiver<bool>,
    open: watch::Sender<usize>,
}

async fn upgrade(upgrade: WebSocketUpgrade, State(server): State<Server>) -> Response {
    let requested = server.shutdown.requested();
    upgrade.on_upgrade(async move |socket| session(socket, requested, server).await)
}

async fn session(mut socket: WebSocket, requested: impl Future<Output = ()>, mut server: Server) {
    server.open.send_modify(|open| *open += 1);
    let mut requested = pin!(requested);
    loop {
        tokio::select! {
            received = socket.recv() => match received {
                Some(Ok(message)) => drop(socket.send(message).await),
                _ => return,
            },
            () = &mut requested, if server.leaving != Leaving::Unaware => break,
        }
    }
    if server.leaving == Leaving::AfterServe {
        server.serve_is_over.wait_for(|over| *over).await.expect("the test waits for it");
    }
    let goodbye = CloseFrame { code: close_code::AWAY, reason: Utf8Bytes::from_static("stopping") };
    if socket.send(Message::Close(Some(goodbye))).await.is_ok() {
        let closed = async { while let Some(Ok(_)) = socket.recv().await {} };
        let _ = timeout(GOODBYE, closed).await;
    }
}

/// Opens clients, asks the server to stop, and returns what the clients saw and the shutdown's summary.
async fn run<L>(
    listener: L,
    tls: Option<ClientConfig>,
    shutdown: Shutdown,
    leaving: Leaving,
    clients: usize,
) -> (Vec<Seen>, Summary)
where
    L: Listener<Addr = SocketAddr>,
{
    let address = listener.local_addr().expect("it is bound");
    let (over, serve_is_over) = watch::channel(false);
    let open = watch::Sender::new(0);
    let mut opened = open.subscribe();
    let app = Router::new().route("/", any(upgrade)).with_state(Server {
        shutdown: shutdown.handle(),
        leaving,
        serve_is_over,
        open,
    });
    let serve = axum::serve(listener, app).with_graceful_shutdown(shutdown.requested());
    let stop = shutdown.handle();
    let server = tokio::spawn(async move {
        let serve = async {
            serve.await.expect("it never fails");
            over.send_replace(true);
        };
        shutdown.finish(serve).await.1
    });
    let tls = tls.map(Arc::new);
    let mut seen = JoinSet::new();
    for _ in 0..clients {
        seen.spawn(client(address, tls.clone()));
    }
    opened.wait_for(|open| *open == clients).await.expect("the handlers are there");
    stop.request();
    let seen = seen.join_all().await;
    (seen, server.await.expect("no panic"))
}

/// The code of the Close frame, and whether the connection then ended without an error.
type Seen = (Option<u16>, bool);

async fn client(address: SocketAddr, tls: Option<Arc<ClientConfig>>) -> Seen {
    let io = Client::connect(address, None, tls).await.expect("it listens");
    let (mut socket, _) = client_async("ws://localhost/", io).await.expect("an upgrade");
    let mut code = None;
    while let Some(frame) = socket.next().await {
        match frame {
            Ok(Frame::Close(frame)) => code = frame.map(|frame| frame.code.into()),
            Ok(_) => {}
            Err(_) => return (code, false),
        }
    }
    (code, true)
}

/// Runs it over plain TCP and over TLS.
async fn plain_and_tls(leaving: Leaving, clients: usize, limit: Duration) -> Vec<(Vec<Seen>, Summary)> {
    let linger = LingerLayer::default();
    let shutdown = Shutdown::new(linger.tracker().clone(), limit);
    let plain = run(LingerListener::new(listen().await, linger), None, shutdown, leaving, clients).await;

    let linger = LingerLayer::default();
    let shutdown = Shutdown::new(linger.tracker().clone(), limit);
    let certs = Certs::make();
    let config = Arc::new(certs.server(&[Version::Tls13], ClientAuth::None));
    let tls = linger.tls(TlsAcceptor::from(config));
    let listener = TlsLingerListener::new(listen().await, tls);
    let tls = run(listener, Some(certs.client(&[Version::Tls13])), shutdown, leaving, clients).await;
    vec![plain, tls]
}

fn assert_all_were_told(runs: Vec<(Vec<Seen>, Summary)>) {
    for (seen, summary) in runs {
        let told = seen.iter().filter(|seen| **seen == (Some(1001), true)).count();
        assert_eq!(told, CLIENTS, "{seen:?}");
        assert_eq!(summary.total(), CLIENTS as u64);
        assert_eq!(summary.count(Outcome::PeerClosed { close_notify: false }), CLIENTS as u64, "{summary}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_is_told_that_the_server_stops() {
    assert_all_were_told(plain_and_tls(Leaving::Promptly, CLIENTS, LIMIT).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_outlive_the_server_still_say_goodbye() {
    assert_all_were_told(plain_and_tls(Leaving::AfterServe, CLIENTS, LIMIT).await);
}

/// Without the recipe the layer can only cut the connections at the deadline: without a Close frame (browsers
/// report 1006) and without a clean end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_do_not_listen_are_cut_at_the_deadline() {
    const FEW: usize = 5;
    for (seen, summary) in plain_and_tls(Leaving::Unaware, FEW, Duration::from_millis(200)).await {
        assert_eq!(seen, [(None, false); FEW]);
        assert_eq!(summary.to_string(), format!("{FEW} closed: shutdown_cut {FEW}"));
    }
}

/// The same with tokio-tungstenite in an accept loop of one's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tungstenite_tells_every_client_too() {
    let linger = LingerLayer::default();
    let shutdown = Shutdown::new(linger.tracker().clone(), LIMIT);
    let listener = listen().await;
    let address = listener.local_addr().expect("it is bound");
    let open = watch::Sender::new(0);
    let mut opened = open.subscribe();
    let (stop, stopping) = (shutdown.handle(), shutdown.handle());
    let serve = async move {
        let mut requested = pin!(stopping.requested());
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted.expect("loopback");
                    drop(tokio::spawn(tungstenite(linger.wrap(stream), stopping.requested(), open.clone())));
                }
                () = &mut requested => return,
            }
        }
    };
    let server = tokio::spawn(async move { shutdown.finish(serve).await.1 });
    let mut seen = JoinSet::new();
    for _ in 0..CLIENTS {
        seen.spawn(client(address, None));
    }
    opened.wait_for(|open| *open == CLIENTS).await.expect("the server is there");
    stop.request();
    assert_all_were_told(vec![(seen.join_all().await, server.await.expect("no panic"))]);
}

async fn tungstenite<T>(io: T, requested: impl Future<Output = ()>, open: watch::Sender<usize>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut socket = accept_async(io).await.expect("an upgrade");
    open.send_modify(|open| *open += 1);
    let mut requested = pin!(requested);
    loop {
        tokio::select! {
            received = socket.next() => match received {
                Some(Ok(_)) => {}
                _ => return,
            },
            () = &mut requested => break,
        }
    }
    let goodbye = Goodbye { code: CloseCode::Away, reason: "stopping".into() };
    if socket.close(Some(goodbye)).await.is_ok() {
        let closed = async { while let Some(Ok(_)) = socket.next().await {} };
        let _ = timeout(GOODBYE, closed).await;
    }
}
