//! Fatal alerts: the server's last message, and the only one that says why.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use tower::{Layer, Service};
use tower_linger::{ClosePolicy, HandshakeError, LingerLayer, Outcome, TlsAcceptError};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, Manner, alert_to, head};
use tower_linger_tests::server::{Engine, Http, accept_loop, listen, reporting};
use tower_linger_tests::wire::{Capture, Side};

use super::common::{TRIES, UPLOAD_BYTES, app, bare, connect, layered};

const CLIENTS: usize = 100;

/// CONFORMANCE 18: a TLS 1.3 client believes that the handshake is done, and sends. Without the layer, a
/// reset answers that and takes the alert away.
pub(crate) async fn a_missing_client_certificate_is_told_to_every_client() {
    let certs = Certs::make();
    let config = || certs.server(&[Version::Tls13], ClientAuth::Required);
    let told = async |address, clients, bytes| {
        let mut told = 0;
        for _ in 0..clients {
            let tls = Arc::new(certs.client(&[Version::Tls13]));
            let client = Client::tls(address, None, tls).await.expect("the client's part of the handshake");
            let seen = client.exchange(&head("PUT", "/413", bytes), bytes, Manner::StopsAtFailedWrite).await;
            told += usize::from(seen.end == End::Alert("CertificateRequired".into()));
        }
        told
    };
    for engine in Engine::ALL {
        let linger = LingerLayer::default();
        let server = layered(engine, &linger, config()).await;
        assert_eq!(told(server.address, CLIENTS, 900_000).await, CLIENTS, "{engine:?}");
        linger.tracker().wait().await;
        assert_eq!(linger.tracker().summary().total(), CLIENTS as u64, "each failed handshake lingers");
    }
    let server = bare(config()).await;
    // More than the buffers of two sockets hold, so the client still sends when the server has closed.
    assert_eq!(told(server.address, TRIES, UPLOAD_BYTES).await, 0, "without the layer");
}

/// How many of the clients read this alert. They keep sending behind their first flight.
async fn told(address: SocketAddr, alert: &str, config: impl Fn() -> ClientConfig) -> usize {
    // No TLS; more than the buffers of two sockets hold.
    let more = vec![0; 8 << 20];
    let mut told = 0;
    for _ in 0..CLIENTS {
        told += usize::from(alert_to(address, config(), &more).await.as_deref() == Some(alert));
    }
    told
}

/// Asserts that with the layer all clients read the alert, and none is reset.
async fn all_are_told(alert: &str, server: ServerConfig, client: impl Fn() -> ClientConfig) {
    for engine in Engine::ALL {
        let linger = LingerLayer::default();
        let server = layered(engine, &linger, server.clone()).await;
        let capture = Capture::start_cut(server.address.port(), 100).expect("captures");
        assert_eq!(told(server.address, alert, &client).await, CLIENTS, "{engine:?}");
        linger.tracker().wait().await;
        let (summary, transcript) = (linger.tracker().summary(), capture.finish().expect("captures"));
        // The namespace's counter would not do, because it counts both sides' resets.
        assert_eq!(transcript.resets(Side::Server), 0, "{engine:?}: {summary}\n{transcript}");
    }
}

/// Asserts that without the layer most clients do not read the alert.
async fn most_are_not_told(alert: &str, server: ServerConfig, client: impl Fn() -> ClientConfig) {
    let server = bare(server).await;
    let told = told(server.address, alert, client).await;
    assert!(told < CLIENTS / 2, "without the layer {told} of {CLIENTS} are told, too");
}

/// CONFORMANCE 18, RFC 7301 §3.2: no common ALPN.
pub(crate) async fn no_common_protocol_is_told_to_a_client_that_keeps_sending() {
    const ALERT: &str = "NoApplicationProtocol";
    let certs = Certs::make();
    let server = |version| {
        let mut config = certs.server(&[version], ClientAuth::None);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    };
    let client = |version| {
        let mut config = certs.client(&[version]);
        config.alpn_protocols = vec![b"h3".to_vec()];
        config
    };
    for version in Version::ALL {
        all_are_told(ALERT, server(version), || client(version)).await;
    }
    for version in Version::ALL {
        most_are_not_told(ALERT, server(version), || client(version)).await;
    }
}

/// CONFORMANCE 18, RFC 8446 §4.2.1: no common version, whichever side has the older one.
pub(crate) async fn no_common_version_is_told_to_a_client_that_keeps_sending() {
    const ALERT: &str = "ProtocolVersion";
    const PAIRS: [[Version; 2]; 2] = [[Version::Tls13, Version::Tls12], [Version::Tls12, Version::Tls13]];
    let certs = Certs::make();
    let server = |version| certs.server(&[version], ClientAuth::None);
    for [of_server, of_client] in PAIRS {
        all_are_told(ALERT, server(of_server), || certs.client(&[of_client])).await;
    }
    for [of_server, of_client] in PAIRS {
        most_are_not_told(ALERT, server(of_server), || certs.client(&[of_client])).await;
    }
}

/// CONFORMANCE 18, RFC 8446 §6.2: a client whose handshake succeeded sends a record that cannot be
/// decrypted.
pub(crate) async fn a_fatal_alert_is_not_followed_by_close_notify() {
    let certs = Certs::make();
    for version in Version::ALL {
        for is_layered in [true, false] {
            let (server, mut client) =
                connect(certs.server(&[version], ClientAuth::None), certs.client(&[version])).await;
            let port = client.get_ref().0.peer_addr().expect("connected").port();
            let capture = Capture::start(port).expect("captures");
            // An application data record, by its header, whose contents cannot be decrypted; and more behind
            // it.
            let record = [&[23, 3, 3, 0, 40][..], &[0; 40], &vec![0; 100_000]].concat();
            client.get_mut().0.write_all(&record).await.expect("loopback");
            if !is_layered {
                is_refused(server).await;
                assert!(capture.wait_until(|seen| seen.resets(Side::Server) > 0), "without the layer");
                continue;
            }
            let (linger, mut reports) = reporting(ClosePolicy::default());
            is_refused(linger.wrap(server)).await;
            let error = client.read(&mut [0; 1]).await.expect_err("an alert");
            assert_eq!(End::of(&error), End::Alert("BadRecordMac".into()), "{version:?}");
            drop(client);
            let report = reports.recv().await.expect("reported");
            assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false }, "{version:?}: {report}");
            assert!(!report.sent_close_notify && report.failure.is_some(), "{version:?}: {report}");
            let transcript = capture.finish().expect("captures");
            // The capture has not seen the handshake: in TLS 1.3, an alert is known by its length.
            let lines = transcript.lines();
            let server: Vec<_> = lines.iter().filter(|line| line.starts_with("server:")).collect();
            assert_eq!(server, ["server: alert", "server: FIN"], "{version:?}: {transcript}");
            assert_eq!(transcript.resets(Side::Server), 0, "{version:?}: {transcript}");
        }
    }
}

/// A service that reads and, because that fails, drops its connection.
async fn is_refused(mut server: impl AsyncRead + Unpin) {
    server.read(&mut [0; 1]).await.expect_err("it cannot be decrypted");
}

/// CONFORMANCE 25: the client sends nothing.
pub(crate) async fn a_handshake_that_takes_too_long_ends() {
    let certs = Certs::make();
    let acceptor = TlsAcceptor::from(Arc::new(certs.server(&Version::ALL, ClientAuth::None)));
    let limit = Duration::from_millis(100);
    let tls = LingerLayer::default().tls(acceptor);
    let nonsense = tls.clone().with_handshake_timeout(Duration::ZERO).expect_err("it could never succeed");
    assert!(nonsense.to_string().starts_with("handshake_timeout is zero"), "{nonsense}");
    let tls = tls.with_handshake_timeout(limit).expect("makes sense");
    let listener = listen().await;
    let mut client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("loopback");
    let (server, _) = listener.accept().await.expect("loopback");
    let mut connections = tls.layer(Http::new(app()));
    match connections.call(server).await {
        Err(TlsAcceptError::Handshake(HandshakeError::TimedOut(after))) => assert_eq!(after, limit),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.read(&mut [0; 1]).await.expect("a FIN"), 0);
}

/// Clients whose handshake failed can have shorter bounds than others.
pub(crate) async fn a_failed_handshake_can_have_a_policy_of_its_own() {
    let certs = Certs::make();
    let acceptor = TlsAcceptor::from(Arc::new(certs.server(&[Version::Tls13], ClientAuth::None)));
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let short = ClosePolicy::builder().without_drain().build().expect("makes sense");
    let tls = linger.tls(acceptor).with_failure_policy(short);
    let server = accept_loop(listen().await, tls.layer(Http::new(app())));
    let client = Client::tls(server.address, None, Arc::new(certs.client(&[Version::Tls12]))).await;
    assert_eq!(End::of(&client.expect_err("rejected")), End::Alert("ProtocolVersion".into()));
    assert_eq!(reports.recv().await.expect("reported").outcome, Outcome::Undrained);
}
