//! Clients of [`servers`](crate::servers): each asks once.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;

/// A client's TLS configuration, which trusts whoever it is: the server's authority is in the other process.
///
/// # Panics
///
/// Never: there is nothing to read.
#[must_use]
pub fn trusting() -> Arc<ClientConfig> {
    let trust = linger_probe::trust::Trust { insecure: true, ..Default::default() };
    Arc::new(trust.client().expect("nothing to read"))
}

/// Connects over TLS.
///
/// # Panics
///
/// If that fails.
pub async fn tls(address: SocketAddr, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(address).await.expect("it listens");
    let name = "localhost".try_into().expect("a name");
    TlsConnector::from(config).connect(name, tcp).await.expect("it is trusted")
}

/// Asks for this path, the last request of the connection, and reads to the end of the server's data.
/// Returns the response.
///
/// # Panics
///
/// If the connection fails on the way.
pub async fn ask(io: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> Vec<u8> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    io.write_all(request.as_bytes()).await.expect("it reads");
    let mut response = Vec::new();
    io.read_to_end(&mut response).await.expect("it ends cleanly");
    response
}

/// A connection that has had its response and the server's end, and is open on this side: what the server
/// lingers with.
///
/// # Panics
///
/// If the response does not arrive whole.
pub async fn lingering(address: SocketAddr, config: Option<Arc<ClientConfig>>) -> TcpStream {
    let (response, tcp) = match config {
        None => {
            let mut tcp = TcpStream::connect(address).await.expect("it listens");
            (ask(&mut tcp, "/").await, tcp)
        }
        Some(config) => {
            let mut tls = tls(address, config).await;
            (ask(&mut tls, "/").await, tls.into_inner().0)
        }
    };
    assert!(response.ends_with(b"hello\n"));
    tcp
}
