//! Opens the connections: TCP or a Unix socket, and the PROXY protocol's header before TLS and HTTP.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::route::Via;
use crate::target::Target;

/// Connects to a target, and sends the PROXY protocol's header if the target asks for it. `receive_buffer`
/// applies to TCP only.
pub(crate) async fn dial(target: &Target, receive_buffer: Option<u32>) -> io::Result<TcpStream> {
    let mut stream = match &target.via {
        Via::Tcp => dial_tcp(target, receive_buffer).await?,
        Via::Unix(path) => dial_unix(path).await?,
    };
    if let Some(version) = target.proxy_protocol {
        // A Unix socket has no IP addresses.
        let addresses = stream.local_addr().and_then(|from| Ok((from, stream.peer_addr()?))).ok();
        stream.write_all(&version.header(addresses)).await?;
    }
    Ok(stream)
}

async fn dial_tcp(target: &Target, receive_buffer: Option<u32>) -> io::Result<TcpStream> {
    let socket = if target.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    let stream = socket.connect(target.address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects to a Unix socket. It is then used as a `TcpStream`, because reads, writes, half-closes and errors
/// are the same system calls. TCP options and addresses fail on it.
#[cfg(unix)]
async fn dial_unix(path: &std::path::Path) -> io::Result<TcpStream> {
    let stream = tokio::net::UnixStream::connect(path).await?.into_std()?;
    TcpStream::from_std(std::os::fd::OwnedFd::from(stream).into())
}

#[cfg(not(unix))]
#[allow(clippy::unused_async, reason = "the signature of the Unix version")]
async fn dial_unix(_: &std::path::Path) -> io::Result<TcpStream> {
    Err(io::ErrorKind::Unsupported.into())
}
