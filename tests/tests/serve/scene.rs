//! Servers in memory, on a paused clock, and their clients.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tower_linger::{Limits, Listener, Shutdown, ShutdownHandle, Summary, Tracker, serve};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Accepts what its [`Network`] connects.
pub(crate) struct InMemory(mpsc::UnboundedReceiver<io::Result<DuplexStream>>);

/// Connects to a server in memory.
pub(crate) struct Network(mpsc::UnboundedSender<io::Result<DuplexStream>>);

impl InMemory {
    pub(crate) fn new() -> (Self, Network) {
        let (connect, accept) = mpsc::unbounded_channel();
        (Self(accept), Network(connect))
    }
}

impl Listener for InMemory {
    type Io = DuplexStream;
    type Address = ();

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(DuplexStream, ())>> {
        match ready!(self.0.poll_recv(cx)) {
            Some(accepted) => Poll::Ready(accepted.map(|io| (io, ()))),
            None => Poll::Pending,
        }
    }
}

impl Network {
    pub(crate) fn connect(&self) -> Client {
        let (client, server) = duplex(64 << 10);
        self.0.send(Ok(server)).expect("it listens");
        Client(client)
    }

    /// The next accept fails.
    pub(crate) fn fail(&self, error: io::Error) {
        self.0.send(Err(error)).expect("it listens");
    }

    pub(crate) fn is_listening(&self) -> bool {
        !self.0.is_closed()
    }
}

/// A client of HTTP/1.1.
pub(crate) struct Client(pub(crate) DuplexStream);

impl Client {
    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("the server reads");
    }

    pub(crate) async fn get(&mut self) -> String {
        self.get_path("/").await
    }

    pub(crate) async fn get_path(&mut self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        self.answer().await
    }

    /// The head and the body of one response of [`app`].
    pub(crate) async fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            let byte = self.0.read_u8().await;
            answer.push(byte.unwrap_or_else(|error| panic!("{error} after {answer:?}")));
        }
        String::from_utf8(answer).expect("text").to_lowercase()
    }

    /// Waits for the end of the connection, and returns what came before it.
    pub(crate) async fn end(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).await.expect("a clean end");
        rest
    }
}

pub(crate) fn app() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// A server that is running.
pub(crate) struct Running {
    pub(crate) network: Network,
    pub(crate) shutdown: ShutdownHandle,
    pub(crate) tracker: Tracker,
    pub(crate) ended: JoinHandle<Summary>,
}

impl Running {
    pub(crate) fn start(app: Router, limits: Limits, notice: Duration, limit: Duration) -> Self {
        let tracker = Tracker::new();
        let shutdown = Shutdown::new(tracker.clone(), limit).with_notice(notice);
        let handle = shutdown.handle();
        let (listener, network) = InMemory::new();
        let server = serve(listener, app).limits(limits).graceful(shutdown);
        Self { network, shutdown: handle, tracker, ended: tokio::spawn(server.into_future()) }
    }

    pub(crate) fn limited(limits: Limits) -> Self {
        Self::start(app(), limits, Duration::ZERO, 10 * SECOND)
    }
}
