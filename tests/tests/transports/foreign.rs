//! Streams that this crate does not know, inside `Plain`.

use std::io::ErrorKind;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower_linger::{ClosePolicy, Outcome, Phase, Plain, close};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::scripted::Script;
use tower_linger_tests::server::reporting;

use super::pair;

const PEER_CLOSED: Outcome = Outcome::PeerClosed { close_notify: false };

/// Inside `Plain`, a stream of tokio-rustls stands for one of any TLS library: only its reads and writes are
/// known.
#[tokio::test]
async fn a_foreign_tls_stream_whose_peer_leaves_without_close_notify_has_ended() {
    let certs = Certs::make();
    for version in Version::ALL {
        let acceptor = TlsAcceptor::from(Arc::new(certs.server(&[version], ClientAuth::None)));
        let connector = TlsConnector::from(Arc::new(certs.client(&[version])));
        let (client, server) = pair().await;
        let name = ServerName::try_from("localhost").expect("a name");
        let (client, server) = tokio::join!(connector.connect(name, client), acceptor.accept(server));
        let (mut client, server) = (client.expect("loopback"), server.expect("loopback"));

        let (linger, mut reports) = reporting(ClosePolicy::default());
        let mut io = linger.wrap(Plain(server));
        io.write_all(b"answer").await.expect("loopback");
        drop(io);
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.expect("close_notify");
        assert_eq!(received, b"answer");
        // Its FIN comes without an alert.
        drop(client.into_inner());
        let report = reports.recv().await.expect("reported");
        assert_eq!((report.outcome, report.failure), (PEER_CLOSED, None), "{version:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_an_early_end_of_file_is_the_peers_end() {
    for (kind, outcome) in
        [(ErrorKind::UnexpectedEof, PEER_CLOSED), (ErrorKind::ConnectionReset, Outcome::PeerReset)]
    {
        let (script, io) = Script::new();
        script.fail(Phase::Drain, kind);
        let report = close(io, &ClosePolicy::default()).await;
        assert_eq!((report.outcome, report.ended_in), (outcome, Phase::Drain), "{kind}");
    }
}
