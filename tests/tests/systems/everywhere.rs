//! What every system should do.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::put;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{Signal, raise};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower_linger::{ClosePolicy, LingerLayer, Outcome, Shutdown, Tracker, close};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, Manner, head};
use tower_linger_tests::server::{Engine, reporting};
use tower_linger_tests::until::until;

use super::tcp::{impatient, pair};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A refusal reaches each client that writes its whole upload first. Without the layer it does not.
pub(crate) async fn delivers() -> bool {
    const TRIES: usize = 10;
    const UPLOAD: usize = 16 << 20;
    let delivered = async |linger: Option<&LingerLayer>| {
        let app = Router::new().route("/", put(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large")));
        let server = Engine::Hyper.start(linger, app).await;
        let mut delivered = 0;
        for _ in 0..TRIES {
            let client = Client::plain(server.address, None).await.expect("loopback");
            let request = head("PUT", "/", UPLOAD);
            let seen = client.exchange(&request, UPLOAD, Manner::StopsAtFailedWrite).await;
            delivered += usize::from(seen.status == Some(413) && seen.complete && seen.end == End::Fin);
        }
        delivered
    };
    assert!(delivered(None).await < TRIES, "without the layer all arrive, so this shows nothing");
    delivered(Some(&LingerLayer::default())).await == TRIES
}

/// The client sees our FIN, and what it sends afterwards is read and not answered by a reset.
pub(crate) async fn half_closes() -> bool {
    let (mut client, server) = pair().await;
    let closing = tokio::spawn(close(server, &ClosePolicy::default()));
    let end = client.read(&mut [0; 1]).await;
    for _ in 0..10 {
        if client.write_all(&[0; 100]).await.is_err() {
            return false;
        }
    }
    let ended = client.shutdown().await;
    let report = closing.await.expect("no panic");
    matches!(end, Ok(0)) && ended.is_ok() && report.bytes_drained == 1_000
}

pub(crate) async fn aborts() -> bool {
    let (mut client, server) = pair().await;
    let mut io = LingerLayer::default().wrap(server);
    io.write_all(b"half").await.expect("loopback");
    io.abort();
    let mut received = Vec::new();
    let end = timeout(PATIENCE, client.read_to_end(&mut received)).await.expect("it ends");
    received == b"half" && end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

/// By bytes, exactly, and by the client's silence.
pub(crate) async fn bounds_the_drain() -> bool {
    const LIMIT: u64 = 1 << 20;
    let policy = ClosePolicy::builder().drain_limit_bytes(LIMIT).build().expect("makes sense");
    let (mut client, server) = pair().await;
    let closing = tokio::spawn(close(server, &policy));
    // Fails when the server stops reading.
    while client.write_all(&vec![0; 64 << 10]).await.is_ok() {}
    let flooded = closing.await.expect("no panic");
    let (client, server) = pair().await;
    let silent = close(server, &impatient()).await;
    drop(client);
    (flooded.outcome, flooded.bytes_drained) == (Outcome::DrainLimit, LIMIT)
        && silent.outcome == Outcome::DrainIdle
}

/// One connection that its client has closed, one that is closing and one that is served at the deadline.
pub(crate) async fn counts() -> bool {
    let linger = LingerLayer::default();
    let tracker = linger.tracker().clone();
    let shutdown = Shutdown::new(tracker.clone(), Duration::from_millis(500));
    let (client, server) = pair().await;
    drop((client, linger.wrap(server)));
    until("the first is over", || tracker.is_empty()).await;
    let (_closing, server) = pair().await;
    drop(linger.wrap(server));
    let (_served, server) = pair().await;
    let held = linger.wrap(server);
    let serve = async {
        let _held = held;
        std::future::pending::<()>().await;
    };
    shutdown.handle().request();
    let (_, summary) = shutdown.finish(serve).await;
    summary.total() == 3 && summary.count(Outcome::ShutdownCut) == 2
}

/// The client's read ends cleanly, which it does only behind a `close_notify`.
pub(crate) async fn says_close_notify() -> bool {
    let certs = Certs::make();
    let mut ends_cleanly = true;
    for version in Version::ALL {
        let acceptor = TlsAcceptor::from(Arc::new(certs.server(&[version], ClientAuth::None)));
        let connector = TlsConnector::from(Arc::new(certs.client(&[version])));
        let (client, server) = pair().await;
        let name = ServerName::try_from("localhost").expect("a name");
        let (client, server) = tokio::join!(connector.connect(name, client), acceptor.accept(server));
        let (mut client, mut server) = (client.expect("loopback"), server.expect("loopback"));
        server.write_all(b"answer").await.expect("loopback");
        let closing = tokio::spawn(close(server, &ClosePolicy::default()));
        let mut received = Vec::new();
        let end = client.read_to_end(&mut received).await;
        drop(client);
        let report = closing.await.expect("no panic");
        ends_cleanly &= end.is_ok() && received == b"answer" && report.sent_close_notify;
    }
    ends_cleanly
}

/// This process is the test's own: see `linger_wire::netns`.
pub(crate) async fn hears_signals() -> bool {
    let shutdown = Shutdown::new(Tracker::new(), PATIENCE).on_signals().expect("a handler");
    raise(Signal::SIGTERM).expect("we may");
    timeout(PATIENCE, shutdown.requested()).await.is_ok()
}

/// Half as many closes linger as the process may have descriptors; the others are evicted.
pub(crate) async fn follows_descriptors() -> bool {
    const DESCRIPTORS: rlim_t = 32;
    const CONNECTIONS: usize = 20;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("it has one");
    let limit = |soft| setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("it is below the hard one");
    limit(DESCRIPTORS);
    let tracker = Tracker::new();
    limit(soft);
    let (linger, mut reports) = reporting(impatient());
    let linger = linger.with_tracker(tracker);
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let (client, server) = pair().await;
        drop(linger.wrap(server));
        clients.push(client);
    }
    let mut evicted = 0;
    for _ in 0..CONNECTIONS {
        let report = reports.recv().await.expect("reported");
        evicted += usize::from(report.outcome == Outcome::Evicted);
    }
    evicted == CONNECTIONS - 16
}
