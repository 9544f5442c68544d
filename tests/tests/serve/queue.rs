//! Clients that the kernel has accepted and the server has not, when the server stops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower_linger::axum::LingerListener;
use tower_linger::{ExclusiveListener, LingerLayer, Listener, SharedListener, Shutdown, Tracker, serve};
use tower_linger_tests::server::listen;
use tower_linger_tests::until::until;

use crate::scene::app;

/// A SYN that is dropped is sent again, and refused when the listener is gone. One that is answered is
/// followed by a request, and by a reset when the listener is gone.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn while_a_listener_refuses_nobody_connects_and_who_is_in_the_queue_is_accepted() {
    let mut listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let mut queued = TcpStream::connect(address).await.expect("loopback");
    assert!(listener.set_refuses_new(true));
    let late = tokio::spawn(TcpStream::connect(address));
    until("the late client has sent its SYN", || has_sent_syn(address)).await;
    let (mut accepted, _) = TcpListener::accept(&listener).await.expect("it was in the queue");
    queued.write_all(b"request").await.expect("connected");
    let mut request = [0; 7];
    accepted.read_exact(&mut request).await.expect("it was sent");
    assert!(!late.is_finished(), "the SYN was answered");
    drop(listener);
    let refused = late.await.expect("no panic").expect_err("nobody listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

/// Another process may have the same socket: it must get its clients afterwards.
#[tokio::test]
async fn a_shared_socket_gets_clients_when_one_of_its_servers_has_stopped() {
    let (listener, shared) = twice().await;
    let address = shared.local_addr().expect("bound");
    stop_at_once(SharedListener(listener)).await;
    let meets = async { tokio::join!(TcpStream::connect(address), shared.accept()) };
    let (connected, accepted) = timeout(Duration::from_secs(60), meets).await.expect("it is not refused");
    assert!(connected.is_ok() && accepted.is_ok());
}

/// The same for a socket that nobody has called shared, and for one that a killed process has left refusing.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_socket_refuses_for_longer_than_its_server_stops() {
    let (listener, mut next) = twice().await;
    let address = next.local_addr().expect("bound");
    stop_at_once(listener).await;
    let connected = timeout(Duration::from_secs(60), TcpStream::connect(address)).await;
    drop(connected.expect("it is not refused").expect("it is in the queue"));

    assert!(next.set_refuses_new(true));
    let late = tokio::spawn(TcpStream::connect(address));
    until("the late client has sent its SYN", || has_sent_syn(address)).await;
    let server = tokio::spawn(serve(next, app()).into_future());
    let connected = timeout(Duration::from_secs(60), late).await.expect("a SYN is sent again");
    ask(connected.expect("no panic").expect("it is served")).await.expect("an answer");
    server.abort();
}

/// The second descriptor shows what the socket does at its last moment.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_exclusive_socket_refuses_to_its_end() {
    let (listener, second) = twice().await;
    let address = second.local_addr().expect("bound");
    stop_at_once(ExclusiveListener(listener)).await;
    let late = tokio::spawn(TcpStream::connect(address));
    until("the late client has sent its SYN", || has_sent_syn(address)).await;
    assert!(timeout(Duration::ZERO, second.accept()).await.is_err(), "the SYN was answered");
    drop(second);
    let refused = late.await.expect("no panic").expect_err("nobody listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

/// Two descriptors of one socket.
async fn twice() -> (TcpListener, TcpListener) {
    let listener = listen().await.into_std().expect("a socket");
    let second = listener.try_clone().expect("a descriptor");
    let tokio = |listener| TcpListener::from_std(listener).expect("a listener");
    (tokio(listener), tokio(second))
}

async fn stop_at_once(listener: impl Listener) {
    let shutdown = Shutdown::new(Tracker::new(), Duration::from_secs(10));
    shutdown.handle().request();
    assert_eq!(serve(listener, app()).graceful(shutdown).await.total(), 0);
}

/// A listener that is closed resets its queue: this is what the server has to prevent.
#[tokio::test]
async fn a_listener_that_is_dropped_resets_its_queue() {
    let listener = listen().await;
    let mut queued = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("loopback");
    drop(listener);
    let seen = queued.read_u8().await.expect_err("it was reset");
    assert_eq!(seen.kind(), io::ErrorKind::ConnectionReset);
}

/// Whether a client waits for the answer to its SYN. The kernel shows addresses and ports in hexadecimal, the
/// peer's after our own, and then the state, of which 02 is SYN-SENT.
#[cfg(target_os = "linux")]
fn has_sent_syn(to: SocketAddr) -> bool {
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("a proc file system");
    let wanted = format!("0100007F:{:04X} 02", to.port());
    table.contains(&wanted)
}

/// Clients that connect without a pause while the server stops are answered or refused, and none is
/// connected and then lost.
#[tokio::test(flavor = "multi_thread")]
async fn no_client_that_connects_while_the_server_stops_is_lost() {
    for _ in 0..5 {
        let shutdown = Shutdown::new(Tracker::new(), Duration::from_secs(60));
        let handle = shutdown.handle();
        let listener = listen().await;
        let address = listener.local_addr().expect("bound");
        let server = serve(ExclusiveListener(listener), app()).graceful(shutdown);
        let ended = tokio::spawn(server.into_future());
        let (answered, lost) = connect_until_refused(address, || handle.request()).await;
        assert!(answered >= BEFORE);
        assert_eq!(lost, 0, "of {answered}");
        let summary = ended.await.expect("no panic");
        assert_eq!(summary.total(), answered as u64, "{summary}");
    }
}

/// The same as users have it by hand today. Whether a client is just in the queue is luck, hence several
/// tries.
#[tokio::test(flavor = "multi_thread")]
async fn with_axum_serve_such_clients_are_lost() {
    let mut all = 0;
    for _ in 0..100 {
        let linger = LingerLayer::default();
        let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(60));
        let handle = shutdown.handle();
        let listener = listen().await;
        let address = listener.local_addr().expect("bound");
        let served = axum::serve(LingerListener::new(listener, linger), app())
            .with_graceful_shutdown(shutdown.requested());
        let ended = tokio::spawn(shutdown.finish(served));
        let (_, lost) = connect_until_refused(address, || handle.request()).await;
        all += lost;
        ended.abort();
        if all > 0 {
            return;
        }
    }
    panic!("no client was lost");
}

/// Clients connect and ask, one connection for each request, until they are refused. Calls `stop` in the
/// middle of that. Returns how many were answered, and how many were connected and not answered.
async fn connect_until_refused(address: SocketAddr, stop: impl Fn()) -> (usize, usize) {
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let answered = answered.clone();
        clients.spawn(async move {
            let mut lost = 0;
            while let Ok(stream) = TcpStream::connect(address).await {
                match ask(stream).await {
                    Ok(()) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                    Err(_) => lost += 1,
                }
            }
            lost
        });
    }
    until("all clients are under way", || answered.load(Ordering::Relaxed) >= BEFORE).await;
    stop();
    let lost = clients.join_all().await.into_iter().sum();
    (answered.load(Ordering::Relaxed), lost)
}

async fn ask(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    if answer.starts_with(b"HTTP/1.1 ") { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

const CLIENTS: usize = 16;
/// How many requests are answered before the server stops.
const BEFORE: usize = 100;
