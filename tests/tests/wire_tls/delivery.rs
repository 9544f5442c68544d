//! The last response reaches the client over TLS, too.

use std::sync::Arc;

use tower_linger::LingerLayer;
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::library_client;
use tower_linger_tests::peer::{Client, End, Manner, Seen, head};
use tower_linger_tests::server::{Engine, Running};
use tower_linger_tests::wire::ResetWatch;

use super::common::{LARGE_BYTES, MESSAGE, TRIES, UPLOAD_BYTES, bare, layered};

/// CONFORMANCE 6, RFC 9112 §9.6.
pub(crate) async fn an_early_413_reaches_every_client_that_uploads() {
    let certs = Certs::make();
    for version in Version::ALL {
        let config = || certs.server(&[version], ClientAuth::None);
        for engine in Engine::ALL {
            let server = layered(engine, &LingerLayer::default(), config()).await;
            for path in ["/413", "/413-midway"] {
                for manner in [Manner::StopsAtFailedWrite, Manner::ReadsWhileWriting] {
                    let seen = exchange(&server, &certs, version, path, UPLOAD_BYTES, manner).await;
                    assert_eq!(
                        (seen.status, seen.body, seen.end),
                        (Some(413), MESSAGE.len(), End::CloseNotify),
                        "{path}, {manner:?}"
                    );
                }
            }
            let body = vec![0; UPLOAD_BYTES].into();
            let seen =
                library_client::upload(server.address, "/413", body, Some(certs.client(&[version]))).await;
            assert_eq!((seen.status, seen.body), (Some(413), MESSAGE.len()), "reqwest: {seen:?}");
        }
        let server = bare(config()).await;
        for path in ["/413", "/413-midway"] {
            let manner = Manner::StopsAtFailedWrite;
            let seen = exchange(&server, &certs, version, path, UPLOAD_BYTES, manner).await;
            assert_eq!((seen.status, seen.end), (None, End::Reset), "{path}, without the layer");
        }
    }
}

/// CONFORMANCE 8, RFC 9112 §9.6.
pub(crate) async fn a_large_response_reaches_a_client_that_keeps_sending() {
    let certs = Certs::make();
    for version in Version::ALL {
        let config = || certs.server(&[version], ClientAuth::None);
        for engine in Engine::ALL {
            let server = layered(engine, &LingerLayer::default(), config()).await;
            let resets = ResetWatch::start(server.address.port()).expect("captures");
            let seen =
                exchange(&server, &certs, version, "/large", UPLOAD_BYTES, Manner::ReadsWhileWriting).await;
            assert_eq!((seen.body, seen.end), (LARGE_BYTES, End::CloseNotify), "{engine:?}");
            resets.assert_none((version, engine));
        }
        let server = bare(config()).await;
        let mut lost = false;
        for _ in 0..TRIES {
            let seen =
                exchange(&server, &certs, version, "/large", UPLOAD_BYTES, Manner::ReadsWhileWriting).await;
            lost |= !seen.complete;
            if lost {
                break;
            }
        }
        assert!(lost, "without the layer, {TRIES} times");
    }
}

async fn exchange(
    server: &Running,
    certs: &Certs,
    version: Version,
    path: &str,
    body_bytes: usize,
    manner: Manner,
) -> Seen {
    let tls = Some(Arc::new(certs.client(&[version])));
    let client = Client::connect(server.address, Some(64 << 10), tls).await.expect("loopback");
    client.exchange(&head("PUT", path, body_bytes), body_bytes, manner).await
}
