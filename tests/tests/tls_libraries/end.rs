//! How a connection over HTTP ends: what arrives, and which packets are on the wire.

use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tower_linger::{ClosePolicy, LingerLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, Manner, head, receive};
use tower_linger_tests::server::{BareTls, Engine, Http, Running, accept_loop, listen, reporting};
use tower_linger_tests::wire::{Capture, Side};

use super::library::Library;
use super::site::{LARGE_BYTES, TRIES, UPLOAD_BYTES, app, last_request};

fn acceptor<L: Library>(certs: &Certs, version: Version) -> L {
    L::acceptor(certs, version, ClientAuth::None).expect("it needs no certificate of the client")
}

/// How many of the clients, which upload and then read, get the early response, behind axum and behind
/// hyper-util. Without the layer some do not. A large response to a client that keeps sending arrives, too.
pub(super) async fn delivery<L: Library>(certs: &Certs, version: Version) -> String {
    let delivered = async |server: &Running| {
        let mut delivered = 0;
        for _ in 0..TRIES / 2 {
            let tls = Arc::new(certs.client(&[version]));
            let client = Client::tls(server.address, Some(64 << 10), tls).await.expect("loopback");
            let request = head("PUT", "/413", UPLOAD_BYTES);
            let seen = client.exchange(&request, UPLOAD_BYTES, Manner::StopsAtFailedWrite).await;
            delivered += usize::from(seen.complete && seen.end == End::CloseNotify);
        }
        delivered
    };
    let mut layered = 0;
    for engine in Engine::ALL {
        let linger = LingerLayer::default();
        let tls = Some(acceptor::<L>(certs, version));
        let server = engine.layered(listen().await, &linger, tls, app());
        layered += delivered(&server).await;
        let tls = Arc::new(certs.client(&[version]));
        let client = Client::tls(server.address, None, tls).await.expect("loopback");
        let request = head("PUT", "/large", UPLOAD_BYTES);
        let seen = client.exchange(&request, UPLOAD_BYTES, Manner::ReadsWhileWriting).await;
        assert_eq!((seen.body, seen.end), (LARGE_BYTES, End::CloseNotify), "{}, {version:?}", L::NAME);
    }
    let bare = accept_loop(listen().await, BareTls::new(acceptor::<L>(certs, version), Http::new(app())));
    let bare = delivered(&bare).await;
    assert!(bare < TRIES / 2, "{}, {version:?}: all {bare} arrive without the layer, too", L::NAME);
    format!("{layered} of {TRIES}")
}

/// What the server sends after its response.
pub(super) async fn last_segments<L: Library>(certs: &Certs, version: Version) -> String {
    let mut seen = Vec::new();
    for engine in Engine::ALL {
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let tls = Some(acceptor::<L>(certs, version));
        let server = engine.layered(listen().await, &linger, tls, app());
        let capture = Capture::start(server.address.port()).expect("captures");
        let tls = Some(Arc::new(certs.client(&[version])));
        let mut client = Client::connect(server.address, None, tls).await.expect("loopback");
        client.write_all(&last_request("/small")).await.expect("loopback");
        let end = receive(&mut client, End::CloseNotify).await;
        assert!(end.complete, "{}, {version:?}: {end:?}", L::NAME);
        drop(client);
        let report = reports.recv().await.expect("reported");
        assert_eq!(report.sent_close_notify, end.end == End::CloseNotify, "{report}");
        let transcript = capture.finish().expect("captures");
        assert_eq!(transcript.resets(Side::Server), 0, "{}, {version:?}: {transcript}", L::NAME);
        let lines = transcript.clone().close_part().lines();
        let server = lines.iter().filter_map(|line| line.strip_prefix("server: "));
        let after: Vec<_> = server.filter(|line| !line.starts_with("data")).map(str::to_owned).collect();
        seen.push(after.join(", "));
    }
    seen.dedup();
    seen.join(" or ")
}
