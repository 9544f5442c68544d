//! Connections whose future is dropped.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tower::{Layer, Service};
use tower_linger::{ClosePolicy, CloseReport, HyperErrors, Outcome, RequestLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, receive};
use tower_linger_tests::server::{Http, listen, reporting};

use super::scene::{HALF, PEER_CLOSED, REQUESTS, cut, halves, read_half};

/// A timeout, a limit or an operator drops a connection's future without knowing what the connection is
/// doing.
#[tokio::test]
async fn a_dropped_future_looks_clean_only_where_it_was_idle() {
    for tls in [false, true] {
        for (request, framed) in REQUESTS {
            let mut dropped = Dropped::serve(tls).await;
            dropped.client.write_all(request).await.expect("loopback");
            read_half(&mut dropped.client).await;
            assert_eq!(dropped.end().await, (cut(framed), Outcome::Aborted), "TLS: {tls}, {framed}");
        }
        // The response is whole and the connection is kept alive.
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
    connection: JoinHandle<()>,
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

    /// Drops the future. Returns how the client saw the end, and the reported outcome.
    async fn end(mut self) -> (End, Outcome) {
        self.connection.abort();
        assert!(self.connection.await.expect_err("aborted").is_cancelled());
        let end = receive(&mut self.client, self.clean).await.end;
        drop(self.client);
        (end, self.reports.recv().await.expect("reported").outcome)
    }
}
