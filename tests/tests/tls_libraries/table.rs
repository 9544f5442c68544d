//! The table. After an intended change: `UPDATE=1 cargo test --workspace --all-features --test
//! tls_libraries`.

use openssl::ssl::SslAcceptor;
use tower_linger_tests::certs::{Certs, ClientAuth, Version};

use super::library::Library;
use super::{end, handshake, session};

pub(crate) async fn rustls() {
    has_its_rows::<tokio_rustls::TlsAcceptor>().await;
}

pub(crate) async fn openssl() {
    has_its_rows::<SslAcceptor>().await;
}

pub(crate) async fn native_tls() {
    has_its_rows::<tokio_native_tls::TlsAcceptor>().await;
}

pub(crate) async fn s2n() {
    has_its_rows::<s2n_tls_tokio::TlsAcceptor>().await;
}

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/stacks.md");

/// Both rows of a library are in docs/stacks.md as its connections end now.
async fn has_its_rows<L: Library>() {
    let certs = Certs::make();
    let mut wrong = Vec::new();
    for version in Version::ALL {
        let begin = format!("| {}, {} |", L::NAME, name(version));
        let cells = match L::acceptor(&certs, version, ClientAuth::None) {
            Some(_) => cells::<L>(&certs, version).await,
            None => std::array::from_fn(|_| "–".to_owned()),
        };
        let row = format!("{begin} {} |", cells.join(" | "));
        println!("{row}");
        let document = std::fs::read_to_string(DOCUMENT).expect("docs/stacks.md");
        let shown = document.lines().find(|line| line.starts_with(&begin)).expect("a row for each version");
        if shown == row {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(DOCUMENT, document.replace(shown, &row)).expect("docs/stacks.md");
        } else {
            wrong.push(format!("shown: {shown}\n  now: {row}"));
        }
    }
    assert!(wrong.is_empty(), "run with UPDATE=1 if this is meant:\n{}", wrong.join("\n"));
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
