//! What a lingering connection still holds.

use std::fs;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tower_linger::{ClosePolicy, ClosePolicyBuilder, LingerIo, LingerLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};

use super::common::connect;

/// Connections that are opened, and then closed, at once.
const ROUND: usize = 100;
/// Rounds in which new connections can take the memory that the closing ones have freed. With these, both
/// ends of all connections fit into a limit of 1024 descriptors.
const REUSING_ROUNDS: usize = 3;

/// The session is dropped before the drain, so connections to come can have its memory. A test for each
/// version, because what one measurement frees would make the next one wrong.
pub(crate) fn a_connection_in_the_drain_has_freed_its_tls12_session() {
    drains_without_a_session(Version::Tls12);
}

/// The same for the other version.
pub(crate) fn a_connection_in_the_drain_has_freed_its_tls13_session() {
    drains_without_a_session(Version::Tls13);
}

/// CONFORMANCE 23, and what it costs: the same measurement where the policy needs the session in the drain.
/// It shows that a session that stays is noticed.
pub(crate) fn a_connection_that_waits_for_close_notify_keeps_its_tls12_session() {
    waits_with_its_session(Version::Tls12);
}

/// CONFORMANCE 23.
pub(crate) fn a_connection_that_waits_for_close_notify_keeps_its_tls13_session() {
    waits_with_its_session(Version::Tls13);
}

fn drains_without_a_session(version: Version) {
    let share = share_kept_while_closing(version, ClosePolicy::builder());
    assert!(share < 0.5, "a close keeps {share:.2} of what a session takes");
}

fn waits_with_its_session(version: Version) {
    let waits = ClosePolicy::builder().await_close_notify(LONG, u64::MAX);
    let share = share_kept_while_closing(version, waits);
    assert!(share > 0.8, "a close keeps {share:.2} of what a session takes");
}

const LONG: Duration = Duration::from_secs(100);

/// How much of a session's memory is still taken while its connection closes.
///
/// An allocator keeps what is freed, so the process never gets smaller. But what is freed is given out
/// again: new sessions make the process grow only by what the closes of older ones have kept.
fn share_kept_while_closing(version: Version, policy: ClosePolicyBuilder) -> f64 {
    // One thread, so that there is one pool of freed memory.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let certs = Certs::make();
        let policy = policy.drain_limit(LONG).drain_idle_timeout(LONG).build().expect("makes sense");
        let linger = LingerLayer::new(policy);
        let mut clients_of_closes = Vec::new();

        // What is needed once, whatever the number of connections.
        let first = open(&linger, &certs, version, 10).await;
        let mut before = resident_kib();
        let mut open_ones = open(&linger, &certs, version, ROUND).await;
        let sessions_kib = resident_kib() - before;

        before = resident_kib();
        for _ in 0..REUSING_ROUNDS {
            let (sessions, clients): (Vec<_>, Vec<_>) = open_ones.into_iter().unzip();
            drop(sessions);
            for mut client in clients {
                // To the FIN: right behind it, in the same turn, the close is in the drain.
                client.read_to_end(&mut Vec::new()).await.expect("loopback");
                clients_of_closes.push(client.into_std().expect("loopback"));
            }
            assert_eq!(
                linger.tracker().closing(),
                clients_of_closes.len(),
                "each of them waits for its client"
            );
            open_ones = open(&linger, &certs, version, ROUND).await;
        }
        let rounds = f64::from(u32::try_from(REUSING_ROUNDS).expect("few"));
        let kept_kib = (resident_kib() - before) / rounds;
        println!("{version:?}: {ROUND} sessions take {sessions_kib} KiB, their closes {kept_kib:.0} KiB");
        drop(first);
        kept_kib / sessions_kib
    })
}

/// Opens connections whose clients keep nothing but their sockets.
async fn open(
    linger: &LingerLayer,
    certs: &Certs,
    version: Version,
    count: usize,
) -> Vec<(LingerIo<TlsStream<TcpStream>>, TcpStream)> {
    let mut opened = Vec::with_capacity(count);
    for _ in 0..count {
        let server = certs.server(&[version], ClientAuth::None);
        let (server, client) = connect(server, certs.client(&[version])).await;
        opened.push((linger.wrap(server), client.into_inner().0));
    }
    opened
}

/// Memory of this process that is not a file's.
fn resident_kib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux has it");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}
