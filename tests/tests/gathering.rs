//! A flood is gathered in the kernel; its peer's silence is still counted from its last byte.
#![cfg(target_os = "linux")]

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tower_linger::{ClosePolicy, Outcome, Phase, close};
use tower_linger_tests::server::listen;

/// What is left below the low-water mark wakes nobody, and is found when the idle timeout is over. Counted from
/// then, the timeout would run twice. The bound is between once and twice.
#[tokio::test]
async fn gathered_bytes_count_from_when_they_came() {
    const BYTES: usize = (3 << 20) + 100_000;
    let idle = Duration::from_secs(4);
    let policy = ClosePolicy::builder().drain_idle_timeout(idle).build().expect("makes sense");
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let mut client = TcpStream::connect(address).await.expect("loopback");
    let (server, _) = listener.accept().await.expect("loopback");
    let closing = tokio::spawn(close(server, &policy));
    client.write_all(&vec![0; BYTES]).await.expect("it is drained");
    let report = closing.await.expect("no panic");
    assert_eq!((report.outcome, report.bytes_drained), (Outcome::DrainIdle, BYTES as u64));
    assert!(report.time_in(Phase::Drain) < idle * 3 / 2, "{report}");
}
