//! Our `close_notify` and the peer's.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::rustls::HandshakeKind;
use tower_linger::{ClosePolicy, LingerLayer, Outcome, close};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, receive};
use tower_linger_tests::server::{Engine, reporting};
use tower_linger_tests::wire::{Capture, ResetWatch, Side};

use super::common::{answer_close_notify, bare, connect, dial, last_request, layered};

/// CONFORMANCE 1 and 17, RFC 8446 §6.1, RFC 9112 §9.8: the response, then our alert and FIN in one segment,
/// and only then the client's FIN.
pub(crate) async fn the_alert_follows_the_response_and_leaves_with_the_fin() {
    let certs = Certs::make();
    for version in Version::ALL {
        for engine in Engine::ALL {
            let (linger, mut reports) = reporting(ClosePolicy::default());
            let server = layered(engine, &linger, certs.server(&[version], ClientAuth::None)).await;
            let capture = Capture::start(server.address.port()).expect("captures");
            let tls = Some(Arc::new(certs.client(&[version])));
            let mut client = Client::connect(server.address, None, tls).await.expect("loopback");
            client.write_all(&last_request("/small")).await.expect("loopback");
            let seen = receive(&mut client, End::CloseNotify).await;
            // This shows the alert. The transcript below shows the FIN.
            assert!(seen.complete && seen.end == End::CloseNotify, "{seen:?}");
            drop(client);
            let report = reports.recv().await.expect("reported");
            assert!(report.sent_close_notify, "{report}");
            let transcript = capture.finish().expect("captures");
            let (asked, answered) = (transcript.data(Side::Client), transcript.data(Side::Server));
            assert_eq!(
                transcript.clone().close_part().lines(),
                [
                    format!("client: data {asked}"),
                    format!("server: data {answered}"),
                    "server: alert + FIN".to_owned(),
                    "client: FIN".to_owned(),
                ],
                "{version:?}, {engine:?}: {transcript}"
            );
        }
    }
}

/// CONFORMANCE 17, RFC 8446 §6.1: sessions resumed by ticket in TLS 1.3 and by session id in TLS 1.2.
pub(crate) async fn a_resumed_connection_ends_in_close_notify_too() {
    let certs = Certs::make();
    for version in Version::ALL {
        let mut config = certs.server(&[version], ClientAuth::None);
        config.send_tls13_tickets = 2;
        let server = layered(Engine::Hyper, &LingerLayer::default(), config).await;
        let tls = Arc::new(certs.client(&[version]));
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut client = dial(server.address, tls.clone()).await;
            client.write_all(&last_request("/small")).await.expect("loopback");
            let seen = receive(&mut client, End::CloseNotify).await;
            assert_eq!((seen.complete, seen.end), (true, End::CloseNotify), "{version:?}");
            assert_eq!(client.get_ref().1.handshake_kind(), Some(expected), "{version:?}");
        }
    }
}

/// CONFORMANCE 21: the client answers as RFC 8446 §6.1 says. A bare server resets it for that.
pub(crate) async fn a_client_that_answers_close_notify_meets_no_reset() {
    let certs = Certs::make();
    for version in Version::ALL {
        let config = || certs.server(&[version], ClientAuth::None);
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let with = layered(Engine::Hyper, &linger, config()).await;
        let without = bare(config()).await;
        for (server, is_layered) in [(&with, true), (&without, false)] {
            let capture = Capture::start(server.address.port()).expect("captures");
            let mut client = dial(server.address, Arc::new(certs.client(&[version]))).await;
            client.write_all(&last_request("/small")).await.expect("loopback");
            assert_eq!(receive(&mut client, End::CloseNotify).await.end, End::CloseNotify);
            answer_close_notify(&mut client).await;
            if is_layered {
                drop(client);
                let report = reports.recv().await.expect("reported");
                assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false });
                let transcript = capture.finish().expect("captures");
                assert_eq!(transcript.resets(Side::Server), 0, "{version:?}: {transcript}");
            } else {
                assert!(
                    capture.wait_until(|seen| seen.resets(Side::Server) > 0),
                    "{version:?}, without the layer"
                );
            }
        }
    }
}

/// CONFORMANCE 19 and 20: the client may close its side first; what it sends after that is discarded.
pub(crate) async fn what_follows_the_clients_close_notify_is_discarded() {
    let certs = Certs::make();
    for version in Version::ALL {
        let (server, mut client) =
            connect(certs.server(&[version], ClientAuth::None), certs.client(&[version])).await;
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let port = server.get_ref().0.local_addr().expect("connected").port();
        let resets = ResetWatch::start(port).expect("captures");
        let mut server = linger.wrap(server);
        client.get_mut().1.send_close_notify();
        client.flush().await.expect("loopback");
        assert_eq!(server.read(&mut [0; 1]).await.expect("a clean end"), 0);
        client.get_mut().0.write_all(&vec![b'x'; 100_000]).await.expect("loopback");
        server.write_all(b"the pending response").await.expect("the write side is open");
        server.shutdown().await.expect("loopback");
        drop(server);
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.expect("answered by close_notify");
        assert_eq!(received, b"the pending response");
        drop(client);
        let report = reports.recv().await.expect("reported");
        assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: true }, "{version:?}: {report}");
        resets.assert_none(version);
    }
}

/// CONFORMANCE 20: RFC 8446 §6.1 forbids a FIN without `close_notify`, but it is common.
pub(crate) async fn a_fin_without_close_notify_is_a_normal_outcome() {
    let certs = Certs::make();
    for version in Version::ALL {
        for engine_sees_it in [false, true] {
            let (server, client) =
                connect(certs.server(&[version], ClientAuth::None), certs.client(&[version])).await;
            let (linger, mut reports) = reporting(ClosePolicy::default());
            let mut server = linger.wrap(server);
            drop(client.into_inner().0);
            if engine_sees_it {
                server.read(&mut [0; 1]).await.expect_err("cut");
            }
            drop(server);
            let report = reports.recv().await.expect("reported");
            assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false }, "{version:?}: {report}");
            assert_eq!(report.failure, None, "{version:?}: {report}");
        }
    }
}

/// CONFORMANCE 23: `SSL_shutdown() || SSL_shutdown()`.
pub(crate) async fn the_wait_for_the_clients_close_notify_ends_at_it_and_is_bounded() {
    let certs = Certs::make();
    let wait = |limit| {
        let policy = ClosePolicy::builder().await_close_notify(limit, 100_000);
        policy.drain_idle_timeout(Duration::from_secs(2)).build().expect("makes sense")
    };
    for version in Version::ALL {
        let pair =
            async || connect(certs.server(&[version], ClientAuth::None), certs.client(&[version])).await;
        // It comes: that ends the close, although the client keeps its socket open.
        let (server, mut client) = pair().await;
        let closing = tokio::spawn(async move { close(server, &wait(Duration::from_secs(2))).await });
        assert_eq!(client.read(&mut [0; 1]).await.expect("close_notify"), 0);
        client.get_mut().1.send_close_notify();
        client.flush().await.expect("loopback");
        let report = closing.await.expect("no panic");
        assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: true }, "{version:?}: {report}");

        // It does not come: first the wait ends, then the drain below TLS.
        let (server, client) = pair().await;
        let report = close(server, &wait(Duration::from_millis(100))).await;
        assert_eq!(report.outcome, Outcome::DrainIdle, "{version:?}: {report}");
        drop(client);

        // Data comes instead: the session takes it up to the limit, then the drain below TLS does.
        let (server, mut client) = pair().await;
        let closing = tokio::spawn(async move { close(server, &wait(Duration::from_secs(2))).await });
        assert_eq!(client.read(&mut [0; 1]).await.expect("close_notify"), 0);
        for _ in 0..100 {
            client.write_all(&[b'x'; 16 << 10]).await.expect("loopback");
        }
        client.flush().await.expect("loopback");
        drop(client);
        let report = closing.await.expect("no panic");
        assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false }, "{version:?}: {report}");
        // What the session held in its buffers when it was dropped is not counted.
        assert!(report.bytes_drained > 96 * (16 << 10), "{version:?}: {report}");
    }
}

/// What happens to a connection when its runtime goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Served,
    Drained,
    /// Served by a server that does not have the layer.
    Bare,
}

/// CONFORMANCE 38, RFC 8446 §6.1: a connection gets its `close_notify` although its runtime goes away while
/// it is served or drained.
pub(crate) fn a_runtime_shut_down_still_says_close_notify() {
    let certs = Certs::make();
    for version in Version::ALL {
        for stage in [Stage::Served, Stage::Drained, Stage::Bare] {
            let (linger, _reports) = reporting(ClosePolicy::default());
            let serving =
                tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
            let watching =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("bound");
            let config = Arc::new(certs.server(&[version], ClientAuth::None));
            let task = linger.clone();
            let accepting = serving.spawn(async move {
                let (tcp, _) = listener.accept().expect("loopback");
                tcp.set_nonblocking(true).expect("a socket");
                let tcp = tokio::net::TcpStream::from_std(tcp).expect("a runtime");
                let tls = tokio_rustls::TlsAcceptor::from(config).accept(tcp).await.expect("loopback");
                match stage {
                    Stage::Served => drop(tokio::spawn(hold(task.wrap(tls)))),
                    Stage::Drained => drop(task.wrap(tls)),
                    Stage::Bare => drop(tokio::spawn(hold(tls))),
                }
            });
            let capture = Capture::start(address.port()).expect("captures");
            watching.block_on(async {
                let tls = Some(Arc::new(certs.client(&[version])));
                let mut client = Client::connect(address, None, tls).await.expect("loopback");
                client.write_all(&vec![b'x'; 30_000]).await.expect("loopback");
                accepting.await.expect("no panic");
                serving.shutdown_background();
                let end = receive(&mut client, End::CloseNotify).await.end;
                assert_eq!(end == End::CloseNotify, stage != Stage::Bare, "{version:?}, {stage:?}: {end:?}");
            });
            let transcript = capture.finish().expect("captures");
            let reset = transcript.resets(Side::Server) > 0;
            assert_eq!(reset, stage == Stage::Bare, "{version:?}, {stage:?}: {transcript}");
        }
    }
}

/// A service that never ends.
async fn hold<T>(io: T) {
    let _io = io;
    std::future::pending::<()>().await;
}
