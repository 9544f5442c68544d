//! Clients of [`servers`](crate::servers). Each sends one request.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;

/// A TLS configuration that trusts any server, because the certificate is made in the server's process.
///
/// # Panics
///
/// Never: it reads no certificates.
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

/// Sends the last request of a connection, for this path, and reads until the server ends its side. Returns
/// the response.
///
/// # Panics
///
/// If the connection fails before that.
pub async fn ask(io: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> Vec<u8> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    io.write_all(request.as_bytes()).await.expect("it reads");
    let mut response = Vec::new();
    io.read_to_end(&mut response).await.expect("it ends cleanly");
    response
}

/// Makes a connection that has received its response and the end of the server's data, and stays open on the
/// client's side. The server lingers on it.
///
/// # Panics
///
/// If the response is not complete.
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
