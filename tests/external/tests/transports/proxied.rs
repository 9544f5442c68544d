//! A stream that begins with the header of the PROXY protocol.

use std::io::ErrorKind;
use std::net::SocketAddr;

use proxy_header::{ProxiedAddress, ProxyHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_linger::{LingerIo, LingerLayer, Plain, Transport};
use tower_linger_external::proxied::{MAX_HEADER, Proxied};

use crate::common::{Certificate, VERSIONS, pair, proxied};
use crate::received;

const CLIENT: &str = "192.0.2.7:4711";

/// The header of version 2, for this client, or for a connection of the balancer's own.
fn version_2(client: Option<SocketAddr>) -> Vec<u8> {
    let header = match client {
        // The balancer's address has to be of the same family.
        Some(client) => {
            ProxyHeader::with_address(ProxiedAddress::stream(client, SocketAddr::new(client.ip(), 443)))
        }
        None => ProxyHeader::with_local(),
    };
    let mut bytes = Vec::new();
    header.encode_v2(&mut bytes).expect("it is written to memory");
    bytes
}

/// Each header, and the client that it names.
fn headers() -> Vec<(Vec<u8>, Option<SocketAddr>)> {
    let ipv4 = CLIENT.parse().ok();
    let ipv6 = "[2001:db8::7]:4711".parse().ok();
    vec![
        (b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n".to_vec(), ipv4),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n".to_vec(), ipv6),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (version_2(ipv4), ipv4),
        (version_2(ipv6), ipv6),
        (version_2(None), None),
    ]
}

#[tokio::test]
async fn what_follows_the_header_is_read_however_it_arrives() {
    for (header, client) in headers() {
        for at_once in [true, false] {
            let (mut balancer, server) = pair().await;
            let sent = [&header[..], b"hello"].concat();
            let sending = async {
                if at_once {
                    balancer.write_all(&sent).await.expect("loopback");
                } else {
                    balancer.set_nodelay(true).expect("a socket");
                    for byte in sent.chunks(1) {
                        balancer.write_all(byte).await.expect("loopback");
                        tokio::task::yield_now().await;
                    }
                }
            };
            let ((), proxied) = tokio::join!(sending, Proxied::accept(server));
            let mut proxied = proxied.expect("a header");
            assert_eq!(proxied.client(), client);
            let mut read = [0; 5];
            proxied.read_exact(&mut read[..2]).await.expect("loopback");
            proxied.read_exact(&mut read[2..]).await.expect("loopback");
            assert_eq!(&read, b"hello");
        }
    }
}

#[tokio::test]
async fn what_is_no_header_is_refused() {
    let endless = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".to_vec(), vec![0; MAX_HEADER]].concat();
    for sent in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"PROXY TCP4 192.0.2.7\r\n", b"PROXY TC", &endless] {
        let (mut balancer, server) = pair().await;
        balancer.write_all(sent).await.expect("loopback");
        balancer.shutdown().await.expect("loopback");
        let error = Proxied::accept(server).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    }
}

async fn ended<T: Transport>(
    io: impl FnOnce(Proxied<TcpStream>) -> T,
    end: fn(LingerIo<T>),
) -> (Vec<u8>, bool) {
    let (client, server) = pair().await;
    let (mut balancer, server) = proxied(client, server).await;
    let mut io = LingerLayer::default().wrap(io(server));
    io.write_all(b"half").await.expect("loopback");
    end(io);
    received(&mut balancer).await
}

#[tokio::test]
async fn an_abort_is_a_reset_through_it() {
    assert_eq!(ended(|proxied| proxied, LingerIo::abort).await, (b"half".to_vec(), true));
    assert_eq!(ended(Plain, LingerIo::abort).await, (b"half".to_vec(), false));
    let (_, is_reset) = ended(|proxied| proxied, LingerIo::reset).await;
    assert!(is_reset);
    assert_eq!(ended(Plain, LingerIo::reset).await, (b"half".to_vec(), false));
}

/// The first bytes of TLS come with the header. The client is answered in the middle of its upload.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_begins_behind_the_header_and_ends_properly() {
    let certificate = Certificate::make();
    for version in VERSIONS {
        for (header, address) in headers() {
            let (mut tcp, server) = pair().await;
            tcp.write_all(&header).await.expect("loopback");
            let linger = LingerLayer::default();
            let acceptor = certificate.rustls();
            let serving = async {
                let proxied = Proxied::accept(server).await.expect("a header");
                assert_eq!(proxied.client(), address);
                let mut io = linger.wrap(acceptor.accept(proxied).await.expect("loopback"));
                io.read_u8().await.expect("loopback");
                io.write_all(b"too large").await.expect("loopback");
                io.shutdown().await.expect("loopback");
            };
            let uploading = async {
                let mut client = certificate.connect(tcp, version, b"").await.expect("loopback");
                client.write_all(&vec![b'x'; 4 << 20]).await.expect("all of it is read");
                received(&mut client).await
            };
            let ((), seen) = tokio::join!(serving, uploading);
            assert_eq!(seen, (b"too large".to_vec(), false), "{version:?}");
            linger.tracker().shutdown(std::time::Duration::from_secs(10)).await;
        }
    }
}
