//! How much of a TLS session's memory a lingering connection still holds.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tower_linger::{ClosePolicyBuilder, LingerIo, LingerLayer, Transport};

use super::resident::anonymous_kib;

/// Connections that are opened at once, and then closed at once.
const ROUND: usize = 100;
/// Rounds in which new connections can take the memory that closing ones have freed. Both ends of all these
/// connections fit into a limit of 1024 descriptors.
const REUSING_ROUNDS: usize = 3;

/// Longer than the measurement.
pub(crate) const LONG: Duration = Duration::from_secs(100);

/// How much of a session's memory is still taken while its connection closes. `connect` opens a connection,
/// and gives the client's end without its session.
///
/// The allocator keeps what is freed, so the process never shrinks. But it gives freed memory out again, so
/// new sessions make the process grow only by what the closes of older ones still hold.
pub(crate) fn share_kept_while_closing<S: Transport>(
    policy: ClosePolicyBuilder,
    connect: impl AsyncFn() -> (S, TcpStream),
) -> f64 {
    // One thread, so that the allocator has one pool of freed memory.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let policy = policy.drain_limit(LONG).drain_idle_timeout(LONG).build().expect("makes sense");
        let linger = LingerLayer::new(policy);
        let mut clients_of_closes = Vec::new();

        // The first connections also allocate what all of them share.
        let first = open(&linger, &connect, 10).await;
        let mut before = resident_kib();
        let mut open_ones = open(&linger, &connect, ROUND).await;
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
            open_ones = open(&linger, &connect, ROUND).await;
        }
        let rounds = f64::from(u32::try_from(REUSING_ROUNDS).expect("few"));
        let kept_kib = (resident_kib() - before) / rounds;
        println!("{ROUND} sessions take {sessions_kib} KiB, their closes {kept_kib:.0} KiB");
        drop(first);
        kept_kib / sessions_kib
    })
}

/// Opens connections whose clients keep nothing but their sockets.
async fn open<S: Transport>(
    linger: &LingerLayer,
    connect: &impl AsyncFn() -> (S, TcpStream),
    count: usize,
) -> Vec<(LingerIo<S>, TcpStream)> {
    let mut opened = Vec::with_capacity(count);
    for _ in 0..count {
        let (server, client) = connect().await;
        opened.push((linger.wrap(server), client));
    }
    opened
}

fn resident_kib() -> f64 {
    f64::from(u32::try_from(anonymous_kib()).expect("less than 4 TiB"))
}
