//! Servers whose policy has one setting changed, and their clients.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::routing::any;
use axum::serve::Listener;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ClientConfig;
use tower_linger::{ClosePolicy, ClosePolicyBuilder, CloseReport, LingerLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::Client;
use tower_linger_tests::server::{Engine, Running, listen, reporting};

/// A bound that a test waits for.
pub(crate) const SHORT: Duration = Duration::from_millis(100);

/// A bound that no test reaches, so that what ends a close is the one setting that is shorter.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// How long the tests wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const ANSWER: &str = "the answer";

/// More than two sockets hold.
pub(crate) const LARGE_BYTES: usize = 64 << 20;

/// A policy under which no close ends by itself.
pub(crate) fn long() -> ClosePolicyBuilder {
    let builder = ClosePolicy::builder().flush_limit(LONG).flush_idle_timeout(LONG);
    builder.drain_limit(LONG).drain_idle_timeout(LONG).drain_limit_bytes(1 << 40)
}

/// A server, the reports of its closes, and what its handlers and its listener hand to the test.
pub(crate) struct Scene {
    pub(crate) running: Running,
    pub(crate) linger: LingerLayer,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    reports: UnboundedReceiver<CloseReport>,
    tunnels: UnboundedReceiver<TokioIo<Upgraded>>,
    descriptors: UnboundedReceiver<TcpStream>,
}

impl Scene {
    pub(crate) async fn plain(engine: Engine, policy: ClosePolicyBuilder) -> Self {
        Self::start(engine, policy, false, false).await
    }

    pub(crate) async fn tls(engine: Engine, policy: ClosePolicyBuilder) -> Self {
        Self::start(engine, policy, true, false).await
    }

    /// Plain; the test has a second descriptor of each connection.
    pub(crate) async fn shared(engine: Engine, policy: ClosePolicyBuilder) -> Self {
        Self::start(engine, policy, false, true).await
    }

    async fn start(engine: Engine, policy: ClosePolicyBuilder, tls: bool, shares: bool) -> Self {
        let (linger, reports) = reporting(policy.build().expect("makes sense"));
        let (sender, tunnels) = mpsc::unbounded_channel();
        let app = app(sender);
        let (sender, descriptors) = mpsc::unbounded_channel();
        let sharing = Sharing { listener: listen().await, shared: shares.then_some(sender) };
        let certs = Certs::make();
        let acceptor =
            tls.then(|| TlsAcceptor::from(Arc::new(certs.server(&Version::ALL, ClientAuth::None))));
        let client = tls.then(|| Arc::new(certs.client(&Version::ALL)));
        let running = engine.layered(sharing, &linger, acceptor, app);
        Self { running, linger, tls: client, reports, tunnels, descriptors }
    }

    pub(crate) async fn connect(&self) -> Client {
        self.connect_with(None).await
    }

    pub(crate) async fn connect_with(&self, receive_buffer: Option<u32>) -> Client {
        let connecting = Client::connect(self.running.address, receive_buffer, self.tls.clone());
        connecting.await.expect("it listens")
    }

    /// A client that has sent its last request.
    pub(crate) async fn asked(&self, path: &str) -> Client {
        let mut client = self.connect().await;
        client.write_all(&last_request(path)).await.expect("loopback");
        client
    }

    /// A client that has read its answer and the server's end, and keeps its own side open.
    pub(crate) async fn answered(&self) -> Client {
        let mut client = self.asked("/").await;
        let mut answer = String::new();
        within(client.read_to_string(&mut answer)).await.expect("it ends");
        assert!(answer.ends_with(ANSWER), "{answer}");
        client
    }

    /// Both ends of a tunnel, after a 101.
    pub(crate) async fn tunnel(&mut self, receive_buffer: Option<u32>) -> (Client, TokioIo<Upgraded>) {
        let mut client = self.connect_with(receive_buffer).await;
        let request = b"GET /tunnel HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
        client.write_all(request).await.expect("loopback");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(client.read_u8()).await.expect("a head"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101"));
        (client, within(self.tunnels.recv()).await.expect("upgraded"))
    }

    pub(crate) async fn report(&mut self) -> CloseReport {
        within(self.reports.recv()).await.expect("the layer lives")
    }

    pub(crate) fn has_no_report(&self) -> bool {
        self.reports.is_empty()
    }

    /// The other descriptor of the next connection.
    pub(crate) async fn descriptor(&mut self) -> TcpStream {
        within(self.descriptors.recv()).await.expect("shared")
    }
}

pub(crate) fn last_request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes()
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("within a minute")
}

/// Writes until nothing more is taken. Returns how much was taken.
pub(crate) async fn fill(io: &mut (impl AsyncWrite + Unpin)) -> usize {
    let chunk = [7; 16 << 10];
    let mut taken = 0;
    // No event tells that a socket is full. Should it still take something later, the test shows less.
    while let Ok(written) = timeout(2 * SHORT, io.write(&chunk)).await {
        taken += written.expect("the peer is there");
    }
    taken
}

/// Reads 1 MiB in two or three seconds. Returns how much it read.
pub(crate) async fn read_slowly(client: &mut Client) -> usize {
    let (mut chunk, mut read) = ([0; 4 << 10], 0);
    let mut pace = interval(Duration::from_millis(10));
    while read < 1 << 20 {
        pace.tick().await;
        let bytes = within(client.read(&mut chunk)).await.expect("it is served");
        assert!(bytes > 0, "more is to come");
        read += bytes;
    }
    read
}

fn app(tunnels: UnboundedSender<TokioIo<Upgraded>>) -> Router {
    let large = Bytes::from(vec![b'.'; LARGE_BYTES]);
    let upgrade = async move |request: Request| {
        tokio::spawn(async move {
            let upgraded = hyper::upgrade::on(request).await.expect("asked for");
            let _ = tunnels.send(TokioIo::new(upgraded));
        });
        let switching = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")];
        (StatusCode::SWITCHING_PROTOCOLS, switching)
    };
    Router::new()
        .route("/", any(async || ANSWER))
        .route("/large", any(async move || large.clone()))
        .route("/tunnel", any(upgrade))
}

/// A listener that can give the test a second descriptor of each connection.
struct Sharing {
    listener: TcpListener,
    shared: Option<UnboundedSender<TcpStream>>,
}

impl Listener for Sharing {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (io, peer) = Listener::accept(&mut self.listener).await;
        if let Some(shared) = &self.shared {
            let descriptor = io.as_fd().try_clone_to_owned().expect("there are descriptors left");
            let _ = shared.send(TcpStream::from_std(descriptor.into()).expect("in a runtime"));
        }
        (io, peer)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
