//! An app that refuses uploads, served plain and over TLS.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, put};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;
use tower_linger::LingerLayer;
use tower_linger::axum::{LingerListener, TlsLingerListener};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::{Running, listen, midway, serve};

use super::programs::file;

pub(crate) const MESSAGE: &str = "too large, said the handler\n";

pub(crate) fn app() -> Router {
    Router::new()
        .route("/", get(async || "hello\n"))
        .route("/at-once", put(async || (StatusCode::PAYLOAD_TOO_LARGE, MESSAGE)))
        .route(
            "/midway",
            put(async |body| {
                midway(body).await;
                (StatusCode::PAYLOAD_TOO_LARGE, MESSAGE)
            }),
        )
}

/// Servers with the layer: plain, TLS 1.2 and TLS 1.3, and for TLS the authority that their clients trust.
pub(crate) async fn servers(certs: &Certs) -> Vec<(String, Running, Option<NamedTempFile>)> {
    let linger = LingerLayer::default();
    let plain = serve(LingerListener::new(listen().await, linger.clone()), app());
    let mut servers = vec![("plain".to_owned(), plain, None)];
    for version in Version::ALL {
        let acceptor = TlsAcceptor::from(Arc::new(certs.server(&[version], ClientAuth::None)));
        let tls = linger.clone().tls(acceptor);
        let server = serve(TlsLingerListener::new(listen().await, tls), app());
        servers.push((format!("{version:?}"), server, Some(file(certs.authority_pem()))));
    }
    servers
}

pub(crate) fn url(server: &Running, tls: bool, path: &str) -> String {
    format!("{}://{}{path}", if tls { "https" } else { "http" }, server.address)
}
