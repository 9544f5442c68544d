//! slowhttptest: many connections that are slow on purpose. Those of a bare server stay as long as they like.
//! `serve` with its limits ends each of them, and serves others meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::StatusCode;
use axum::routing::{get, put};
use futures_util::future::join_all;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{interval, timeout};
use tower::{Service, service_fn};
use tower_linger::{ClosePolicy, Limits, LingerLayer, Serve, serve};
use tower_linger_tests::server::{BoxError, Http, accept_loop, listen};

use super::page::{Cell, Count, Table};
use super::programs::{program, run, text};
use super::server::{Kind, heads};

/// An attack of slowhttptest.
struct Attack {
    name: &'static str,
    path: &'static str,
    args: &'static [&'static str],
}

const ATTACKS: [Attack; 3] = [
    Attack { name: "slow headers", path: "/", args: &["-H"] },
    Attack { name: "a slow upload", path: "/upload", args: &["-B", "-t", "PUT", "-s", "1000000"] },
    Attack {
        name: "a slow reader",
        path: "/large",
        args: &["-X", "-w", "10", "-y", "20", "-n", "1", "-z", "5"],
    },
];
const CONNECTIONS: usize = 60;
/// How long an attack lasts at most.
const LENGTH: Duration = Duration::from_secs(16);
/// How long a server has to end the attacker's connections: shorter than the attack, whose end ends them too.
const PATIENCE: Duration = Duration::from_secs(12);
const OTHERS: usize = 10;
/// How long anything may take here that a client can delay. Each is far shorter than the attack.
const LIMIT: Duration = Duration::from_secs(2);

pub(crate) async fn slow_clients_are_bounded_and_others_are_served() {
    let attacks = ATTACKS.iter().map(async |attack| {
        let [bare, layered] = Kind::ALL.map(|kind| attacked(attack, kind));
        let (bare, layered) = tokio::join!(bare, layered);
        let cell = |kind, count| Cell { kind, count: Some(count) };
        let ended = [cell(Kind::Bare, bare.0), cell(Kind::Layered, layered.0)];
        let served = [cell(Kind::Bare, bare.1), cell(Kind::Layered, layered.1)];
        (attack.name.to_owned(), [ended, served].concat())
    });
    let heads = heads("attack", &["connections that the server ended", "others that it served"]);
    Table { name: "slow", heads, rows: join_all(attacks).await }.check();
}

/// How many of the attacker's connections the server ended, and how many others it served meanwhile.
async fn attacked(attack: &Attack, kind: Kind) -> (Count, Count) {
    let listener = listen().await;
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let (bare, linger) = (Arc::new(AtomicUsize::new(0)), layer());
    let server = match kind {
        Kind::Bare => Ok(accept_loop(listener, counting(Http::new(app()), &bare))),
        Kind::Layered => Err(tokio::spawn(limited(listener, &linger).into_future())),
    };
    let open = || match kind {
        Kind::Bare => bare.load(Ordering::Relaxed),
        Kind::Layered => linger.tracker().len(),
    };
    let attacking = async {
        let mut slow = program("slowhttptest");
        let (number, length) = (CONNECTIONS.to_string(), LENGTH.as_secs().to_string());
        slow.args(["-c", &number, "-r", &number, "-i", "1", "-l", &length, "-p", "3"]).args(attack.args);
        text(&run(slow.arg("-u").arg(format!("{url}{}", attack.path))).await.stdout)
    };
    let attack_is_on = || is_so_within(LENGTH, || open() >= CONNECTIONS / 6);
    let watching = async {
        assert!(attack_is_on().await, "{} against a {} server", attack.name, kind.name());
        is_so_within(PATIENCE, || open() == 0).await;
        let left = open().min(CONNECTIONS);
        Count { good: CONNECTIONS - left, tries: CONNECTIONS }
    };
    let others = async {
        attack_is_on().await;
        let mut good = 0;
        for _ in 0..OTHERS {
            let answer = run(program("curl").args(["-sS", "-m", "30", &url])).await;
            good += usize::from(text(&answer.stdout) == "hello\n");
        }
        Count { good, tries: OTHERS }
    };
    let (said, counts) = tokio::join!(attacking, async { tokio::join!(watching, others) });
    // Shown if the test fails.
    println!("{} {}: {said}", attack.name, kind.name());
    if let Err(server) = server {
        server.abort();
    }
    counts
}

fn layer() -> LingerLayer {
    let policy = ClosePolicy::builder()
        .write_idle_timeout(LIMIT)
        .flush_idle_timeout(LIMIT)
        .flush_limit(LIMIT)
        .drain_idle_timeout(LIMIT)
        .drain_limit(LIMIT);
    LingerLayer::new(policy.build().expect("bounds that fit"))
}

fn limited(listener: TcpListener, linger: &LingerLayer) -> Serve<TcpListener, Router> {
    let limits = Limits::builder().first_byte_timeout(LIMIT).header_read_timeout(LIMIT).idle_timeout(LIMIT);
    serve(listener, app()).limits(limits.build().expect("bounds that fit")).linger(linger.clone())
}

/// Counts the connections that are open.
fn counting(
    http: Http,
    open: &Arc<AtomicUsize>,
) -> impl Service<TcpStream, Response = (), Error = BoxError, Future: Send + 'static> + Send + 'static {
    let open = open.clone();
    service_fn(move |io| {
        let (mut http, open) = (http.clone(), open.clone());
        async move {
            open.fetch_add(1, Ordering::Relaxed);
            let served = http.call(io).await;
            open.fetch_sub(1, Ordering::Relaxed);
            served
        }
    })
}

fn app() -> Router {
    // Far more than the buffers of two sockets hold.
    let large = Bytes::from(vec![b'x'; 16 << 20]);
    Router::new()
        .route("/", get(async || "hello\n"))
        .route("/large", get(async move || large))
        .route("/upload", put(take))
}

/// What is to bound a body is up to the handler, with the layer, too.
async fn take(body: Body) -> StatusCode {
    match timeout(LIMIT, to_bytes(body, usize::MAX)).await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::REQUEST_TIMEOUT,
    }
}

/// Looks now and then.
async fn is_so_within(time: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let looking = async {
        let mut looks = interval(Duration::from_millis(20));
        while !holds() {
            looks.tick().await;
        }
    };
    timeout(time, looking).await.is_ok()
}
