//! Peers that send as fast as they can.

use std::task::Poll;
use std::time::Duration;

use tower_linger::{ClosePolicy, Outcome, close};
use tower_linger_tests::scripted::Script;
#[cfg(target_os = "linux")]
use {
    super::{SECOND, queues::queues},
    nix::sys::socket::getsockopt,
    nix::{getsockopt_impl, libc, sockopt_impl},
    std::os::fd::{AsFd, OwnedFd},
    tokio::io::AsyncWriteExt,
    tokio::net::TcpStream,
    tokio::task::{JoinHandle, yield_now},
    tower_linger::CloseReport,
    tower_linger_tests::server::listen,
};

use super::timed;

/// The byte limit is exact, and no read has a limit of zero bytes: its result would look like a FIN.
#[tokio::test(start_paused = true)]
async fn a_flood_is_let_go_at_exactly_the_byte_limit() {
    for limit in [1, 1_000, (1 << 20) - 1, 1 << 20, (5 << 20) + 7] {
        let (script, io) = Script::new();
        script.send(1 << 40);
        let policy = ClosePolicy::builder().drain_limit_bytes(limit).build().expect("makes sense");
        let (report, took) = timed(close(io, &policy)).await;
        assert_eq!(
            (report.outcome, report.bytes_drained, took),
            (Outcome::DrainLimit, limit, Duration::ZERO)
        );
        let seen = script.seen();
        assert_eq!(seen.discarded, limit);
        assert!(seen.smallest_limit.is_some_and(|smallest| smallest > 0));
    }
}

/// A peer that has sent a lot wakes the close only for a lot more, but at a deadline what has come counts.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_flood_that_becomes_a_trickle_is_not_taken_for_silence() {
    const FLOOD_BYTES: usize = 8 << 20;
    // Keeps the runtime busy: an idle one would advance the clock while packets are on their way.
    let awake = tokio::spawn(async {
        while std::future::ready(true).await {
            yield_now().await;
        }
    });
    let listener = listen().await;
    let mut peer = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
    let (io, _) = listener.accept().await.expect("it connects");
    let server = io.as_fd().try_clone_to_owned().expect("a second descriptor");
    let closing = tokio::spawn(async move { close(io, &ClosePolicy::default()).await });
    peer.write_all(&vec![0; FLOOD_BYTES]).await.expect("it is drained");
    for trickled in 1..=4 {
        settled(&peer, &server, &closing).await;
        peer.write_all(&[0]).await.expect("it is drained");
        settled(&peer, &server, &closing).await;
        assert!(!closing.is_finished(), "before byte {trickled}");
        // More than the idle timeout after the last byte that woke the close, and less than that after this
        // byte.
        tokio::time::advance(4 * SECOND).await;
    }
    settled(&peer, &server, &closing).await;
    drop((peer, server));
    let report = closing.await.expect("no panic");
    awake.abort();
    assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false });
    assert_eq!(report.bytes_drained, FLOOD_BYTES as u64 + 4);
}

/// Waits until everything that the peer has sent is in the server's kernel, and the close has read what wakes
/// it. It yields instead of sleeping, because the clock is paused.
#[cfg(target_os = "linux")]
async fn settled(peer: &TcpStream, server: &OwnedFd, closing: &JoinHandle<CloseReport>) {
    let client_port = peer.local_addr().expect("connected").port();
    let server_port = peer.peer_addr().expect("connected").port();
    let is_settled = || {
        let low_water = getsockopt(server, LowWater).expect("Linux has it") as usize;
        let is_sent = queues(client_port).iter().all(|&(_, unacknowledged, _)| unacknowledged == 0);
        let mut connection = queues(server_port).into_iter().filter(|&(peer, ..)| peer == client_port);
        is_sent && connection.all(|(_, _, unread)| unread < low_water)
    };
    while !closing.is_finished() && !is_settled() {
        yield_now().await;
    }
}

#[cfg(target_os = "linux")]
sockopt_impl!(LowWater, GetOnly, libc::SOL_SOCKET, libc::SO_RCVLOWAT, u32);

/// CONFORMANCE 29, in bytes of the flood: between two turns of another task, the flood has one turn at most.
/// `benches/fairness.rs` measures how long that takes.
#[tokio::test(start_paused = true)]
async fn a_flood_makes_the_others_wait_for_one_turn_at_most() {
    const OTHERS: usize = 100;
    const TURN_BYTES: u64 = 16 << 20;
    let (script, io) = Script::new();
    script.send(1 << 40);
    let policy = ClosePolicy::builder().drain_limit_bytes(4 << 30).build().expect("makes sense");
    let closing = tokio::spawn(async move { close(io, &policy).await });
    let others: Vec<_> = (0..OTHERS)
        .map(|_| {
            let script = script.clone();
            tokio::spawn(async move {
                let mut waits = Vec::new();
                while script.seen().drops == 0 {
                    let before = script.seen().discarded;
                    requeued().await;
                    waits.push(script.seen().discarded - before);
                }
                waits
            })
        })
        .collect();
    let mut waits = Vec::new();
    for other in others {
        waits.extend(other.await.expect("no panic"));
    }
    waits.sort_unstable();
    let p99 = waits[waits.len() * 99 / 100];
    assert!(waits.len() > OTHERS * 100, "{} turns", waits.len());
    assert!((1..=TURN_BYTES).contains(&p99), "{p99} bytes of flood before a turn");
    assert_eq!(closing.await.expect("no panic").outcome, Outcome::DrainLimit);
}

/// Lets the tasks run that are ready now. `yield_now` would also wait for the runtime to poll its sockets.
async fn requeued() {
    let mut polled = false;
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
