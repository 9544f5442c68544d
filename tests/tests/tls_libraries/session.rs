//! The end of a session: the client's `close_notify`, its failures, and what is below it.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_linger::{ClosePolicy, CloseReport, LingerIo, LingerLayer, Outcome, close};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, receive};
use tower_linger_tests::server::{listen, reporting};
use tower_linger_tests::wire::{Capture, Side};

use super::library::Library;

pub(super) type TlsClient = tokio_rustls::client::TlsStream<TcpStream>;

fn acceptor<L: Library>(certs: &Certs, version: Version) -> L {
    L::acceptor(certs, version, ClientAuth::None).expect("it needs no certificate of the client")
}

/// Both ends of a connection over TLS.
pub(super) async fn connect<L: Library>(
    certs: &Certs,
    version: Version,
) -> (L::Stream<TcpStream>, TlsClient) {
    let acceptor = acceptor::<L>(certs, version);
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let (tcp, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let name = "localhost".try_into().expect("a name");
    let connector = TlsConnector::from(Arc::new(certs.client(&[version])));
    let connect = connector.connect(name, tcp.expect("loopback"));
    let (server, client) = tokio::join!(acceptor.accept(accepted.expect("loopback").0), connect);
    (server.map_err(|(error, _)| error).expect("loopback"), client.expect("loopback"))
}

/// What is drained is below TLS: bytes that are no records are discarded, too.
pub(crate) async fn drain<L: Library>(certs: &Certs, version: Version) -> String {
    const NO_RECORDS: usize = 100_000;
    let (server, mut client) = connect::<L>(certs, version).await;
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let mut server = linger.wrap(server);
    server.write_all(b"bye").await.expect("loopback");
    server.shutdown().await.expect("loopback");
    drop(server);
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.expect("close_notify");
    assert_eq!(received, b"bye", "{}, {version:?}", L::NAME);
    let written = client.get_mut().0.write_all(&vec![b'x'; NO_RECORDS]).await;
    drop(client);
    let report = reports.recv().await.expect("reported");
    written.unwrap_or_else(|error| panic!("{}, {version:?}: {error}: {report}", L::NAME));
    let is_whole = report.outcome == Outcome::PeerClosed { close_notify: false } && report.failure.is_none();
    if is_whole && report.bytes_drained == NO_RECORDS as u64 { "below TLS".to_owned() } else { told(&report) }
}

/// `SSL_shutdown() || SSL_shutdown()`: the close ends with the client's `close_notify`, although the client
/// keeps its socket open; data before it is discarded. Where the library cannot read its session any more,
/// the policy is refused, and the close goes on without that wait.
pub(crate) async fn awaited<L: Library>(certs: &Certs, version: Version) -> String {
    let wait = ClosePolicy::builder().await_close_notify(Duration::from_secs(10), 1_000_000);
    let policy = wait.build().expect("makes sense");
    let (server, mut client) = connect::<L>(certs, version).await;
    let closing = tokio::spawn(async move { close(server, &policy).await });
    assert_eq!(client.read(&mut [0; 1]).await.expect("close_notify"), 0, "{}, {version:?}", L::NAME);
    client.write_all(&vec![b'x'; 100_000]).await.expect("loopback");
    client.get_mut().1.send_close_notify();
    client.flush().await.expect("loopback");
    if L::check(&policy).is_err() {
        drop(client);
    }
    let report = closing.await.expect("no panic");
    let refused = LingerLayer::new(policy).try_tls(acceptor::<L>(certs, version)).err();
    match (report.outcome, refused) {
        (Outcome::PeerClosed { close_notify: true }, _) if report.bytes_drained == 100_000 => {
            "yes".to_owned()
        }
        (Outcome::PeerClosed { close_notify: false }, Some(refused)) => format!("no: {refused}"),
        _ => told(&report),
    }
}

/// A FIN without `close_notify`, which the service's read sees first. It is no failure.
pub(crate) async fn truncated<L: Library>(certs: &Certs, version: Version) -> String {
    let (server, client) = connect::<L>(certs, version).await;
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let mut server = linger.wrap(server);
    drop(client.into_inner().0);
    let read = server.read(&mut [0; 1]).await;
    drop(server);
    let report = reports.recv().await.expect("reported");
    let is_known = report.outcome == Outcome::PeerClosed { close_notify: false } && report.failure.is_none();
    match read {
        Err(_) if is_known => "read fails, no failure of the close".to_owned(),
        Ok(0) if is_known => "read ends as if clean, no failure of the close".to_owned(),
        _ => format!("{read:?}, {}", told(&report)),
    }
}

/// What the server sends to a client whose record cannot be decrypted. No `close_notify` may follow.
pub(crate) async fn refused_record<L: Library>(certs: &Certs, version: Version) -> String {
    let (server, mut client) = connect::<L>(certs, version).await;
    let port = client.get_ref().0.peer_addr().expect("connected").port();
    let capture = Capture::start(port).expect("captures");
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let record = [&[23, 3, 3, 0, 40][..], &[0; 40], &vec![0; 100_000]].concat();
    client.get_mut().0.write_all(&record).await.expect("loopback");
    let mut server = linger.wrap(server);
    server.read(&mut [0; 1]).await.expect_err("it cannot be decrypted");
    drop(server);
    let end = receive(&mut client, End::CloseNotify).await.end;
    drop(client);
    let report = reports.recv().await.expect("reported");
    assert!(!report.sent_close_notify && report.failure.is_some(), "{}, {version:?}: {report}", L::NAME);
    let transcript = capture.finish().expect("captures");
    assert_eq!(transcript.resets(Side::Server), 0, "{}, {version:?}: {transcript}", L::NAME);
    match end {
        End::Alert(alert) => format!("{alert}, FIN"),
        End::CloseNotify => panic!("{}, {version:?}: a close_notify: {transcript}", L::NAME),
        _ => "FIN".to_owned(),
    }
}

/// Whether `close_notify` is sent though the runtime of the connection goes away while it is served.
pub(crate) async fn without_runtime<L: Library>(certs: &Certs, version: Version) -> String {
    let acceptor = acceptor::<L>(certs, version);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let serving = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let linger = LingerLayer::default();
    let accepting = serving.spawn(async move {
        let (tcp, _) = listener.accept().expect("loopback");
        tcp.set_nonblocking(true).expect("a socket");
        let tcp = TcpStream::from_std(tcp).expect("a runtime");
        let tls = acceptor.accept(tcp).await.map_err(|(error, _)| error).expect("loopback");
        drop(tokio::spawn(hold(linger.wrap(tls))));
    });
    let tls = Arc::new(certs.client(&[version]));
    let mut client = Client::tls(address, None, tls).await.expect("loopback");
    accepting.await.expect("no panic");
    serving.shutdown_background();
    match receive(&mut client, End::CloseNotify).await.end {
        End::CloseNotify => "yes".to_owned(),
        other => format!("no: {other:?}"),
    }
}

/// A service that never ends.
async fn hold<T: tower_linger::Transport>(io: LingerIo<T>) {
    let _io = io;
    std::future::pending::<()>().await;
}

fn told(report: &CloseReport) -> String {
    format!("**{report}**")
}
