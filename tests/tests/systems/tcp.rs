//! Connections over loopback.

use std::time::Duration;

use tokio::net::TcpStream;
use tower_linger::ClosePolicy;
use tower_linger_tests::server::listen;

/// The two ends of a connection, client first.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let listener = listen().await;
    let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("loopback");
    (client, listener.accept().await.expect("loopback").0)
}

/// A policy whose drain waits for a silent client only so long.
pub(crate) fn impatient() -> ClosePolicy {
    ClosePolicy::builder().drain_idle_timeout(IDLE).build().expect("makes sense")
}

pub(crate) const IDLE: Duration = Duration::from_millis(300);
