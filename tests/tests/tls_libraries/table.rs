//! The table. After an intended change: `UPDATE=1 cargo test --workspace --all-features --test
//! tls_libraries -- --test-threads 1`, because all rows are in one file.

use openssl::ssl::SslAcceptor;
use tower_linger_tests::certs::{Certs, ClientAuth, Version};

use super::library::Library;
use super::{end, handshake, session};

pub(crate) async fn rustls_tls12() {
    has_its_row::<tokio_rustls::TlsAcceptor>(Version::Tls12).await;
}

pub(crate) async fn rustls_tls13() {
    has_its_row::<tokio_rustls::TlsAcceptor>(Version::Tls13).await;
}

pub(crate) async fn openssl_tls12() {
    has_its_row::<SslAcceptor>(Version::Tls12).await;
}

pub(crate) async fn openssl_tls13() {
    has_its_row::<SslAcceptor>(Version::Tls13).await;
}

pub(crate) async fn native_tls_tls12() {
    has_its_row::<tokio_native_tls::TlsAcceptor>(Version::Tls12).await;
}

pub(crate) async fn native_tls_tls13() {
    has_its_row::<tokio_native_tls::TlsAcceptor>(Version::Tls13).await;
}

pub(crate) async fn s2n_tls12() {
    has_its_row::<s2n_tls_tokio::TlsAcceptor>(Version::Tls12).await;
}

pub(crate) async fn s2n_tls13() {
    has_its_row::<s2n_tls_tokio::TlsAcceptor>(Version::Tls13).await;
}

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/stacks.md");

/// The row of a library and a version is in docs/stacks.md as its connections end now.
async fn has_its_row<L: Library>(version: Version) {
    let certs = Certs::make();
    let begin = format!("| {}, {} |", L::NAME, name(version));
    let cells = match L::acceptor(&certs, version, ClientAuth::None) {
        Some(_) => cells::<L>(&certs, version).await,
        None => std::array::from_fn(|_| "–".to_owned()),
    };
    let row = format!("{begin} {} |", cells.join(" | "));
    println!("{row}");
    let document = std::fs::read_to_string(DOCUMENT).expect("docs/stacks.md");
    let shown = document.lines().find(|line| line.starts_with(&begin)).expect("a row for each version");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(DOCUMENT, document.replace(shown, &row)).expect("docs/stacks.md");
    } else {
        assert_eq!(shown, row, "run with UPDATE=1 if this is meant");
    }
}

fn name(version: Version) -> &'static str {
    match version {
        Version::Tls12 => "TLS 1.2",
        Version::Tls13 => "TLS 1.3",
    }
}

/// In the order of the table's columns.
async fn cells<L: Library>(certs: &Certs, version: Version) -> [String; 10] {
    [
        end::delivery::<L>(certs, version).await,
        end::last_segments::<L>(certs, version).await,
        session::drain::<L>(certs, version).await,
        session::awaited::<L>(certs, version).await,
        session::truncated::<L>(certs, version).await,
        session::refused_record::<L>(certs, version).await,
        handshake::no_common_version::<L>(certs, version).await,
        handshake::no_certificate::<L>(certs, version).await,
        handshake::clients_alert::<L>(certs, version).await,
        session::without_runtime::<L>(certs, version).await,
    ]
}
