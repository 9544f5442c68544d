//! TLS sessions that the peer breaks: what is sent after that, and that the close goes on below TLS.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConnection;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower_linger::{ClosePolicy, ClosePolicyBuilder, CloseReport, LingerIo, Outcome, close};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::{listen, reporting};

const HOUR: Duration = Duration::from_secs(3600);

/// How long the tests wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);

async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("within a minute")
}

/// A policy whose bounds no test reaches, so that only the test ends a close.
fn patient() -> ClosePolicyBuilder {
    ClosePolicy::builder().drain_limit(HOUR).drain_idle_timeout(HOUR)
}

/// The client's socket and its session, and the server's end, after the handshake.
async fn pair(version: Version) -> (TcpStream, ClientConnection, TlsStream<TcpStream>) {
    let certs = Certs::make();
    let acceptor = TlsAcceptor::from(Arc::new(certs.server(&[version], ClientAuth::None)));
    let connector = TlsConnector::from(Arc::new(certs.client(&[version])));
    let listener = listen().await;
    let tcp = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
    let (server, _) = listener.accept().await.expect("loopback");
    let name = "localhost".try_into().expect("a name");
    let (client, server) = tokio::join!(connector.connect(name, tcp), acceptor.accept(server));
    let (tcp, session) = client.expect("a handshake").into_inner();
    (tcp, session, server.expect("a handshake"))
}

const GARBAGE: &[u8] = b"this is no TLS record at all";
static LATE: [u8; 100_000] = [0; 100_000];

/// rustls would send a second alert about the garbage after our `close_notify`, and asserts in debug builds
/// that this does not happen.
#[tokio::test]
async fn garbage_instead_of_the_awaited_close_notify_is_drained_below_the_session() {
    for version in Version::ALL {
        let policy = patient().await_close_notify(HOUR, 1 << 20).build().expect("makes sense");
        let (mut client, _session, server) = pair(version).await;
        let closing = tokio::spawn(async move { close(server, &policy).await });
        // Our close_notify and FIN have arrived, so the server awaits the client's close_notify.
        let mut received = Vec::new();
        within(client.read_to_end(&mut received)).await.expect("it ends");
        client.write_all(GARBAGE).await.expect("it is drained");
        for _ in 0..100 {
            client.write_all(&LATE).await.expect("it is drained");
        }
        client.shutdown().await.expect("not reset");
        let report = within(closing).await.expect("no panic");
        assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false }, "{version:?}: {report}");
        // The session took some of them before it broke, and those are not counted.
        assert!(report.bytes_drained > 99 * LATE.len() as u64, "{version:?}: {report}");
        assert_eq!(client.take_error().expect("a socket").map(|error| error.kind()), None, "{version:?}");
    }
}

/// Who reads the alert, and so closes the connection.
#[derive(Debug, Clone, Copy)]
enum Closes {
    /// A service, which drops the connection.
    Dropped,
    /// hyper.
    Hyper,
    /// The close, because the policy lets the peer close first.
    PeerFirst,
}

impl Closes {
    const ALL: [Self; 3] = [Self::Dropped, Self::Hyper, Self::PeerFirst];

    async fn serve(self, server: TlsStream<TcpStream>) -> CloseReport {
        let (linger, mut reports) = reporting(patient().build().expect("makes sense"));
        match self {
            Self::Dropped => read_to_its_end(linger.wrap(server)).await,
            Self::Hyper => serve_by_hyper(linger.wrap(server)).await,
            Self::PeerFirst => {
                let policy = patient().peer_closes_first(HOUR).build().expect("makes sense");
                return close(server, &policy).await;
            }
        }
        reports.recv().await.expect("the layer lives")
    }
}

async fn serve_by_hyper(io: LingerIo<TlsStream<TcpStream>>) {
    let answer = hyper::service::service_fn(async |_| {
        Ok::<_, Infallible>(hyper::Response::new(axum::body::Body::from("an answer")))
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(io), answer).await;
}

async fn read_to_its_end(mut io: LingerIo<TlsStream<TcpStream>>) {
    if io.read(&mut [0; 16]).await.is_ok() {
        io.shutdown().await.expect("loopback");
    }
}

/// Makes the client's session reject a record, and returns its fatal alert.
fn fatal_alert(session: &mut ClientConnection) -> Vec<u8> {
    session.read_tls(&mut &[0xff; 40][..]).expect("from memory");
    session.process_new_packets().expect_err("no record");
    let mut alert = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut alert).expect("into memory");
    }
    assert!(!alert.is_empty());
    alert
}

/// RFC 8446 §6.2, RFC 5246 §7.2.2: a fatal alert ends the session, so nothing more is sent in it.
#[tokio::test]
async fn nothing_but_a_fin_and_the_drain_follows_a_received_fatal_alert() {
    for version in Version::ALL {
        for closes in Closes::ALL {
            let (mut client, mut session, server) = pair(version).await;
            let serving = tokio::spawn(closes.serve(server));
            client.write_all(&fatal_alert(&mut session)).await.expect("loopback");
            let mut received = Vec::new();
            within(client.read_to_end(&mut received)).await.expect("a FIN");
            assert_eq!(received, b"", "{version:?} {closes:?}");
            for _ in 0..10 {
                client.write_all(&LATE).await.expect("it is drained");
            }
            client.shutdown().await.expect("not reset");
            let report = within(serving).await.expect("no panic");
            let drained = 10 * LATE.len() as u64;
            let expected = (Outcome::PeerClosed { close_notify: false }, false, drained);
            let seen = (report.outcome, report.sent_close_notify, report.bytes_drained);
            assert_eq!(seen, expected, "{version:?} {closes:?}: {report}");
        }
    }
}

/// The counterpart: after the client's `close_notify` instead of a fatal alert, ours does show on the wire.
#[tokio::test]
async fn a_close_notify_of_ours_is_seen_on_the_wire_after_the_clients() {
    for version in Version::ALL {
        for closes in Closes::ALL {
            let (mut client, mut session, server) = pair(version).await;
            let serving = tokio::spawn(closes.serve(server));
            session.send_close_notify();
            let mut goodbye = Vec::new();
            while session.wants_write() {
                session.write_tls(&mut goodbye).expect("into memory");
            }
            client.write_all(&goodbye).await.expect("loopback");
            let mut received = Vec::new();
            within(client.read_to_end(&mut received)).await.expect("a FIN");
            assert!(!received.is_empty(), "{version:?} {closes:?}");
            drop(client);
            let report = within(serving).await.expect("no panic");
            assert!(report.sent_close_notify, "{version:?} {closes:?}: {report}");
        }
    }
}
