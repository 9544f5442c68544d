//! Services that half-close their connection themselves: the FIN is sent at once, and a write after it fails
//! without harm.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::routing::any;
use hyper_util::rt::TokioIo;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, copy, copy_bidirectional, duplex,
};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::{Layer, service_fn};
use tower_linger::{ClosePolicy, LingerIo, LingerLayer, Outcome, Phase};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, Manner, receive};
use tower_linger_tests::server::{Engine, accept_loop, listen, reporting};

/// How long the tests wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);

async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("within a minute")
}

/// How a tunnel moves its bytes.
#[derive(Debug, Clone, Copy)]
enum Moves {
    InOneTask,
    /// The reader waits in its own task while the writer half-closes.
    InTwoTasks,
}

/// Moves bytes between an upgraded client and what is behind the tunnel.
async fn move_bytes(moves: Moves, request: Request, mut behind: DuplexStream) {
    let mut client = TokioIo::new(hyper::upgrade::on(request).await.expect("asked for"));
    match moves {
        Moves::InOneTask => drop(copy_bidirectional(&mut client, &mut behind).await),
        Moves::InTwoTasks => {
            let (mut from_client, mut to_client) = tokio::io::split(client);
            let (mut from_behind, mut to_behind) = tokio::io::split(behind);
            tokio::spawn(async move {
                let _ = copy(&mut from_client, &mut to_behind).await;
                let _ = to_behind.shutdown().await;
            });
            let _ = copy(&mut from_behind, &mut to_client).await;
            let _ = to_client.shutdown().await;
        }
    }
}

/// With `peer_closes_first`, the FIN after a response waits for the client, but a tunnel's FIN does not.
#[tokio::test]
async fn a_tunnels_half_close_goes_out_at_once_although_the_peer_closes_first() {
    for engine in Engine::ALL {
        for moves in [Moves::InOneTask, Moves::InTwoTasks] {
            let hour = Duration::from_secs(3600);
            let policy = ClosePolicy::builder().peer_closes_first(hour).drain_limit(hour).build();
            let policy = policy.expect("makes sense");
            let (linger, mut reports) = reporting(policy);
            let (mut behind, inner) = duplex(1 << 10);
            let inner = Arc::new(Mutex::new(Some(inner)));
            let upgrade = any(async move |request: Request| {
                let inner = inner.lock().expect("no panic").take().expect("one request");
                tokio::spawn(move_bytes(moves, request, inner));
                let switching = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")];
                (StatusCode::SWITCHING_PROTOCOLS, switching)
            });
            let server = engine.start(Some(&linger), Router::new().route("/", upgrade)).await;
            let mut client = Client::plain(server.address, None).await.expect("it listens");
            let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
            client.write_all(request).await.expect("loopback");

            // A first exchange, so that the reading task waits for more.
            client.write_all(b"hello").await.expect("loopback");
            within(behind.read_exact(&mut [0; 5])).await.expect("it is moved");
            behind.write_all(b"last words").await.expect("it is moved");
            behind.shutdown().await.expect("it is moved");
            let seen = receive(&mut client, End::Fin).await;
            assert_eq!((seen.status, seen.body, seen.end), (Some(101), 10, End::Fin), "{engine:?} {moves:?}");
            client.write_all(b"answer").await.expect("the other direction is open");
            client.shutdown().await.expect("loopback");
            let mut answer = String::new();
            within(behind.read_to_string(&mut answer)).await.expect("it is moved");
            assert_eq!(answer, "answer", "{engine:?} {moves:?}");
            let report = within(reports.recv()).await.expect("a report");
            assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false }, "{engine:?} {moves:?}");
            assert!(report.time_in(Phase::PeerFirst).is_zero(), "{engine:?} {moves:?}: {report}");
        }
    }
}

const WHOLE_BYTES: usize = 2_097_152;
const UPLOAD_BYTES: usize = 64 << 20;

/// Answers an upload without reading it, half-closes, and writes after that.
async fn writes_after_its_half_close(
    mut io: impl AsyncRead + AsyncWrite + Unpin,
    failures: mpsc::UnboundedSender<Option<ErrorKind>>,
) -> Result<(), Infallible> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {WHOLE_BYTES}\r\n\r\n");
    io.write_all(head.as_bytes()).await.expect("loopback");
    io.write_all(&vec![b'.'; WHOLE_BYTES]).await.expect("loopback");
    io.shutdown().await.expect("loopback");
    let late = io.write_all(b"one more").await;
    let _ = failures.send(late.err().map(|error| error.kind()));
    Ok(())
}

/// The service's own mistake is not reported as the peer's failure, and the client loses nothing by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_after_ones_own_half_close_loses_nothing_and_is_no_reset() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let (sender, mut failures) = mpsc::unbounded_channel();
    let layered = {
        let sender = sender.clone();
        let service =
            service_fn(move |io: LingerIo<TcpStream>| writes_after_its_half_close(io, sender.clone()));
        accept_loop(listen().await, linger.layer(service))
    };
    let bare = service_fn(move |io: TcpStream| writes_after_its_half_close(io, sender.clone()));
    let bare = accept_loop(listen().await, bare);
    for (server, is_layered) in [(&bare, false), (&layered, true)] {
        let client = Client::plain(server.address, None).await.expect("it listens");
        let seen = client.exchange(b"PUT / HTTP/1.1\r\n\r\n", UPLOAD_BYTES, Manner::StopsAtFailedWrite).await;
        assert_eq!(seen.complete, is_layered, "{seen:?}");
        let failure = within(failures.recv()).await.expect("the service tells");
        assert_eq!(failure, Some(ErrorKind::BrokenPipe), "layered: {is_layered}");
        if is_layered {
            assert_eq!((seen.body, seen.end), (WHOLE_BYTES, End::Fin));
        }
    }
    let report = within(reports.recv()).await.expect("a report");
    assert_eq!((report.outcome, report.failure), (Outcome::PeerClosed { close_notify: false }, None));
}

/// Both ends of a TLS connection whose client has a small receive buffer.
async fn tls_pair() -> (Client, TlsStream<TcpStream>) {
    let certs = Certs::make();
    let acceptor = TlsAcceptor::from(Arc::new(certs.server(&Version::ALL, ClientAuth::None)));
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let connecting = Client::tls(address, Some(16 << 10), Arc::new(certs.client(&Version::ALL)));
    let accepting = async {
        let (io, _) = listener.accept().await.expect("loopback");
        acceptor.accept(io).await.expect("a handshake")
    };
    let (client, server) = tokio::join!(connecting, accepting);
    (client.expect("a handshake"), server)
}

/// What the writer of a tunnel sends before it ends.
#[derive(Debug, Clone, Copy)]
enum Sends {
    /// As much as is taken while the client does not read.
    UntilFull,
    /// This many bytes, even if the client has to read meanwhile.
    Bytes(usize),
}

/// Ends a tunnel whose reader waits in a task of its own. Tells how much is sent when the client has to start
/// reading.
async fn end_with_a_full_socket(
    io: impl AsyncRead + AsyncWrite + Send + 'static,
    sends: Sends,
    told: oneshot::Sender<usize>,
) -> io::Result<usize> {
    let (mut reader, mut writer) = tokio::io::split(io);
    let reader = tokio::spawn(async move { reader.read(&mut [0; 1]).await });
    // The reader goes first.
    tokio::task::yield_now().await;
    let sent = match sends {
        Sends::Bytes(bytes) => bytes,
        Sends::UntilFull => Box::pin(fill(&mut writer)).await?,
    };
    let ending = async {
        if let Sends::Bytes(bytes) = sends {
            writer.write_all(&vec![7; bytes]).await?;
        }
        writer.shutdown().await
    };
    tokio::pin!(ending);
    // Either this ends at once, or not before the client reads.
    let at_once = timeout(STUCK, &mut ending).await;
    let _ = told.send(sent);
    match at_once {
        Ok(ended) => ended?,
        Err(_) => ending.await?,
    }
    reader.await.expect("no panic")
}

/// How long nothing is taken by a full socket, of which no event tells. Should it still take something later,
/// the test shows less.
const STUCK: Duration = Duration::from_millis(300);

/// Writes until nothing more is taken. Returns how much was taken.
async fn fill(writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<usize> {
    let chunk = [7; 16 << 10];
    let mut taken = 0;
    while let Ok(written) = timeout(STUCK, writer.write(&chunk)).await {
        taken += written?;
    }
    Ok(taken)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_tls_socket_at_a_tunnels_half_close_gets_everything_and_the_end() {
    // What two sockets and a session hold is between the first size and the last, so one size just fits.
    let sizes = (3_700_000..3_900_000).step_by(40_000).map(Sends::Bytes);
    for sends in sizes.chain([Sends::UntilFull]) {
        for layer in [false, true] {
            let (mut client, server) = tls_pair().await;
            let (told, sent) = oneshot::channel();
            let tunnel = if layer {
                let io = LingerLayer::default().wrap(server);
                tokio::spawn(end_with_a_full_socket(io, sends, told))
            } else {
                tokio::spawn(end_with_a_full_socket(server, sends, told))
            };
            let sent = within(sent).await.expect("it is told");
            let mut received = Vec::new();
            within(client.read_to_end(&mut received)).await.expect("a close_notify");
            assert_eq!(received.len(), sent, "{sends:?}, layer: {layer}");
            client.shutdown().await.expect("loopback");
            let read = within(tunnel).await.expect("no panic").expect("the client's close_notify");
            assert_eq!(read, 0, "{sends:?}, layer: {layer}");
        }
    }
}
