//! What each transport does at a connection's end that another one cannot do.

mod aborts;
mod foreign;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod sockets;
// The path of other systems asks for nothing.
#[cfg(all(target_os = "linux", not(tower_linger_portable)))]
mod tcp_info;

use tokio::net::TcpStream;
use tower_linger_tests::server::listen;

/// The two ends of a connection, client first.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = listen().await;
    let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("loopback");
    (client, listener.accept().await.expect("loopback").0)
}
