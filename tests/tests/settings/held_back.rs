//! Settings that hold the FIN back, although hyper shuts the connection down itself.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_linger::{Outcome, Phase, close};
use tower_linger_tests::peer::Client;
use tower_linger_tests::server::{Engine, listen};
use tower_linger_tests::until::until;

use super::scene::{ANSWER, LONG, Scene, long, within};

const FOR_THE_OTHER: &[u8] = b"for the other descriptor";

/// Reads the whole response, but not the end of the connection.
async fn read_answer(client: &mut Client) {
    let mut received = Vec::new();
    while !received.ends_with(ANSWER.as_bytes()) {
        let bytes = within(client.read_buf(&mut received)).await.expect("it is answered");
        assert!(bytes > 0, "the answer is whole");
    }
}

/// Whether the server's FIN has arrived.
fn has_ended(client: &Client) -> bool {
    match client.tcp().try_read(&mut [0; 1]) {
        Ok(bytes) => bytes == 0,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    }
}

/// Without the setting the server sends its FIN first, while the client's side is open.
#[tokio::test]
async fn peer_closes_first_sends_no_fin_before_the_clients() {
    for engine in Engine::ALL {
        let mut scene = Scene::plain(engine, long().peer_closes_first(LONG)).await;
        let mut client = scene.asked("/").await;
        read_answer(&mut client).await;
        // By then hyper has sent everything that it had to send.
        until("the close begins", || scene.linger.tracker().closing() == 1).await;
        assert!(!has_ended(&client) && scene.has_no_report(), "{engine:?}");
        client.shutdown().await.expect("loopback");
        assert_eq!(within(client.read(&mut [0; 1])).await.expect("a FIN"), 0, "{engine:?}");
        let report = scene.report().await;
        assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false }, "{engine:?}");
        assert!(!report.time_in(Phase::PeerFirst).is_zero(), "{engine:?}: {report}");

        let mut scene = Scene::plain(engine, long()).await;
        let client = scene.answered().await;
        assert!(has_ended(&client) && scene.has_no_report(), "{engine:?}");
        drop(client);
        assert!(scene.report().await.time_in(Phase::PeerFirst).is_zero(), "{engine:?}");
    }
}

#[tokio::test]
async fn without_half_close_leaves_the_connection_to_the_other_descriptor() {
    for engine in Engine::ALL {
        let mut scene = Scene::shared(engine, long().without_half_close()).await;
        let mut client = scene.asked("/").await;
        read_answer(&mut client).await;
        let report = scene.report().await;
        assert_eq!((report.outcome, report.bytes_drained), (Outcome::LeftOpen, 0), "{engine:?}");
        assert!(!has_ended(&client), "{engine:?}");

        let mut other = scene.descriptor().await;
        client.write_all(FOR_THE_OTHER).await.expect("loopback");
        let mut received = [0; FOR_THE_OTHER.len()];
        within(other.read_exact(&mut received)).await.expect("nobody took it");
        assert_eq!(received, FOR_THE_OTHER, "{engine:?}");
        other.write_all(b"!").await.expect("loopback");
        assert_eq!(within(client.read_u8()).await.expect("it works"), b'!', "{engine:?}");
        drop(other);
        assert_eq!(within(client.read(&mut [0; 1])).await.expect("a FIN"), 0, "{engine:?}");
    }
}

#[tokio::test]
async fn without_half_close_leaves_what_has_arrived_to_the_other_descriptor() {
    let policy = long().without_half_close().build().expect("makes sense");
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let mut client = TcpStream::connect(address).await.expect("loopback");
    let (io, _) = listener.accept().await.expect("loopback");
    let io = io.into_std().expect("a socket");
    let mut other = TcpStream::from_std(io.try_clone().expect("a descriptor")).expect("a runtime");
    let io = TcpStream::from_std(io).expect("a runtime");
    client.write_all(FOR_THE_OTHER).await.expect("loopback");
    within(other.readable()).await.expect("it arrives");
    let report = close(io, &policy).await;
    assert_eq!((report.outcome, report.bytes_drained), (Outcome::LeftOpen, 0));
    let mut received = [0; FOR_THE_OTHER.len()];
    within(other.read_exact(&mut received)).await.expect("nobody took it");
    assert_eq!(received, FOR_THE_OTHER);
}
