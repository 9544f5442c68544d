//! Clients that pause: while they upload, before they read, and because they have nothing to say. Those of
//! which a request was read to its end are released while they are silent, and none loses a response.
//!
//! `SILENT_CLIENTS=20000` has as many of them on each link.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::routing::{get, put};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ClientConfig;
use tower::Layer;
use tower_linger::{ClosePolicy, LingerLayer, Outcome, RequestLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::Client;
use tower_linger_tests::server::{Http, accept_loop};
use tower_linger_tests::until::until;

use super::links::Link;

/// What a client does with its pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pauses {
    /// Its upload is refused before it has sent all of it. It reads when it has.
    InARefusedUpload,
    /// Its upload is read, and it pauses before it reads the answer.
    InAnUploadThatIsRead,
    /// It reads nothing for a while, and then is silent for a while before it closes.
    BeforeItReads,
}

impl Pauses {
    const ALL: [Self; 3] = [Self::InARefusedUpload, Self::InAnUploadThatIsRead, Self::BeforeItReads];

    fn request(self) -> String {
        let (line, upload) = match self {
            Self::InARefusedUpload => ("PUT /refuses", PARTS * PART.len()),
            Self::InAnUploadThatIsRead => ("PUT /reads", PARTS * PART.len()),
            Self::BeforeItReads => ("GET /large", 0),
        };
        format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {upload}\r\n\r\n")
    }

    fn parts(self) -> usize {
        if self == Self::BeforeItReads { 0 } else { PARTS }
    }

    fn response(self) -> usize {
        if self == Self::BeforeItReads { LARGE_BYTES } else { SMALL.len() }
    }
}

const PARTS: usize = 3;
static PART: [u8; 8 << 10] = [b'p'; 8 << 10];
static LARGE: [u8; LARGE_BYTES] = [b'a'; LARGE_BYTES];
const LARGE_BYTES: usize = 16_000;
const SMALL: &str = "small";

/// The server ends each connection after its response. The clients did not ask for it.
fn app() -> Router {
    let small = Bytes::from_static(SMALL.as_bytes());
    let ends = |status, body| (status, [(header::CONNECTION, "close")], body);
    let too_large = ends(StatusCode::PAYLOAD_TOO_LARGE, small.clone());
    let refuses = async move || too_large;
    let read = ends(StatusCode::OK, small);
    let reads = async move |_: Bytes| read;
    let large = async move || ends(StatusCode::OK, Bytes::from_static(&LARGE));
    Router::new().route("/refuses", put(refuses)).route("/reads", put(reads)).route("/large", get(large))
}

pub(super) async fn nothing_is_lost_to_a_pause() {
    loses_nothing(Link::Fast).await;
}

pub(super) async fn nothing_is_lost_to_a_pause_on_a_slow_link() {
    loses_nothing(Link::Slow).await;
}

pub(super) async fn nothing_is_lost_to_a_pause_on_a_lossy_link() {
    loses_nothing(Link::Lossy).await;
}

pub(super) async fn nothing_is_lost_to_a_pause_on_a_slow_and_lossy_link() {
    loses_nothing(Link::SlowAndLossy).await;
}

pub(super) async fn nothing_is_lost_to_a_pause_on_a_long_link() {
    loses_nothing(Link::Long).await;
}

/// Plain and over TLS, every client gets its response, and most of those that are silent are released early.
async fn loses_nothing(link: Link) {
    let clients = std::env::var("SILENT_CLIENTS").map_or(240, |count| count.parse().expect("a number"));
    let (near, far) = link.set_up();
    let mut all = 0;
    // The certificate names the loopback address only.
    let shares = if link == Link::Long {
        [(false, clients), (true, 0)]
    } else {
        [(false, clients - clients / 4), (true, clients / 4)]
    };
    for (is_tls, clients) in shares {
        let linger = LingerLayer::default();
        let lost = lost(near, far, &linger, is_tls, &Pauses::ALL, clients).await;
        let summary = linger.tracker().summary();
        eprintln!("{link:?}, TLS {is_tls}: of {clients} responses {} are lost; {summary}", lost.len());
        assert!(lost.is_empty(), "{link:?}, TLS {is_tls}: {summary}: {lost:#?}");
        let released = summary.count(Outcome::Acknowledged);
        assert!(released >= clients as u64 / 4, "{link:?}, TLS {is_tls}: {summary}");
        all += summary.total();
    }
    assert!(all >= clients as u64, "{all} closes");
}

/// The rule without the knowledge: a policy can ask for it, and says what it costs.
pub(super) async fn a_release_of_whoever_is_quiet_loses_what_a_pause_interrupts() {
    let (near, far) = Link::Fast.set_up();
    let policy = ClosePolicy::builder().early_release(3).build().expect("makes sense");
    let linger = LingerLayer::new(policy);
    let lost = lost(near, far, &linger, false, &[Pauses::InARefusedUpload], 100).await;
    let summary = linger.tracker().summary();
    eprintln!("of 100 responses {} are lost; {summary}", lost.len());
    assert!(!lost.is_empty(), "{summary}");
}

/// What became of these clients that did not get their response.
async fn lost(
    near: SocketAddr,
    far: SocketAddr,
    linger: &LingerLayer,
    is_tls: bool,
    kinds: &[Pauses],
    clients: usize,
) -> Vec<String> {
    let certs = Certs::make();
    let listener = listen(near).await;
    let app = RequestLayer.layer(app());
    let server = if is_tls {
        let acceptor = TlsAcceptor::from(Arc::new(certs.server(&Version::ALL, ClientAuth::None)));
        accept_loop(listener, linger.clone().tls(acceptor).layer(Http::new(app)))
    } else {
        accept_loop(listener, linger.layer(Http::new(app)))
    };
    let tls = is_tls.then(|| Arc::new(certs.client(&Version::ALL)));
    let (permits, mut pausing) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for index in 0..clients {
        let (permits, tls, kind) = (permits.clone(), tls.clone(), kinds[index % kinds.len()]);
        // The kernel has no room for more handshakes at once on the long link.
        tokio::time::sleep(Duration::from_millis(2)).await;
        pausing.spawn(async move {
            let _permit = permits.acquire().await.expect("open");
            answered(far, tls, kind, index).await
        });
    }
    let lost = pausing.join_all().await.into_iter().filter_map(Result::err).collect();
    until("every connection is closed", || linger.tracker().is_empty()).await;
    drop(server);
    lost
}

/// The server before may be about to let go of its port.
async fn listen(near: SocketAddr) -> TcpListener {
    let listening = async {
        loop {
            match TcpListener::bind(near).await {
                Ok(listener) => return listener,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), listening).await.expect("the port is free")
}

/// Most that pause at the same time.
const AT_ONCE: usize = 2_000;

/// Fails if the client does not get its response. A write that fails is the end of it: so it is for most
/// libraries.
async fn answered(
    server: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    kind: Pauses,
    index: usize,
) -> Result<(), String> {
    let mut io = Client::connect(server, None, tls).await.expect("it listens");
    let mut pauses = pauses(index);
    let mut pause = || tokio::time::sleep(pauses.next().expect("it has no end"));
    let mut sent = io.write_all(kind.request().as_bytes()).await;
    for _ in 0..kind.parts() {
        pause().await;
        sent = match sent {
            Ok(()) => io.write_all(&PART).await,
            failed => failed,
        };
    }
    pause().await;
    let mut response = Vec::new();
    let read = match sent {
        Ok(()) => io.read_to_end(&mut response).await.map(drop),
        failed => failed,
    };
    if kind == Pauses::BeforeItReads {
        pause().await;
    }
    let head = response.windows(4).position(|end| end == b"\r\n\r\n");
    let is_whole = read.is_ok() && head.is_some_and(|end| response.len() - end - 4 == kind.response());
    if is_whole {
        Ok(())
    } else {
        Err(format!("{kind:?}, client {index}: {} bytes, {read:?}", response.len()))
    }
}

/// From 0.1 to 4 s, as many of each magnitude; the same in every run.
fn pauses(index: usize) -> impl Iterator<Item = Duration> {
    // Steele and Vigna's SplitMix64.
    let mut state = index as u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let part =
            f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).expect("32 bits")) / f64::from(u32::MAX);
        Duration::from_secs_f64(0.1 * 40_f64.powf(part))
    })
}
