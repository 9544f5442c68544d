//! What is special about each transport, at a connection's end above all.

mod aborts;
mod foreign;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod sockets;
// The code for other systems does not read `TCP_INFO`, and nothing is loaded before a static program.
#[cfg(all(target_os = "linux", not(any(tower_linger_portable, target_feature = "crt-static"))))]
mod tcp_info;

use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;
use tower_linger::LingerLayer;
use tower_linger_tests::scripted::Script;
use tower_linger_tests::server::listen;

/// The two ends of a connection, client first.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = listen().await;
    let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("loopback");
    (client, listener.accept().await.expect("loopback").0)
}

/// hyper copies head and body into one buffer for a transport that takes only one at a time.
#[tokio::test]
async fn whether_writes_are_vectored_is_for_the_transport_to_say() {
    let linger = LingerLayer::default();
    assert!(linger.wrap(pair().await.1).is_write_vectored());
    assert!(!linger.wrap(Script::new().1).is_write_vectored());
}
