//! The attack of `benches/attack.rs` in a short form: no times are compared, but limits, answers and what is
//! left.

use std::future::IntoFuture;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, put};
use bytes::Bytes;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tower_linger::{ClosePolicy, Limits, LingerLayer, Outcome, Tracker, serve};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::hostile::{Attack, Kind, LARGE, REFUSED, prepare_network};
use tower_linger_tests::peer::{Client, End, Manner};
use tower_linger_tests::sockets::connections;
use tower_linger_tests::until::until;

use super::scene::SERVER;

const HOSTILE: usize = 1_000;
/// Fewer than want to linger: four kinds of six do.
const LINGERING: usize = 300;
const SERVED: usize = 600;
const TLS_PORT: u16 = 8443;
const SECOND: Duration = Duration::from_secs(1);

/// CONFORMANCE 53.
pub(super) async fn under_a_thousand_hostile_connections_limits_hold_and_good_clients_are_answered() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("may be raised to the hard limit");
    prepare_network();
    let certs = Certs::make();
    let tracker = Tracker::with_limit(NonZeroUsize::new(LINGERING).expect("not zero"));
    let servers = start(&tracker, &certs).await;
    let before = descriptors();

    let tls = (SERVER.ip(), TLS_PORT).into();
    let each = HOSTILE.div_ceil(Kind::ALL.len());
    let attack = Attack {
        plain: SERVER,
        tls,
        each,
        ramp: SECOND,
        stay: 2 * SECOND,
        trickle: SECOND / 5,
        flood: (100, 64 << 10),
    };
    let running = attack.start();
    // Those that trickle or flood are evicted, notice it, and come again.
    let made = |kind| running.of(kind).made.load(Relaxed);
    until("all of them have come", || Kind::ALL.into_iter().all(|kind| made(kind) >= each as u64)).await;
    for kind in Kind::ALL {
        // One that is evicted before it has sent its last byte may lose its answer: it is over the limit.
        let failed = running.of(kind).failed.load(Relaxed);
        assert!(failed < made(kind) / 2, "{}: {failed} of {} failed", kind.name(), made(kind));
    }

    for asked in 0..20 {
        let config = (asked % 2 == 1).then(|| Arc::new(certs.client(&Version::ALL)));
        let server = if config.is_some() { tls } else { SERVER };
        let seen = timeout(20 * SECOND, async {
            let client = Client::connect(server, None, config).await.expect("it listens");
            let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            client.exchange(request, 0, Manner::StopsAtFailedWrite).await
        });
        let seen = seen.await.expect("it is answered within seconds");
        let end = if server == SERVER { End::Fin } else { End::CloseNotify };
        assert_eq!((seen.status, seen.complete, seen.end), (Some(200), true, end));
        // One that is evicted counts until it has been released, in its own task.
        assert!(tracker.closing() <= LINGERING + each, "{} linger", tracker.closing());
        assert!(tracker.served() <= SERVED, "{} are served", tracker.served());
    }
    assert!(tracker.summary().count(Outcome::Evicted) > 0, "{}", tracker.summary());

    running.stop().await;
    until("nothing is served and nothing lingers", || tracker.is_empty()).await;
    until("the descriptors are free", || descriptors() <= before).await;
    until("the kernel has given up on those that acknowledge nothing", || {
        !connections(&[SERVER.port(), TLS_PORT]).iter().any(|socket| socket.state == "FIN-WAIT-1")
    })
    .await;
    servers.abort();
}

async fn start(tracker: &Tracker, certs: &Certs) -> tokio::task::JoinHandle<()> {
    let large = Bytes::from(vec![b'.'; 8 << 20]);
    let app = Router::new()
        .route("/", get(async || "hello\n"))
        .route(REFUSED, put(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large\n")))
        .route(LARGE, get(async move || large));
    let policy = ClosePolicy::builder().drain_idle_timeout(2 * SECOND).orphan_timeout(SECOND).build();
    let linger = LingerLayer::new(policy.expect("it makes sense")).with_tracker(tracker.clone());
    let limits = Limits::builder().max_connections(NonZeroUsize::new(SERVED).expect("not zero")).build();
    let limits = limits.expect("they make sense");
    let plain = TcpListener::bind(SERVER).await.expect("the port is free");
    let tls = TcpListener::bind((SERVER.ip(), TLS_PORT)).await.expect("the port is free");
    let plain = serve(plain, app.clone()).linger(linger.clone()).limits(limits);
    let config = certs.server(&Version::ALL, ClientAuth::None);
    let tls = serve(tls, app).linger(linger).limits(limits).tls(config);
    tokio::spawn(async move {
        let _ended = tokio::join!(plain.into_future(), tls.into_future());
    })
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs is there").count()
}
