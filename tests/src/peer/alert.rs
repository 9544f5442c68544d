//! A client whose handshake fails.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::rustls::{self, ClientConfig, ClientConnection};

/// What a client is told that sends its first flight, and `more` behind it, and then reads: an alert by its
/// name, `CloseNotify` included. `None` if a reset or a FIN came before it.
///
/// # Panics
///
/// If the server cannot be reached, or sends what is neither TLS nor an alert.
pub async fn alert_to(server: SocketAddr, config: ClientConfig, more: &[u8]) -> Option<String> {
    let name = "localhost".try_into().expect("a name");
    let mut session = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut flight = Vec::new();
    session.write_tls(&mut flight).expect("in memory");
    let mut tcp = TcpStream::connect(server).await.expect("loopback");
    tcp.write_all(&flight).await.ok()?;
    tcp.write_all(more).await.ok()?;
    let mut received = Vec::new();
    tcp.read_to_end(&mut received).await.ok()?;
    let mut received = received.as_slice();
    while !received.is_empty() {
        session.read_tls(&mut received).expect("in memory");
        match session.process_new_packets() {
            Ok(state) if state.peer_has_closed() => return Some("CloseNotify".to_owned()),
            Ok(_) => {}
            Err(rustls::Error::AlertReceived(alert)) => return Some(format!("{alert:?}")),
            Err(error) => panic!("no alert but: {error}"),
        }
    }
    None
}
