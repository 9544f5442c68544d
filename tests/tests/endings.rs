//! As a client sees it: what failed must not look clean, and what did not fail must not look broken. Every
//! case over plain TCP and over TLS, through `LingerLayer::classify(HyperErrors)`.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ClientConfig;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tower::{Layer, Service, service_fn};
use tower_linger::{ClosePolicy, CloseReport, HyperErrors, LingerIo, LingerLayer, Outcome, RequestLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, Seen, receive};
use tower_linger_tests::server::{BoxError, Http, Running, accept_loop, listen, reporting};

/// A server of connections, plain or over TLS, its reports, and how to connect to it.
struct Scene {
    running: Running,
    reports: UnboundedReceiver<CloseReport>,
    tls: Option<Arc<ClientConfig>>,
}

impl Scene {
    /// Serves by `serve`, behind the layer and hyper's classifier.
    async fn start<S>(tls: bool, serve: S) -> Self
    where
        S: Service<LingerIo<TcpStream>, Response = (), Error = BoxError, Future: Send>
            + Service<LingerIo<TlsTcp>, Response = (), Error = BoxError, Future: Send>
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

    async fn connect(&self) -> Client {
        Client::connect(self.running.address, None, self.tls.clone()).await.expect("loopback")
    }

    /// The end that says: this was everything.
    fn clean(&self) -> End {
        if self.tls.is_some() { End::CloseNotify } else { End::Fin }
    }

    /// Sends these bytes, and reads to the end of the connection.
    async fn exchange(&self, bytes: &[u8]) -> Seen {
        let mut client = self.connect().await;
        client.write_all(bytes).await.expect("loopback");
        receive(&mut client, self.clean()).await
    }

    async fn outcome(&mut self) -> Outcome {
        self.reports.recv().await.expect("each close is reported").outcome
    }
}

type TlsTcp = tokio_rustls::server::TlsStream<TcpStream>;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const PEER_CLOSED: Outcome = Outcome::PeerClosed { close_notify: false };

/// A response without length: it ends with a last chunk in HTTP/1.1, and with the connection in HTTP/1.0.
const REQUESTS: [(&[u8], bool); 2] = [(GET, true), (b"GET / HTTP/1.0\r\n\r\n", false)];

/// The end that says that something is missing, of a response that was begun. Where its framing shows that, a
/// FIN takes nothing away; over TLS there is no `close_notify`, which the client sees as the same end.
fn cut(framed: bool) -> End {
    if framed { End::Fin } else { End::Reset }
}

/// A body whose rest is made on the connection's task, once the client has the first half.
fn halves(rest: fn() -> io::Result<&'static str>, gate: &Arc<Notify>) -> Body {
    let (parts, body) = tokio::sync::mpsc::channel::<fn() -> io::Result<&'static str>>(2);
    let gate = gate.clone();
    tokio::spawn(async move {
        // The client may have gone.
        let _ = parts.send(|| Ok(HALF)).await;
        gate.notified().await;
        let _ = parts.send(rest).await;
    });
    Body::from_stream(ReceiverStream::new(body).map(|make| make()))
}

const HALF: &str = "half of it";

/// Reads until the half is there.
async fn read_half(client: &mut Client) -> Vec<u8> {
    let mut received = Vec::new();
    while !received.windows(HALF.len()).any(|window| window == HALF.as_bytes()) {
        let read = tokio::time::timeout(Duration::from_secs(60), client.read_buf(&mut received)).await;
        assert!(read.expect("in good time").expect("no failure yet") > 0, "it ended early");
    }
    received
}

#[tokio::test]
async fn a_handlers_panic_does_not_look_clean() {
    for tls in [false, true] {
        let handler = get(async || -> &'static str { std::panic::resume_unwind(Box::new("on purpose")) });
        let mut scene = Scene::start(tls, Http::new(Router::new().route("/", handler))).await;
        for (request, _) in REQUESTS {
            assert_ne!(scene.exchange(request).await.end, End::CloseNotify, "TLS: {tls}");
            assert_eq!(scene.outcome().await, Outcome::Aborted);
        }
    }
}

#[tokio::test]
async fn a_body_that_fails_or_panics_does_not_look_clean_and_keeps_what_was_sent() {
    let rests: [fn() -> io::Result<&'static str>; 2] =
        [|| Err(io::Error::other("on purpose")), || std::panic::resume_unwind(Box::new("on purpose"))];
    for (tls, rest) in [false, true].into_iter().flat_map(|tls| rests.map(|rest| (tls, rest))) {
        let gate = Arc::new(Notify::new());
        let opened = gate.clone();
        let handler = get(async move || halves(rest, &gate));
        let mut scene = Scene::start(tls, Http::new(Router::new().route("/", handler))).await;
        for (request, framed) in REQUESTS {
            let mut client = scene.connect().await;
            client.write_all(request).await.expect("loopback");
            read_half(&mut client).await;
            opened.notify_one();
            assert_eq!(receive(&mut client, scene.clean()).await.end, cut(framed), "TLS: {tls}");
            drop(client);
            assert_eq!(scene.outcome().await, Outcome::Aborted);
        }
    }
}

/// A service that fails is hyper's own word for it; axum's handlers cannot.
#[derive(Clone)]
struct Failing;

impl<I: AsyncRead + AsyncWrite + Unpin + Send + 'static> Service<I> for Failing {
    type Response = ();
    type Error = BoxError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), BoxError>> {
        Ok(()).into()
    }

    fn call(&mut self, io: I) -> Self::Future {
        Box::pin(async move {
            let fails = hyper::service::service_fn(async |_| {
                Err::<hyper::Response<Body>, _>(io::Error::other("on purpose"))
            });
            auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), fails).await
        })
    }
}

#[tokio::test]
async fn a_service_that_fails_does_not_look_clean() {
    for tls in [false, true] {
        let mut scene = Scene::start(tls, Failing).await;
        for (request, _) in REQUESTS {
            assert_ne!(scene.exchange(request).await.end, End::CloseNotify, "TLS: {tls}");
            assert_eq!(scene.outcome().await, Outcome::Aborted);
        }
    }
}

#[tokio::test]
async fn an_idle_timeout_looks_clean() {
    for tls in [false, true] {
        let http = Http::new(Router::new().route("/", get(async || "hello"))).configured(|builder| {
            let timeout = Duration::from_millis(100);
            builder.http1().timer(TokioTimer::new()).header_read_timeout(timeout);
        });
        let mut scene = Scene::start(tls, http).await;
        // After a response, and in the middle of a head.
        for bytes in [GET, b"GET / HTTP/1.1\r\nHost: loc"] {
            assert_eq!(scene.exchange(bytes).await.end, scene.clean(), "TLS: {tls}");
            assert_eq!(scene.outcome().await, PEER_CLOSED);
        }
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_parsed_is_answered_and_looks_clean() {
    let long = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![b'x'; 500_000]].concat();
    for tls in [false, true] {
        let mut scene = Scene::start(tls, Http::new(Router::new())).await;
        for (bytes, status) in [(b"GET / HTTP/1.1\r\nno colon\r\n\r\n".as_slice(), 400), (&long, 431)] {
            let seen = scene.exchange(bytes).await;
            assert_eq!((seen.status, seen.end), (Some(status), scene.clean()), "TLS: {tls}");
            assert_eq!(scene.outcome().await, PEER_CLOSED);
        }
    }
}

#[tokio::test]
async fn a_shutdown_before_the_first_byte_looks_clean() {
    for tls in [false, true] {
        let http = Http::new(Router::new());
        let mut scene = Scene::start(tls, http.clone()).await;
        let mut client = scene.connect().await;
        // Served by now, over TLS by the handshake, otherwise by the second connection's answer.
        if !tls {
            let close = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            assert_eq!(scene.exchange(close).await.status, Some(404));
            assert_eq!(scene.outcome().await, PEER_CLOSED);
        }
        http.shut_down();
        let seen = receive(&mut client, scene.clean()).await;
        assert_eq!((seen.status, seen.end), (None, scene.clean()), "TLS: {tls}");
        drop(client);
        assert_eq!(scene.outcome().await, PEER_CLOSED);
    }
}

/// What drops a connection's future is a timeout, a limit or an operator, and it does not ask what the
/// connection is doing.
#[tokio::test]
async fn a_dropped_future_looks_clean_only_where_it_was_idle() {
    for tls in [false, true] {
        for (request, framed) in REQUESTS {
            let mut dropped = Dropped::serve(tls).await;
            dropped.client.write_all(request).await.expect("loopback");
            read_half(&mut dropped.client).await;
            assert_eq!(dropped.end().await, (cut(framed), Outcome::Aborted), "TLS: {tls}, {framed}");
        }
        // Whole, and kept alive.
        let mut dropped = Dropped::serve(tls).await;
        let whole = b"GET /whole HTTP/1.1\r\nHost: localhost\r\n\r\n";
        dropped.client.write_all(whole).await.expect("loopback");
        read_half(&mut dropped.client).await;
        let clean = if tls { End::CloseNotify } else { End::Fin };
        assert_eq!(dropped.end().await, (clean, PEER_CLOSED), "TLS: {tls}, idle");
    }
}

/// A connection whose future can be dropped.
struct Dropped {
    client: Client,
    connection: tokio::task::JoinHandle<()>,
    reports: UnboundedReceiver<CloseReport>,
    clean: End,
}

impl Dropped {
    async fn serve(tls: bool) -> Self {
        let certs = Certs::make();
        let (linger, reports) = reporting(ClosePolicy::default());
        let never = Arc::new(Notify::new());
        let app = Router::new()
            .route("/", get(async move || halves(|| Ok("never"), &never)))
            .route("/whole", get(async || HALF))
            .layer(RequestLayer);
        let (linger, http) = (linger.classify(HyperErrors), Http::new(app));
        let acceptor = TlsAcceptor::from(Arc::new(certs.server(&Version::ALL, ClientAuth::None)));
        let listener = listen().await;
        let address = listener.local_addr().expect("bound");
        let connection = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("loopback");
            if tls {
                drop(linger.tls(acceptor).layer(http).call(stream).await);
            } else {
                drop(linger.layer(http).call(stream).await);
            }
        });
        let config = tls.then(|| Arc::new(certs.client(&Version::ALL)));
        let client = Client::connect(address, None, config).await.expect("loopback");
        let clean = if tls { End::CloseNotify } else { End::Fin };
        Self { client, connection, reports, clean }
    }

    /// Drops the future: how the client sees the end, and what is reported of it.
    async fn end(mut self) -> (End, Outcome) {
        self.connection.abort();
        assert!(self.connection.await.expect_err("aborted").is_cancelled());
        let end = receive(&mut self.client, self.clean).await.end;
        drop(self.client);
        (end, self.reports.recv().await.expect("reported").outcome)
    }
}

/// An upgraded connection outlives its service: its close begins when the last owner drops it, and a
/// half-close inside the tunnel is sent at once. The layer's future waits for it, or leaves it to the
/// tracker.
#[tokio::test]
async fn an_upgraded_connection_is_closed_when_its_tunnel_drops_it() {
    for leaves in [false, true] {
        let linger = if leaves { LingerLayer::default().detach_upgrades() } else { LingerLayer::default() };
        let tracker = linger.tracker().clone();
        let (tunnels, mut upgraded) = tokio::sync::mpsc::unbounded_channel();
        let mut connections = linger.layer(service_fn(move |io: LingerIo<TcpStream>| {
            let tunnels = tunnels.clone();
            async move {
                let connect = hyper::service::service_fn(move |request| {
                    let tunnels = tunnels.clone();
                    tokio::spawn(async move { tunnels.send(hyper::upgrade::on(request).await) });
                    async { Ok::<_, Infallible>(hyper::Response::new(Body::empty())) }
                });
                auto::Builder::new(TokioExecutor::new())
                    .serve_connection_with_upgrades(TokioIo::new(io), connect)
                    .await
            }
        }));
        let listener = listen().await;
        let mut client = Client::plain(listener.local_addr().expect("bound"), None).await.expect("loopback");
        let (stream, _) = listener.accept().await.expect("loopback");
        let mut connection = tokio::spawn(connections.call(stream));
        client.write_all(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").await.expect("loopback");
        let tunnel = upgraded.recv().await.expect("sent").expect("upgraded");
        let parts =
            auto::upgrade::downcast::<TokioIo<LingerIo<TcpStream>>>(tunnel).expect("the wrapper is public");
        let mut tunnel = parts.io.into_inner();
        if leaves {
            (&mut connection).await.expect("no panic").expect("served");
        }

        tunnel.write_all(b"last words").await.expect("loopback");
        tunnel.shutdown().await.expect("loopback");
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.expect("the FIN is sent at that moment");
        assert!(received.ends_with(b"last words"));
        client.write_all(b"answer").await.expect("the other direction is open");
        tunnel.read_exact(&mut [0; 6]).await.expect("loopback");
        assert_eq!((tracker.served(), tracker.closing(), connection.is_finished()), (1, 0, leaves));

        drop(tunnel);
        drop(client);
        if !leaves {
            connection.await.expect("no panic").expect("served");
        }
        tracker.wait().await;
        assert_eq!(tracker.summary().count(PEER_CLOSED), 1);
    }
}
