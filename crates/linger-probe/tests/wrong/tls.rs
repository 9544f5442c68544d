//! How TLS connections end: `close_notify`, its answer, a trickle of records, and a refused version.

use std::sync::Arc;
use std::time::Duration;

use linger_probe::model::{End, Severity, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::Running;

use super::{head, raw, row};

/// A server that answers over TLS, sends `close_notify`, and then runs `then`.
async fn notifies<F: Future<Output = std::io::Result<()>> + Send + 'static>(
    certs: &Certs,
    response: &'static [u8],
    then: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + 'static,
) -> Running {
    let acceptor = TlsAcceptor::from(Arc::new(certs.server(&[Version::Tls13], ClientAuth::None)));
    raw(move |io| {
        let (acceptor, then) = (acceptor.clone(), then.clone());
        async move {
            let mut io = acceptor.accept(io).await?;
            if head(&mut io).await.is_none() {
                return Ok(());
            }
            io.write_all(response).await?;
            io.get_mut().1.send_close_notify();
            io.flush().await?;
            then(io).await
        }
    })
    .await
}

const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
/// A body that only the connection's end delimits.
const TO_END: &[u8] = b"HTTP/1.0 200 OK\r\n\r\nok\n";

/// Waits for the client's `close_notify`, then ends the connection, as two calls of `SSL_shutdown` do.
async fn awaits_answer(mut io: TlsStream<TcpStream>) -> std::io::Result<()> {
    while io.read(&mut [0; 64]).await? > 0 {}
    io.get_mut().0.shutdown().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_waits_for_our_close_notify_gets_it() {
    let certs = Certs::make();
    for response in [WHOLE, TO_END] {
        let server = notifies(&certs, response, awaits_answer).await;
        for name in ["close.requested", "close.half_closed", "tls.close_notify", "tls.answered"] {
            let begun = std::time::Instant::now();
            let found = row(&server, Some(&certs), name).await;
            assert_eq!(found.verdict, Verdict::Pass, "{found:#?}");
            assert!(found.attempts.iter().all(|attempt| attempt.end == End::Fin), "{found:#?}");
            // None of the three tries waited for the timeout of 10 s.
            assert!(begun.elapsed() < Duration::from_secs(10), "{name}");
        }
    }
}

/// Without `close_notify` such a body could be truncated (RFC 9112 §9.8).
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_without_close_notify_is_not_whole() {
    let certs = Certs::make();
    let acceptor = TlsAcceptor::from(Arc::new(certs.server(&[Version::Tls13], ClientAuth::None)));
    let server = raw(move |io| {
        let acceptor = acceptor.clone();
        async move {
            let mut io = acceptor.accept(io).await?;
            if head(&mut io).await.is_some() {
                io.write_all(TO_END).await?;
                io.flush().await?;
                io.get_mut().0.shutdown().await?;
            }
            Ok(())
        }
    })
    .await;
    let found = row(&server, Some(&certs), "close.requested").await;
    // The response came, but whether it is complete cannot be known.
    assert_eq!((found.verdict, found.severity), (Verdict::Fail, Severity::BreaksProtocol), "{found:#?}");
    assert!(found.attempts.iter().all(|attempt| attempt.end == End::Fin && !attempt.complete), "{found:#?}");
}

/// The server reads records for as long as they come, and would end at anything else.
#[tokio::test(flavor = "multi_thread")]
async fn a_trickle_of_records_holds_a_server_that_reads_them() {
    let certs = Certs::make();
    let holds = notifies(&certs, WHOLE, async |mut io: TlsStream<TcpStream>| {
        while io.read(&mut [0; 64]).await? > 0 {}
        Ok(())
    })
    .await;
    let found = row(&holds, Some(&certs), "release.trickle").await;
    assert_eq!(found.verdict, Verdict::Fail, "{found:#?}");
    let bounded = notifies(&certs, WHOLE, async |mut io: TlsStream<TcpStream>| {
        io.get_mut().0.shutdown().await?;
        let all = async { while io.read(&mut [0; 64]).await.is_ok_and(|bytes| bytes > 0) {} };
        let _ = tokio::time::timeout(Duration::from_secs(1), all).await;
        Ok(())
    })
    .await;
    let found = row(&bounded, Some(&certs), "release.trickle").await;
    assert_eq!(found.verdict, Verdict::Pass, "{found:#?}");
}

/// The server answers a hello of TLS 1.1 with a `ServerHello`, an alert, or nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_version_is_refused_by_an_alert_or_is_spoken() {
    let server = |answer: &'static [u8]| {
        raw(move |mut io| async move {
            io.read_u8().await?;
            io.write_all(answer).await?;
            super::end(&mut io).await
        })
    };
    let certs = Certs::make();
    let cases: [(&[u8], _); 3] = [
        (&[22, 3, 2, 0, 2, 2, 0], Verdict::NotApplicable),
        (&[21, 3, 2, 0, 2, 2, 70], Verdict::Pass),
        (&[], Verdict::Fail),
    ];
    for (answer, verdict) in cases {
        let found = row(&server(answer).await, Some(&certs), "alert.version").await;
        assert_eq!(found.verdict, verdict, "{found:#?}");
    }
}
