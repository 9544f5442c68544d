//! How GnuTLS and OpenSSL see the end of a connection.

use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::TlsAcceptor;
use tower::Layer;
use tower_linger::axum::TlsLingerListener;
use tower_linger::{LingerLayer, RequestLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::{BareTls, Http, Running, accept_loop, listen, serve};

use super::programs::{file, gnutls, openssl, python, run};
use super::servers::app;
use super::{TRIES, UPLOAD_BYTES};

/// CONFORMANCE 17, RFC 8446 §6.1: both libraries complain when a connection ends without `close_notify`, as
/// the bare server's idle connections do.
#[tokio::test(flavor = "multi_thread")]
async fn gnutls_and_openssl_see_the_close_notify() {
    let certs = Certs::make();
    let authority = file(certs.authority_pem());
    for version in Version::ALL {
        let acceptor = TlsAcceptor::from(Arc::new(certs.server(&[version], ClientAuth::None)));
        let idle = |app| {
            Http::new(app).configured(|builder| {
                let timer = hyper_util::rt::TokioTimer::new();
                builder.http1().timer(timer).header_read_timeout(Duration::from_millis(200));
            })
        };
        let linger = LingerLayer::default();
        let tls = linger.tls(acceptor.clone());
        let layered = accept_loop(listen().await, tls.layer(idle(app().layer(RequestLayer))));
        let bare = accept_loop(listen().await, BareTls::new(acceptor, idle(app())));
        for (server, clean) in [(&layered, true), (&bare, false)] {
            let said = gnutls(server.address, &authority).await;
            let complains = said.contains("The TLS connection was non-properly terminated");
            assert_eq!(complains, !clean, "{version:?}: gnutls-cli said: {said}");
            assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
            let said = openssl(server.address, &authority).await;
            let complains = said.contains("unexpected eof while reading");
            assert_eq!(complains, !clean, "{version:?}: openssl said: {said}");
            assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
        }
    }
}

/// CONFORMANCE 18: the alert is the server's last message, and the client, which believes that its
/// handshake is done, keeps sending.
#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_without_its_certificate_reads_why_it_is_rejected() {
    let certs = Certs::make();
    let authority = file(certs.authority_pem());
    let acceptor = TlsAcceptor::from(Arc::new(certs.server(&[Version::Tls13], ClientAuth::Required)));
    let linger = LingerLayer::default();
    let tls = linger.tls(acceptor.clone());
    let layered = serve(TlsLingerListener::new(listen().await, tls), app());
    let bare = accept_loop(listen().await, BareTls::new(acceptor, Http::new(app())));
    let script = include_str!("without_certificate.py");
    let told = async |server: &Running, clients: usize, bytes: usize| {
        let (host, port) = (server.address.ip().to_string(), server.address.port().to_string());
        let (clients, size) = (clients.to_string(), bytes.to_string());
        let authority = authority.path().display().to_string();
        let told = run(&python().await, &["-c", script, &host, &authority, &port, &clients, &size], "").await;
        told.trim().parse::<usize>().expect("a count")
    };
    assert_eq!(told(&layered, 100, 1 << 20).await, 100);
    // More than the buffers of two sockets hold, so the client still sends when the server has closed.
    assert_eq!(told(&bare, TRIES, UPLOAD_BYTES).await, 0, "without the layer");
}
