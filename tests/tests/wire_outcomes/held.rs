//! What a peer makes the kernel and the process hold, as SECURITY.md says.

use std::future::IntoFuture;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_linger::{ClosePolicy, LingerLayer, Outcome, close, serve};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::hostile::hello;
use tower_linger_tests::sockets::{Socket, connections};
use tower_linger_tests::until::until;

use super::memory::anonymous_kib;
use super::scene::{SERVER, connect, heal, on_the_way_to_the_client};

/// What wakes the close of a flood.
const GATHERED: u64 = 256 << 10;
/// What a peer has to send for that.
const FLOOD_BYTES: usize = 8 << 20;
/// Longer than any test.
const LONG: Duration = Duration::from_secs(100);

fn server_side() -> Socket {
    let found = connections(&[SERVER.port()]);
    found.into_iter().next().expect("the connection")
}

/// As much as can be, and a byte less wakes nobody.
pub(super) async fn a_flood_leaves_at_most_what_is_gathered_unread() {
    let (server, mut client) = connect().await;
    let policy = ClosePolicy::builder().drain_limit(LONG).drain_idle_timeout(LONG).build().expect("sensible");
    let closing = tokio::spawn(async move { close(server, &policy).await });
    client.write_all(&vec![0; FLOOD_BYTES]).await.expect("it is drained");
    until("the flood is read or gathered", || server_side().unread < GATHERED).await;
    // From here to the next wake-up: what is sent byte by byte costs the kernel the most for each byte.
    client.set_nodelay(true).expect("it is a socket");
    let mut most = Socket::default();
    for _ in 0..60 {
        for _ in 0..7 {
            client.write_all(&[0; 1000]).await.expect("it is drained");
        }
        let now = server_side();
        if now.receive_memory > most.receive_memory {
            most = now;
        }
        assert!(most.unread <= GATHERED + 7000, "{most:?}");
    }
    assert!(most.unread > GATHERED / 2, "nothing is gathered: {most:?}");
    println!("{most:?}");
    // The kernel counts its own overhead, and wakes the reader before its buffer is full.
    assert!(most.receive_memory <= 16 * GATHERED, "{most:?}");
    drop(client);
    assert_eq!(closing.await.expect("no panic").outcome, Outcome::PeerClosed { close_notify: false });
}

/// What was gathered is read at the end, so that it causes no reset, and none of it stays.
pub(super) async fn a_released_flood_leaves_nothing_unread() {
    let (server, mut client) = connect().await;
    let policy = ClosePolicy::builder().drain_idle_timeout(Duration::from_millis(200)).build();
    let policy = policy.expect("sensible");
    let closing = tokio::spawn(async move { close(server, &policy).await });
    client.write_all(&vec![0; FLOOD_BYTES]).await.expect("it is drained");
    let report = closing.await.expect("no panic");
    assert_eq!((report.outcome, report.bytes_drained), (Outcome::DrainIdle, FLOOD_BYTES as u64));
    let left: Vec<_> = connections(&[SERVER.port()]).into_iter().filter(|it| it.receive_memory > 0).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The response is larger than what the kernel takes; the rest stays with the application until the close
/// gives up.
pub(super) async fn a_peer_that_reads_nothing_makes_the_kernel_hold_a_send_buffer_and_no_more() {
    let listener = TcpListener::bind(SERVER).await.expect("the port is free");
    let small = TcpSocket::new_v4().expect("a socket");
    small.set_recv_buffer_size(1).expect("a size");
    let (client, accepted) = tokio::join!(small.connect(SERVER), listener.accept());
    let (_client, (mut server, _)) = (client.expect("loopback"), accepted.expect("loopback"));
    let writing = tokio::spawn(async move {
        let _ = server.write_all(&vec![0; 64 << 20]).await;
        server
    });
    let mut before = 0;
    until("the kernel takes no more", || {
        let now = server_side().send_memory;
        now > 0 && std::mem::replace(&mut before, now) == now
    })
    .await;
    let held = server_side();
    println!("{held:?}");
    assert!(held.send_memory <= most_to_send() + (1 << 20), "{held:?}");
    writing.abort();
}

/// The third number of `tcp_wmem`.
fn most_to_send() -> u64 {
    let wmem = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_wmem").expect("procfs is there");
    wmem.split_whitespace().nth(2).and_then(|most| most.parse().ok()).expect("three numbers")
}

/// The close is over after its idle timeout, and the process has forgotten the connection. The kernel goes on
/// for as long as the policy says.
pub(super) async fn a_peer_that_vanished_leaves_an_orphan_until_the_orphan_timeout() {
    const RESPONSE: usize = 10_000;
    let (mut server, _client) = connect().await;
    on_the_way_to_the_client("drop");
    server.write_all(&[b'.'; RESPONSE]).await.expect("the kernel takes it");
    let policy = ClosePolicy::builder().drain_idle_timeout(Duration::from_millis(500));
    let policy = policy.orphan_timeout(Duration::from_secs(2)).build().expect("sensible");
    let report = close(server, &policy).await;
    assert_eq!((report.outcome, report.unacked), (Outcome::DrainIdle, Some(RESPONSE as u64)));
    let orphan = server_side();
    assert_eq!((orphan.state.as_str(), orphan.has_process), ("FIN-WAIT-1", false));
    assert_eq!(orphan.unacknowledged, RESPONSE as u64 + 1, "the FIN counts as one");
    assert!((RESPONSE as u64..8 * RESPONSE as u64).contains(&orphan.send_memory), "{orphan:?}");
    until("the kernel gives up", || connections(&[SERVER.port()]).is_empty()).await;
    heal();
}

/// Memory of this process for each connection; that of the clients, which are sockets only, included.
pub(super) async fn a_served_connection_and_a_handshake_hold_a_bounded_number_of_bytes() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("may be raised to the hard limit");
    let certs = Certs::make();
    let linger = LingerLayer::default();
    let plain = TcpListener::bind(SERVER).await.expect("the port is free");
    let tls = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let tls_at = tls.local_addr().expect("bound");
    let app = Router::new().route("/", get(async || "hello\n"));
    let plain = tokio::spawn(serve(plain, app.clone()).linger(linger.clone()).into_future());
    let config = certs.server(&Version::ALL, ClientAuth::None);
    let tls = tokio::spawn(serve(tls, app).linger(linger.clone()).tls(config).into_future());
    let connector = TlsConnector::from(Arc::new(certs.client(&Version::ALL)));
    let hello = hello();

    let is_there = |count| until("all are served", move || linger.tracker().served() >= count);
    let kept = bytes_each(async || ask(TcpStream::connect(SERVER).await.expect("it listens")).await).await;
    let begun = bytes_each(async || {
        let mut client = std::net::TcpStream::connect(tls_at).expect("it listens");
        client.write_all(&hello).expect("it fits");
        client.set_nonblocking(true).expect("a socket");
        let mut client = TcpStream::from_std(client).expect("a socket");
        client.read_exact(&mut [0; 5]).await.expect("a ServerHello");
        client
    })
    .await;
    let kept_tls = bytes_each(async || {
        let client = ask(over_tls(&connector, tls_at).await).await;
        // The client's session is not the server's memory.
        client.into_inner().0
    })
    .await;
    is_there(3).await;
    println!("kept {kept}, half a handshake {begun}, kept over TLS {kept_tls} bytes");
    for (what, held, most) in
        [("kept", kept, KEPT), ("begun", begun, BEGUN), ("kept, TLS", kept_tls, KEPT_TLS)]
    {
        assert!(held <= most, "{what}: {held} bytes");
        assert!(held > 500, "{what}: {held} bytes cannot be all");
    }
    plain.abort();
    tls.abort();
}

const KEPT: usize = 32 << 10;
const BEGUN: usize = 32 << 10;
const KEPT_TLS: usize = 64 << 10;

async fn bytes_each<T>(connect: impl AsyncFn() -> T) -> usize {
    const COUNT: usize = 200;
    let mut held = Vec::with_capacity(COUNT + 50);
    // The first ones also allocate what all share.
    for _ in 0..50 {
        held.push(connect().await);
    }
    let before = anonymous_kib();
    for _ in 0..COUNT {
        held.push(connect().await);
    }
    let more = anonymous_kib().saturating_sub(before);
    usize::try_from(more).expect("it fits into memory") * 1024 / COUNT
}

async fn ask<T: AsyncReadExt + AsyncWriteExt + Unpin>(mut io: T) -> T {
    io.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it is read");
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello\n") {
        assert!(io.read_buf(&mut answer).await.expect("it answers") > 0);
    }
    io
}

async fn over_tls(connector: &TlsConnector, server: SocketAddr) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(server).await.expect("it listens");
    // The request would wait for the acknowledgement of the client's last flight.
    tcp.set_nodelay(true).expect("a socket");
    connector.connect("localhost".try_into().expect("a name"), tcp).await.expect("it is trusted")
}
