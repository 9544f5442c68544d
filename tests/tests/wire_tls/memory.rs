//! The memory that a lingering connection still holds.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tower_linger::{ClosePolicy, ClosePolicyBuilder, LingerIo, LingerLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};

use super::common::connect;
use super::resident::anonymous_kib;

/// Connections that are opened at once, and then closed at once.
const ROUND: usize = 100;
/// Rounds in which new connections can take the memory that closing ones have freed. Both ends of all these
/// connections fit into a limit of 1024 descriptors.
const REUSING_ROUNDS: usize = 3;

/// The session is dropped before the drain, so new connections can reuse its memory. Each version has a test,
/// and so a process, of its own, because memory that one measurement frees would distort the next.
pub(crate) fn a_connection_in_the_drain_has_freed_its_tls12_session() {
    drains_without_a_session(Version::Tls12);
}

/// The same for TLS 1.3.
pub(crate) fn a_connection_in_the_drain_has_freed_its_tls13_session() {
    drains_without_a_session(Version::Tls13);
}

/// CONFORMANCE 23: this policy needs the session in the drain. The same measurement shows what that costs,
/// and that it notices a session that stays.
pub(crate) fn a_connection_that_waits_for_close_notify_keeps_its_tls12_session() {
    waits_with_its_session(Version::Tls12);
}

/// The same for TLS 1.3.
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
/// The allocator keeps what is freed, so the process never shrinks. But it gives freed memory out again, so
/// new sessions make the process grow only by what the closes of older ones still hold.
fn share_kept_while_closing(version: Version, policy: ClosePolicyBuilder) -> f64 {
    // One thread, so that the allocator has one pool of freed memory.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let certs = Certs::make();
        let policy = policy.drain_limit(LONG).drain_idle_timeout(LONG).build().expect("makes sense");
        let linger = LingerLayer::new(policy);
        let mut clients_of_closes = Vec::new();

        // The first connections also allocate what all of them share.
        let first = open(&linger, &certs, version, 10).await;
        let mut before = resident_kib();
        let mut open_ones = open(&linger, &certs, version, ROUND).await;
        let sessions_kib = resident_kib() - before;

        before = resident_kib();
        for _ in 0..REUSING_ROUNDS {
            let (sessions, clients): (Vec<_>, Vec<_>) = open_ones.into_iter().unzip();
            drop(sessions);
            for mut client in clients {
                // Reads to the FIN. The poll that sends it goes on to the drain.
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

fn resident_kib() -> f64 {
    f64::from(u32::try_from(anonymous_kib()).expect("less than 4 TiB"))
}
