//! A flood is gathered in the kernel; its peer's silence is still counted from its last byte.
#![cfg(target_os = "linux")]

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::sys::socket::{MsgFlags, recv};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tower_linger::{ClosePolicy, Outcome, Phase, close};
use tower_linger_tests::server::listen;
use tower_linger_tests::until::until;

/// Bytes below the low-water mark wake nobody, and are found when the idle timeout is over. If they counted
/// from then, the timeout would run twice. The bound is between once and twice.
#[tokio::test]
async fn gathered_bytes_count_from_when_they_came() {
    const FLOOD: usize = 3 << 20;
    const REST: usize = 50_000;
    let idle = Duration::from_secs(4);
    let policy = ClosePolicy::builder().drain_idle_timeout(idle).build().expect("makes sense");
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let mut client = TcpStream::connect(address).await.expect("loopback");
    let (server, _) = listener.accept().await.expect("loopback");
    let queue = server.as_fd().try_clone_to_owned().expect("a second descriptor");
    let closing = tokio::spawn(close(server, &policy));
    client.write_all(&vec![0; FLOOD]).await.expect("it is drained");
    // The flood is discarded, or what is left of it is below the mark already.
    let mut looks = 0;
    until("the flood is discarded", || {
        looks += 1;
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        looks > 100 || recv(queue.as_raw_fd(), &mut [0; 1], flags).is_err()
    })
    .await;
    client.write_all(&vec![0; REST]).await.expect("it is drained");
    drop(queue);
    let report = closing.await.expect("no panic");
    assert_eq!((report.outcome, report.bytes_drained), (Outcome::DrainIdle, (FLOOD + REST) as u64));
    assert!(report.time_in(Phase::Drain) < idle * 3 / 2, "{report}");
}
