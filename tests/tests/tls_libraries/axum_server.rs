//! axum-server with OpenSSL: its own acceptor, and the one of this crate.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum_server::tls_openssl::{OpenSSLAcceptor, OpenSSLConfig};
use openssl::ssl::SslAcceptor;
use tower_linger::LingerLayer;
use tower_linger::axum_server::TlsLingerAcceptor;
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, Manner, head};

use super::library::Library as _;
use super::site::{TRIES, UPLOAD_BYTES, app};

pub(crate) async fn early_answers_and_alerts_arrive_over_its_openssl() {
    let certs = Certs::make();
    let version = Version::Tls13;
    let acceptor = SslAcceptor::acceptor(&certs, version, ClientAuth::Required).expect("OpenSSL can do it");
    let linger = LingerLayer::default();
    let (layered, listener) = bind();
    let hook = TlsLingerAcceptor::new(linger.clone().tls(acceptor.clone()));
    let server = axum_server::from_tcp(listener).expect("a listener").acceptor(hook);
    tokio::spawn(server.serve(app().into_make_service()));
    let (bare, listener) = bind();
    let own = OpenSSLAcceptor::new(OpenSSLConfig::from_acceptor(Arc::new(acceptor)));
    let server = axum_server::from_tcp(listener).expect("a listener").acceptor(own);
    tokio::spawn(server.serve(app().into_make_service()));

    for (address, is_layered) in [(layered, true), (bare, false)] {
        let (mut answered, mut told) = (0, 0);
        for _ in 0..TRIES / 2 {
            let with = Arc::new(certs.client_with_certificate(&[version]));
            let seen = upload(address, with).await;
            answered += usize::from(seen.0 == Some(413) && seen.1 == End::CloseNotify);
            let without = Arc::new(certs.client(&[version]));
            told += usize::from(upload(address, without).await.1 == End::Alert("CertificateRequired".into()));
        }
        let seen = format!("layered: {is_layered}: {answered} answered, {told} told");
        assert_eq!([answered, told] == [TRIES / 2; 2], is_layered, "{seen}");
    }
    linger.tracker().wait().await;
    assert_eq!(linger.tracker().summary().total(), TRIES as u64);
}

fn bind() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    (listener.local_addr().expect("bound"), listener)
}

async fn upload(server: SocketAddr, tls: Arc<tokio_rustls::rustls::ClientConfig>) -> (Option<u16>, End) {
    let client = Client::tls(server, None, tls).await.expect("the client's part of the handshake");
    let request = head("PUT", "/413", UPLOAD_BYTES);
    let seen = client.exchange(&request, UPLOAD_BYTES, Manner::StopsAtFailedWrite).await;
    (seen.status, seen.end)
}
