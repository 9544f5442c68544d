//! One side does not answer any more, or does not read.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::scene::{Held, Scene, check, endings, read_all};

/// Who waited in vain, and what it asked.
pub(crate) async fn each_silence_is_told_by_what_was_asked() {
    let list = endings! {
        Both data_of_the_server() => ["timeout by server (client silent: Retransmission)"];
        Both data_of_the_client() => ["timeout by client (server silent: Retransmission)"];
        Both a_fin() => ["timeout by server (client silent: Retransmission); server closed first"];
        Both a_keepalive() => ["timeout by server (GaveUp, 0 unread) (client silent: Keepalive)"];
        Both keepalives_that_are_answered() => ["normal by server"];
        Both a_window_that_opens() => ["normal by server*ZeroWindow of client*"];
        Both a_window_and_then_silence() => ["timeout by server (client silent: WindowProbe)*"];
    };
    check("silence", &list).await;
}

/// tcp(7), `TCP_USER_TIMEOUT`: the kernel gives up after this time without an acknowledgement.
fn give_up_soon(end: &TcpStream) {
    SockRef::from(end).set_tcp_user_timeout(Some(Duration::from_secs(1))).expect("Linux has it");
}

async fn data_of_the_server(scene: Scene) -> Held {
    let (mut server, client) = scene.idle().await;
    give_up_soon(&server);
    scene.to_client("drop");
    server.write_all(&[b'r'; 10_000]).await.expect("the kernel takes it");
    read_all(&mut server).await.expect_err("timed out");
    Box::new(client)
}

async fn data_of_the_client(scene: Scene) -> Held {
    let (server, mut client) = scene.idle().await;
    give_up_soon(&client);
    scene.to_server("drop");
    client.write_all(&[b'r'; 10_000]).await.expect("the kernel takes it");
    read_all(&mut client).await.expect_err("timed out");
    Box::new(server)
}

async fn a_fin(scene: Scene) -> Held {
    let (mut server, client) = scene.idle().await;
    give_up_soon(&server);
    scene.to_client("drop");
    server.shutdown().await.expect("the kernel takes it");
    read_all(&mut server).await.expect_err("timed out");
    Box::new(client)
}

/// Probes begin after a second, and come every second.
fn probe(server: &TcpStream) {
    let second = Duration::from_secs(1);
    let keepalive = TcpKeepalive::new().with_time(second).with_interval(second).with_retries(2);
    SockRef::from(server).set_tcp_keepalive(&keepalive).expect("Linux has it");
}

/// The kernel gives up with a reset, which the client does not get.
async fn a_keepalive(scene: Scene) -> Held {
    let (mut server, client) = scene.idle().await;
    probe(&server);
    scene.to_client("drop");
    read_all(&mut server).await.expect_err("timed out");
    Box::new(client)
}

async fn keepalives_that_are_answered(scene: Scene) {
    let (server, mut client) = scene.idle().await;
    probe(&server);
    timeout(Duration::from_millis(2500), client.read(&mut [0; 1])).await.expect_err("nothing comes");
    drop(server);
    assert_eq!(read_all(&mut client).await.expect("a FIN"), 0);
}

/// A client whose window is small, and its server.
async fn small(scene: Scene) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(scene.server).await.expect("the port is free");
    let socket = if scene.server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.expect("a socket");
    socket.set_recv_buffer_size(4096).expect("TCP");
    let (client, accepted) = tokio::join!(socket.connect(scene.server), listener.accept());
    (accepted.expect("loopback").0, client.expect("loopback"))
}

async fn a_window_that_opens(scene: Scene) {
    let (mut server, mut client) = small(scene).await;
    let response = vec![b'w'; 100_000];
    let writing = tokio::spawn(async move {
        server.write_all(&response).await.expect("the kernel takes it");
        drop(server);
    });
    timeout(Duration::from_millis(1500), std::future::pending::<()>()).await.expect_err("a pause");
    assert_eq!(read_all(&mut client).await.expect("a FIN"), 100_000);
    writing.await.expect("no panic");
}

async fn a_window_and_then_silence(scene: Scene) -> Held {
    let (mut server, client) = small(scene).await;
    give_up_soon(&server);
    server.write_all(&vec![b'w'; 100_000]).await.expect("the kernel takes it");
    scene.to_client("drop");
    read_all(&mut server).await.expect_err("timed out");
    Box::new(client)
}
