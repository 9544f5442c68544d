//! Clients that announce their last request. Their connections are released right after the FIN, and the
//! kernel brings the response to the client: on every link, whatever is lost on it.
//!
//! `LAST_REQUESTS=2400` has each client ask about so often: ten thousand connections on each link but the long
//! one, which has no time for so many.

use std::collections::HashSet;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, put};
use tokio::net::TcpListener;
use tower::Layer;
use tower_linger::{LingerLayer, Outcome, RequestLayer};
use tower_linger_tests::counters::Counters;
use tower_linger_tests::peer::{Client, Manner};
use tower_linger_tests::server::{Http, accept_loop, listen};
use tower_linger_tests::until::until;
use tower_linger_tests::wire::{Capture, Part, Side, Transcript};

use super::links::Link;
use super::scene::SERVER;

use clients::{Asker, unsent};

mod clients;

/// A test has two minutes.
const MOST_ON_THE_LONG_LINK: usize = 600;

/// More than a socket holds on a slow link.
static LARGE: [u8; LARGE_BYTES] = [b'a'; LARGE_BYTES];
const LARGE_BYTES: usize = 100_000;
const SMALL: &str = "small";

fn app() -> Router {
    let large = get(async || Bytes::from_static(&LARGE));
    let small = get(async || SMALL);
    let reads = put(async |body: Bytes| body.len().to_string());
    Router::new().route("/large", large).route("/small", small).route("/reads", reads).layer(RequestLayer)
}

pub(super) async fn nothing_is_lost_behind_a_last_request() {
    loses_nothing(Link::Fast).await;
}

pub(super) async fn nothing_is_lost_behind_a_last_request_on_a_slow_link() {
    loses_nothing(Link::Slow).await;
}

pub(super) async fn nothing_is_lost_behind_a_last_request_on_a_lossy_link() {
    loses_nothing(Link::Lossy).await;
}

pub(super) async fn nothing_is_lost_behind_a_last_request_on_a_slow_and_lossy_link() {
    loses_nothing(Link::SlowAndLossy).await;
}

pub(super) async fn nothing_is_lost_behind_a_last_request_on_a_long_link() {
    loses_nothing(Link::Long).await;
}

/// Each kind of client gets every response, the server sends no reset, and no close waits.
async fn loses_nothing(link: Link) {
    let count = std::env::var("LAST_REQUESTS").map_or(200, |count| count.parse().expect("a number"));
    let count = if link == Link::Long { count.min(MOST_ON_THE_LONG_LINK) } else { count };
    let (near, far) = link.set_up();
    let linger = LingerLayer::default();
    let listener = TcpListener::bind(near).await.expect("the port is free");
    let server = accept_loop(listener, linger.layer(Http::new(app())));
    let mut total = 0;
    for asker in Asker::ALL {
        let (capture, before) = (Capture::start_compact(near).expect("captures"), Counters::read());
        let answered = asker.ask(far, count).await;
        let tracker = linger.tracker();
        until("every connection is closed", || tracker.is_empty()).await;
        let summary = tracker.summary();
        eprintln!("{link:?}, {asker:?}: {answered} responses; {summary}");
        let done = summary.count(Outcome::PeerDone);
        total += answered as u64;
        let is_whole = if asker.is_exact() { done == total } else { done >= total };
        assert!(is_whole, "{link:?}, {asker:?}: {total} responses; {summary}");
        until("the kernel has brought everything to its end", || unsent(SERVER.port()) == 0).await;
        // HAProxy resets connections of which it has the whole response, and wrk those that it drops.
        let changed = Counters::read().since(&before);
        let transcript = capture.finish().expect("captures");
        // The slow link's queue is short, so packets are lost there, too.
        let loses_packets = !matches!(link, Link::Fast | Link::Long);
        let resets = if loses_packets { early_resets(&transcript) } else { transcript.resets(Side::Server) };
        let aborts = if asker.is_exact() { changed.aborts_on_close() } else { 0 };
        assert_eq!((resets, aborts), (0, 0), "{link:?}, {asker:?}: {changed}");
    }
    drop(server);
}

/// Connections that the server resets before the client has ended its side. On a link that loses packets, one
/// that was sent once more may come when the connection is over. The reset that answers it takes nothing
/// away.
fn early_resets(transcript: &Transcript) -> usize {
    let (mut ended, mut reset) = (HashSet::new(), HashSet::new());
    for event in transcript.events() {
        match event.side {
            Side::Client if event.parts.contains(&Part::Fin) => drop(ended.insert(event.connection)),
            Side::Server if event.parts.contains(&Part::Rst) && !ended.contains(&event.connection) => {
                reset.insert(event.connection);
            }
            Side::Client | Side::Server => {}
        }
    }
    reset.len()
}

/// Bytes follow the request that was announced as the last. What has arrived by its end is drained, as ever;
/// only what comes later meets a reset.
pub(super) async fn a_client_that_breaks_its_word_loses_less_than_without_the_layer() {
    let bare = accept_loop(listen().await, Http::new(app()));
    let without = heard_by_liars(bare.address).await;
    let layered = accept_loop(listen().await, LingerLayer::default().layer(Http::new(app())));
    let with = heard_by_liars(layered.address).await;
    eprintln!("of {LIARS} responses arrive {without} without the layer, {with} with it");
    assert!(with > without, "{with} with the layer, {without} without");
}

const LIARS: usize = 100;

/// How many of them get their response.
async fn heard_by_liars(server: SocketAddr) -> usize {
    let mut heard = 0;
    for _ in 0..LIARS {
        let client = Client::plain(server, None).await.expect("it listens");
        let request = b"GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let seen = client.exchange(request, 4 << 20, Manner::StopsAtFailedWrite).await;
        heard += usize::from(seen.complete);
    }
    heard
}
