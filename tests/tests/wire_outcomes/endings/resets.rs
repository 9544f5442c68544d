//! Resets by one of the two ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_linger_tests::until::until;

use super::scene::{REQUEST, RESPONSE, Scene, check, endings, exchange, read_all};
use crate::scene::ss;

/// Who reset, what the reset follows on, and what it cost.
pub(crate) async fn each_reset_has_its_cause() {
    let list = endings! {
        Both zero_linger_of_the_client() => ["reset by client (Abort, 0 unread)"];
        Both zero_linger_of_the_server() => ["reset by server (Abort, 0 unread)"];
        Both zero_linger_after_the_others_fin() => ["reset by client (Abort, 0 unread); server closed first"];
        Both unread_at_the_server() => [
            "reset by server (UnreadData, 1000 unread, while sending); \
             ResetWhileReceiving by server: 1000 unread, 0 late, 0 lost"
        ];
        // Little does not show in the window: this might as well be an abort.
        Both unread_at_the_client() => ["reset by client (Abort, 0 unread)"];
        Both unread_of_a_download() => [
            "reset by client (UnreadData, * unread, while sending); ResetWhileReceiving by client: *"
        ];
        Both unread_of_an_upload() => [
            "reset by server (UnreadData, * unread, while sending); ResetWhileReceiving by server: *"
        ];
        Both late_data() => [
            "reset by server (AnswersLateSegment, 0 unread, while sending); server closed first; \
             ResetWhileReceiving by server: 0 unread, 500 late, 0 lost; DataAfterClose of server: 500"
        ];
        Both unread_after_the_fin() => [
            "reset by server (AfterFin, 700 unread, while sending); server closed first; \
             ResetWhileReceiving by server: 700 unread, 0 late, 0 lost"
        ];
        Both a_request_crosses_the_fin() => [
            "reset by server (AnswersLateSegment, 0 unread, while sending); server closed first; \
             ResetWhileReceiving by server: 0 unread, 27 late, 0 lost; DataAfterClose of server: 27; \
             KeepAliveRace: 27"
        ];
        Both destroyed() => ["reset by server (Abort, 0 unread)"];
        Both destroyed_after_the_fin() => ["reset by server (AfterFin, 0 unread); server closed first"];
    };
    check("resets", &list).await;
}

async fn zero_linger_of_the_client(scene: Scene) {
    let (mut server, client) = scene.idle().await;
    client.set_zero_linger().expect("TCP");
    release(client);
    read_all(&mut server).await.expect_err("reset");
}

async fn zero_linger_of_the_server(scene: Scene) {
    let (server, mut client) = scene.idle().await;
    server.set_zero_linger().expect("TCP");
    release(server);
    read_all(&mut client).await.expect_err("reset");
}

async fn zero_linger_after_the_others_fin(scene: Scene) {
    let (mut server, mut client) = scene.idle().await;
    server.shutdown().await.expect("loopback");
    assert_eq!(read_all(&mut client).await.expect("a FIN"), 0);
    client.set_zero_linger().expect("TCP");
    release(client);
    read_all(&mut server).await.expect_err("reset");
}

async fn unread_at_the_server(scene: Scene) {
    let (server, mut client) = scene.idle().await;
    client.write_all(&[b'x'; 1000]).await.expect("loopback");
    scene.unread(&server, 1000).await;
    release(server);
    read_all(&mut client).await.expect_err("reset");
}

async fn unread_at_the_client(scene: Scene) {
    let (mut server, mut client) = scene.connect().await;
    client.write_all(REQUEST).await.expect("loopback");
    server.read_exact(&mut [0; REQUEST.len()]).await.expect("loopback");
    server.write_all(RESPONSE).await.expect("loopback");
    scene.unread(&client, RESPONSE.len()).await;
    release(client);
    read_all(&mut server).await.expect_err("reset");
}

async fn unread_of_an_upload(scene: Scene) {
    let (mut server, mut client) = scene.connect().await;
    client.write_all(b"PUT / HTTP/1.1\r\nContent-Length: 8388608\r\n\r\n").await.expect("loopback");
    server.read_exact(&mut [0; 16]).await.expect("loopback");
    let uploading = tokio::spawn(async move {
        let end = client.write_all(&vec![b'x'; 8 << 20]).await;
        (client, end)
    });
    scene.unread(&server, 100_000).await;
    server.write_all(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n").await.expect("loopback");
    release(server);
    let (_client, end) = uploading.await.expect("no panic");
    end.expect_err("reset");
}

async fn unread_of_a_download(scene: Scene) {
    let (mut server, mut client) = scene.connect().await;
    client.write_all(REQUEST).await.expect("loopback");
    server.read_exact(&mut [0; REQUEST.len()]).await.expect("loopback");
    let answering = tokio::spawn(async move {
        let end = server.write_all(&vec![b'x'; 8 << 20]).await;
        (server, end)
    });
    scene.unread(&client, 100_000).await;
    release(client);
    let (_server, end) = answering.await.expect("no panic");
    end.expect_err("reset");
}

async fn late_data(scene: Scene) {
    let (server, mut client) = scene.idle().await;
    release(server);
    assert_eq!(client.read(&mut [0; 1]).await.expect("a FIN"), 0);
    client.write_all(&[b'y'; 500]).await.expect("the kernel takes it");
    gone(&mut client).await;
}

async fn unread_after_the_fin(scene: Scene) {
    let (mut server, mut client) = scene.idle().await;
    server.shutdown().await.expect("loopback");
    assert_eq!(client.read(&mut [0; 1]).await.expect("a FIN"), 0);
    client.write_all(&[b'z'; 700]).await.expect("loopback");
    scene.unread(&server, 700).await;
    release(server);
    gone(&mut client).await;
}

/// RFC 9112 §9.5: the client sends its next request before it sees that the server has closed.
async fn a_request_crosses_the_fin(scene: Scene) {
    let (mut server, mut client) = scene.connect().await;
    exchange(&mut server, &mut client).await;
    timeout(IDLE, client.read(&mut [0; 1])).await.expect_err("nothing comes");
    scene.to_client("tcp flags & fin == fin drop");
    release(server);
    let port = format!(":{}", scene.server.port());
    until("the FIN is out", || !ss(&["-Htan", "state", "fin-wait-1", "sport", "=", &port]).is_empty()).await;
    client.write_all(REQUEST).await.expect("the kernel takes it");
    read_all(&mut client).await.expect_err("reset");
}

/// `ss -K`: the kernel aborts the connection in the name of an administrator.
async fn destroyed(scene: Scene) {
    let (mut server, mut client) = scene.idle().await;
    ss(&["-K", "sport", "=", &format!(":{}", scene.server.port())]);
    read_all(&mut server).await.expect_err("aborted");
    read_all(&mut client).await.expect_err("reset");
}

async fn destroyed_after_the_fin(scene: Scene) {
    let (mut server, mut client) = scene.idle().await;
    server.shutdown().await.expect("loopback");
    assert_eq!(client.read(&mut [0; 1]).await.expect("a FIN"), 0);
    ss(&["-K", "sport", "=", &format!(":{}", scene.server.port())]);
    read_all(&mut server).await.expect_err("aborted");
    gone(&mut client).await;
}

/// Closes a socket, and returns when the kernel has done it. Dropping it may take a moment longer: tokio's other
/// thread holds it while it looks for events.
fn release(end: TcpStream) {
    drop(end.into_std().expect("a socket"));
}

/// Waits until a reset has reached this end, which had read the other's FIN: reads say nothing then.
async fn gone(end: &mut TcpStream) {
    until("the reset", || end.take_error().expect("a socket").is_some() || end.peer_addr().is_err()).await;
}

/// Long enough that nobody takes the request for one that was pipelined.
const IDLE: Duration = Duration::from_secs(1);
