//! Peers that send too much, or too slowly.

use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use tower_linger_tests::peer::{Client, head};

use super::good::Good;
use super::menagerie::{Menagerie, exchange, send, trickle};
use super::scene::{Server, Target};

const TARGETS: [Target; 3] = [Target::Plain, Target::Tls, Target::Own];

/// More than is drained in the time that a drain has.
const ENDLESS: usize = 1 << 40;

pub(crate) async fn flooding_peers_are_drained_within_bounds_and_hinder_nobody() {
    let mut server = Server::start(&[]).await;
    let (doors, good) = (server.doors(), Good::start(&server.doors()));
    let menagerie = Menagerie::open(&mut server).await;
    let before = server.state().await;
    let mut floods = JoinSet::new();
    for target in TARGETS {
        let mut refused = doors.connect(target, None).await;
        exchange(&mut refused, &head("PUT", "/refused", ENDLESS), "too large").await;
        floods.spawn(flood(refused));
    }
    // A request that the handler reads, and bytes that nobody reads.
    let mut upload = doors.connect(Target::Plain, None).await;
    send(&mut upload, &head("POST", "/upload", 1 << 30)).await;
    let uploading = tokio::spawn(flood(upload));
    good.served_more(60).await;
    // The server ends these.
    while let Some(ended) = floods.join_next().await {
        ended.expect("no panic");
    }
    let state = server.state().await;
    let bounded =
        |state: &super::scene::State| state.ended_as("drain_deadline") + state.ended_as("drain_limit");
    assert!(bounded(&state) >= bounded(&before) + 3, "{before:#?} {state:#?}");
    uploading.abort();
    good.served_more(6).await;
    good.assert_all_served().await;
    menagerie.go(&mut server).await;
    server.assert_at_rest(false).await;
}

/// Sends until that fails.
async fn flood(mut client: Client) {
    let chunk = vec![0; 256 << 10];
    while client.write_all(&chunk).await.is_ok() {}
}

pub(crate) async fn a_thousand_trickling_peers_end_within_bounds_and_hinder_nobody() {
    let mut server = Server::start(&[]).await;
    // The first thousand leave early: they fill the allocator, which keeps what it once had.
    let mut first = trickles(&mut server).await;
    first.shutdown().await;
    server.rests_as_now().await;

    let good = Good::start(&server.doors());
    let menagerie = Menagerie::open(&mut server).await;
    let mut trickles = trickles(&mut server).await;
    good.served_more(60).await;
    let drained = 2 * EACH as u64;
    server.until("drains end", |state| state.ended_as("drain_deadline") >= drained).await;
    good.assert_all_served().await;
    menagerie.go(&mut server).await;
    trickles.shutdown().await;
    server.assert_at_rest(false).await;
}

const EACH: usize = 250;

/// A thousand: half of them send the head of a request, half an upload that was refused.
async fn trickles(server: &mut Server) -> JoinSet<()> {
    let (doors, mut trickles) = (server.doors(), JoinSet::new());
    let before = server.state().await.number("accepts");
    for number in 0..4 * EACH {
        let (doors, target) = (doors.clone(), [Target::Plain, Target::Own][number % 2]);
        trickles.spawn(async move {
            let mut client = doors.connect(target, None).await;
            if number % 4 < 2 {
                send(&mut client, b"GET / HTTP/1.1\r\nX: ").await;
            } else {
                exchange(&mut client, &head("PUT", "/refused", 64 << 20), "too large").await;
            }
            trickle(client).await;
        });
    }
    let accepted = before + 4 * EACH as u64;
    server.until("all are there", |state| state.number("accepts") >= accepted).await;
    trickles
}
