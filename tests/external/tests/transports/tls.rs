//! TLS by a library that tower-linger does not know.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openssl::ssl::{self, Ssl, SslAcceptor, SslMethod};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;
use tokio_rustls::client;
use tower::{Layer, Service, service_fn};
use tower_linger::session::{Lent, SessionEnd, lend};
use tower_linger::{ClosePolicy, LingerIo, LingerLayer, Outcome, Plain, Transport, close};
use tower_linger_external::metered::Metered;
use tower_linger_external::tls::{Acceptor, Tls};

use crate::common::{Certificate, VERSIONS, pair, proxied};
use crate::spy::{Seen, Spy};
use crate::{ARRIVED, PEER_CLOSED, SCRATCH, received, send_and_end};

/// Answers a client in the middle of its upload.
async fn refuse<T: Transport>(mut io: LingerIo<T>) -> io::Result<()> {
    io.read_u8().await?;
    io.write_all(b"too large").await?;
    io.shutdown().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_uploads_reads_its_answer_and_the_close_notify() {
    let certificate = Certificate::make();
    for version in VERSIONS {
        let (tcp, server) = pair().await;
        let acceptor = Acceptor(certificate.openssl());
        // Metered, so that a transport of one's own carries another one.
        let serve = service_fn(refuse::<Tls<Lent<Metered<TcpStream>>>>);
        let serving = LingerLayer::default().tls(acceptor).layer(serve).call(Metered::new(server));
        let uploading = async {
            let mut client = certificate.connect(tcp, version, b"").await.expect("loopback");
            client.write_all(&vec![b'x'; 8 << 20]).await.expect("all of it is read");
            received(&mut client).await
        };
        let (served, seen) = tokio::join!(serving, uploading);
        served.expect("it is answered");
        assert_eq!(seen, (b"too large".to_vec(), false), "{version:?}");
    }
}

#[tokio::test]
async fn a_failed_handshake_delivers_its_alert() {
    let certificate = Certificate::make();
    let acceptor = SslAcceptor::mozilla_modern_v5(SslMethod::tls_server()).expect("OpenSSL");
    let acceptor = Acceptor(acceptor.build());
    let (tcp, server) = pair().await;
    let serve = service_fn(refuse::<Tls<Lent<TcpStream>>>);
    let serving = LingerLayer::default().tls(acceptor).layer(serve).call(server);
    let (served, connected) = tokio::join!(serving, certificate.connect(tcp, VERSIONS[0], b""));
    served.expect_err("the server speaks TLS 1.3 only");
    let error = connected.expect_err("the server speaks TLS 1.3 only").to_string();
    assert!(error.contains("fatal alert: ProtocolVersion"), "{error}");
}

/// `Below` reads the socket, so that nothing is decrypted that nobody wants, and an abort is a reset.
#[tokio::test]
async fn the_drain_and_the_abort_are_below_the_session() {
    let certificate = Certificate::make();
    for version in VERSIONS {
        for is_plain in [false, true] {
            let (client, server) = pair().await;
            let (mut client, server) = certificate.openssl_over(version, client, server).await;
            // Not TLS: a session that reads it fails.
            client.get_mut().0.write_all(b"what is no record").await.expect("loopback");
            let client = client.into_inner().0;
            let closing = async {
                match is_plain {
                    false => close(Tls::new(server), &ClosePolicy::default()).await,
                    true => close(Plain(server), &ClosePolicy::default()).await,
                }
            };
            let ending = async {
                let mut client = client;
                client.shutdown().await.expect("loopback");
                received(&mut client).await
            };
            let (report, _) = tokio::join!(closing, ending);
            let is_clean = report.outcome == PEER_CLOSED;
            assert_eq!(is_clean, !is_plain, "{version:?}: {report}");

            let (client, server) = pair().await;
            let (mut client, server) = certificate.openssl_over(version, client, server).await;
            let (read, is_reset) = match is_plain {
                false => aborted(&mut client, Tls::new(server)).await,
                true => aborted(&mut client, Plain(server)).await,
            };
            assert_eq!((read.as_slice(), is_reset), (&b"half"[..], !is_plain), "{version:?}");
        }
    }
}

async fn aborted<T: Transport>(client: &mut (impl tokio::io::AsyncRead + Unpin), io: T) -> (Vec<u8>, bool) {
    let mut io = LingerLayer::default().wrap(io);
    io.write_all(b"half").await.expect("loopback");
    io.abort();
    let mut read = Vec::new();
    let ended = client.read_to_end(&mut read).await;
    (read, ended.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset))
}

/// OpenSSL's errors have no kind, so only the transport knows which of them a fatal alert has answered. No
/// close_notify may follow that.
#[tokio::test]
async fn a_wrapper_passes_on_what_an_error_says_of_the_session() {
    let certificate = Certificate::make();
    for version in VERSIONS {
        let (client, server) = pair().await;
        let (mut client, mut server) = certificate.openssl_over(version, client, server).await;
        client.get_mut().0.write_all(b"what is no record of TLS").await.expect("loopback");
        let error = server.read_u8().await.expect_err("refused");
        assert_eq!(Metered::<Tls<TcpStream>>::session_end(&error), Some(SessionEnd::AlertSent), "{error}");
        assert_eq!(Plain::<Tls<TcpStream>>::session_end(&error), None, "{error}");
    }
}

/// The alert was the last message. Only the FIN follows it.
#[tokio::test]
async fn a_wrapper_passes_on_that_the_fin_is_to_be_sent_alone() {
    let certificate = Certificate::make();
    for version in VERSIONS {
        for is_plain in [false, true] {
            let (client, server) = pair().await;
            let (mut client, server) = certificate.openssl_over(version, client, server).await;
            client.get_mut().0.write_all(b"what is no record of TLS").await.expect("loopback");
            let ended = match is_plain {
                false => ends_after_a_fatal_alert(Metered::new(Tls::new(server))).await,
                true => ends_after_a_fatal_alert(Plain(server)).await,
            };
            assert_eq!(ended.is_ok(), !is_plain, "{version:?}: {ended:?}");
        }
    }
}

async fn ends_after_a_fatal_alert(io: impl Transport) -> io::Result<()> {
    let mut io = LingerLayer::default().wrap(io);
    io.read_u8().await.expect_err("refused");
    io.shutdown().await
}

/// A session that stays, because its stream was not lent, is drained through the streams below it.
#[tokio::test]
async fn the_drain_below_a_session_that_stays_copies_nothing() {
    let certificate = Certificate::make();
    for version in VERSIONS {
        let (client, spy, seen) = spied().await;
        drain(certificate.openssl_over(version, client, Metered::new(spy)).await, &seen, (0, ARRIVED)).await;
        let (client, spy, seen) = spied().await;
        let (client, server) = proxied(client, spy).await;
        drain(certificate.openssl_over(version, client, server).await, &seen, (0, ARRIVED)).await;
        let (client, spy, seen) = spied().await;
        drain(certificate.openssl_over(version, client, Plain(spy)).await, &seen, (SCRATCH, 0)).await;
    }
}

async fn spied() -> (TcpStream, Spy, Arc<Seen>) {
    let (client, server) = pair().await;
    let spy = Spy::new(server);
    let seen = spy.seen();
    (client, spy, seen)
}

/// The client sends a lot that is not read. The largest read and the largest discard then.
async fn drain<S: Transport>(
    (client, server): (client::TlsStream<TcpStream>, SslStream<S>),
    seen: &Seen,
    largest: (usize, usize),
) {
    let mut client = client.into_inner().0;
    send_and_end(&mut client).await;
    seen.read.store(0, Ordering::Relaxed);
    let report = close(Tls::new(server), &ClosePolicy::default()).await;
    assert_eq!((report.outcome, report.bytes_drained), (PEER_CLOSED, ARRIVED as u64), "{report}");
    assert_eq!((seen.read.load(Ordering::Relaxed), seen.discarded.load(Ordering::Relaxed)), largest);
}

#[tokio::test]
async fn an_early_release_works_below_a_session_that_stays() {
    let certificate = Certificate::make();
    let policy = ClosePolicy::builder().early_release(3).drain_idle_timeout(Duration::from_millis(500));
    let policy = policy.build().expect("it makes sense");
    for version in VERSIONS {
        let (client, server) = pair().await;
        let (_client, server) = certificate.openssl_over(version, client, Metered::new(server)).await;
        assert_eq!(close(Tls::new(server), &policy).await.outcome, Outcome::Acknowledged, "{version:?}");
        let (client, server) = pair().await;
        let (client, server) = proxied(client, server).await;
        let (_client, server) = certificate.openssl_over(version, client, server).await;
        assert_eq!(close(Tls::new(server), &policy).await.outcome, Outcome::Acknowledged, "{version:?}");
        let (client, server) = pair().await;
        let (_client, server) = certificate.openssl_over(version, client, Plain(server)).await;
        assert_eq!(close(Tls::new(server), &policy).await.outcome, Outcome::DrainIdle, "{version:?}");
    }
}

/// The stream that an acceptor has lent comes back, and the session's memory is free before the drain.
#[tokio::test]
async fn a_lent_stream_is_reclaimed_through_a_wrapper() {
    let certificate = Certificate::make();
    let (client, server) = pair().await;
    let ssl = Ssl::new(certificate.openssl().context()).expect("OpenSSL");
    let handshake = |lent| async {
        let mut stream = SslStream::new(ssl, Metered::new(lent))?;
        Pin::new(&mut stream).accept().await?;
        Ok(Tls::new(stream))
    };
    let accepting = lend(server, handshake, |error: ssl::Error| io::Error::other(error));
    let (_client, accepted) = tokio::join!(certificate.connect(client, VERSIONS[1], b""), accepting);
    let below = accepted.map_err(|(error, _)| error).expect("loopback").into_raw();
    assert_eq!(format!("{below:?}"), "Below { is_alone: true, .. }");
}
