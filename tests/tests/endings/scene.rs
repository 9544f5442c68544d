//! A server behind the layer, its client, and a response whose end the test controls.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::server::TlsStream;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tower::{Layer, Service};
use tower_linger::{ClosePolicy, CloseReport, HyperErrors, LingerIo, Outcome};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, Seen, receive};
use tower_linger_tests::server::{BoxError, Running, accept_loop, listen, reporting};

/// A server, plain or over TLS, the reports of its closes, and how to connect to it.
pub(crate) struct Scene {
    running: Running,
    reports: UnboundedReceiver<CloseReport>,
    tls: Option<Arc<ClientConfig>>,
}

impl Scene {
    /// Starts a server whose connections `serve` serves, behind the layer with hyper's classifier.
    pub(crate) async fn start<S>(tls: bool, serve: S) -> Self
    where
        S: Service<LingerIo<TcpStream>, Response = (), Error = BoxError, Future: Send>
            + Service<LingerIo<TlsStream<TcpStream>>, Response = (), Error = BoxError, Future: Send>
            + Clone
            + Send
            + 'static,
    {
        let (linger, reports) = reporting(ClosePolicy::default());
        let linger = linger.classify(HyperErrors);
        if !tls {
            return Self { running: accept_loop(listen().await, linger.layer(serve)), reports, tls: None };
        }
        let certs = Certs::make();
        let acceptor = TlsAcceptor::from(Arc::new(certs.server(&Version::ALL, ClientAuth::None)));
        let running = accept_loop(listen().await, linger.tls(acceptor).layer(serve));
        Self { running, reports, tls: Some(Arc::new(certs.client(&Version::ALL))) }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.running.address, None, self.tls.clone()).await.expect("loopback")
    }

    /// The end that tells the client that nothing is missing.
    pub(crate) fn clean(&self) -> End {
        if self.tls.is_some() { End::CloseNotify } else { End::Fin }
    }

    /// Sends these bytes, and reads to the end of the connection.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> Seen {
        let mut client = self.connect().await;
        client.write_all(bytes).await.expect("loopback");
        receive(&mut client, self.clean()).await
    }

    pub(crate) async fn outcome(&mut self) -> Outcome {
        self.reports.recv().await.expect("each close is reported").outcome
    }
}

pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
pub(crate) const PEER_CLOSED: Outcome = Outcome::PeerClosed { close_notify: false };

/// Requests for a response without a length, and whether its framing shows its end: HTTP/1.1 has a last
/// chunk, in HTTP/1.0 the connection's end is the response's end.
pub(crate) const REQUESTS: [(&[u8], bool); 2] = [(GET, true), (b"GET / HTTP/1.0\r\n\r\n", false)];

/// The end of a connection whose response was cut. Where the framing shows the cut, a FIN is enough. Over TLS
/// the FIN has no `close_notify` before it, which [`End`] distinguishes.
pub(crate) fn cut(framed: bool) -> End {
    if framed { End::Fin } else { End::Reset }
}

pub(crate) const HALF: &str = "half of it";

/// A body with [`HALF`] and then what `rest` makes, on the connection's task, once the gate is opened.
pub(crate) fn halves(rest: fn() -> io::Result<&'static str>, gate: &Arc<Notify>) -> Body {
    let (parts, body) = mpsc::channel::<fn() -> io::Result<&'static str>>(2);
    let gate = gate.clone();
    tokio::spawn(async move {
        // Errors are ignored: the client may have gone.
        let _ = parts.send(|| Ok(HALF)).await;
        gate.notified().await;
        let _ = parts.send(rest).await;
    });
    Body::from_stream(ReceiverStream::new(body).map(|make| make()))
}

/// Reads until [`HALF`] has arrived.
pub(crate) async fn read_half(client: &mut Client) -> Vec<u8> {
    let mut received = Vec::new();
    while !received.windows(HALF.len()).any(|window| window == HALF.as_bytes()) {
        let read = tokio::time::timeout(Duration::from_secs(60), client.read_buf(&mut received)).await;
        assert!(read.expect("in good time").expect("no failure yet") > 0, "it ended early");
    }
    received
}
