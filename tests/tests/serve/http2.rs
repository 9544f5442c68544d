//! The ends of HTTP/2 connections.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::Request;
use axum::routing::get;
use h2::client::{Connection, SendRequest, handshake};
use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tower_linger::{Limits, Outcome};

use crate::scene::{Running, SECOND, app};

async fn connect(server: &Running) -> (SendRequest<Bytes>, Connection<DuplexStream, Bytes>) {
    handshake(server.network.connect().0).await.expect("a server of HTTP/2")
}

fn drive(connection: Connection<DuplexStream, Bytes>) -> JoinHandle<Result<(), h2::Error>> {
    tokio::spawn(connection)
}

async fn ask(client: &mut SendRequest<Bytes>, path: &str) -> Result<Bytes, h2::Error> {
    let mut client = client.clone().ready().await?;
    let request = Request::get(format!("http://a{path}")).body(()).expect("valid");
    let mut body = client.send_request(request, true)?.0.await?.into_body();
    let mut whole = Vec::new();
    while let Some(part) = body.data().await {
        whole.extend_from_slice(&part?);
    }
    Ok(whole.into())
}

/// RFC 9113 §6.8: streams that the client has begun are completed, and it opens no further ones here.
#[tokio::test(start_paused = true)]
async fn at_the_notice_clients_get_goaway_and_their_streams_are_completed() {
    let (called, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (calls, opened) = (called.clone(), gate.clone());
    let app = app().route(
        "/slow",
        get(async move || {
            calls.notify_one();
            opened.notified().await;
            "slow"
        }),
    );
    let server = Running::start(app, Limits::default(), 5 * SECOND, 10 * SECOND);
    let (mut client, connection) = connect(&server).await;
    let connection = drive(connection);
    let slow = tokio::spawn({
        let mut client = client.clone();
        async move { ask(&mut client, "/slow").await }
    });
    called.notified().await;
    server.shutdown.request();
    let refused = loop {
        // Streams that cross the GOAWAY on the way are answered.
        match ask(&mut client, "/").await {
            Ok(answer) => assert_eq!(answer, "hello"),
            Err(error) => break error,
        }
    };
    assert!(refused.is_go_away() && refused.reason() == Some(h2::Reason::NO_ERROR), "{refused:?}");
    gate.notify_one();
    assert_eq!(slow.await.expect("no panic").expect("it was under way"), "slow");
    drop(client);
    connection.await.expect("no panic").expect("a clean end");

    // A new connection has one request.
    let (mut client, connection) = connect(&server).await;
    let connection = drive(connection);
    assert_eq!(ask(&mut client, "/").await.expect("the server still accepts"), "hello");
    connection.await.expect("no panic").expect("a clean end");
    // A client that is gone early counts as a reset: here the pipe breaks.
    let summary = server.ended.await.expect("no panic");
    assert_eq!((summary.total(), summary.count(Outcome::ShutdownCut)), (2, 0), "{summary}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_by_goaway_after_the_idle_timeout() {
    let server = Running::limited(Limits::default());
    let (mut client, connection) = connect(&server).await;
    let connection = drive(connection);
    let began = Instant::now();
    sleep_until(began + 20 * SECOND).await;
    let _hello = ask(&mut client, "/").await.expect("within the time for the first request");
    sleep_until(began + 90 * SECOND).await;
    let _hello = ask(&mut client, "/").await.expect("within the idle timeout");
    connection.await.expect("no panic").expect("a clean end");
    assert_eq!(began.elapsed(), (90 + 75) * SECOND);
}

/// The engine waits for the answer to its PING; that wait has a bound, too.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_answer_a_ping_is_dropped_five_seconds_after_the_goaway() {
    let server = Running::limited(Limits::default());
    let (mut client, mut connection) = connect(&server).await;
    tokio::select! {
        answer = ask(&mut client, "/") => drop(answer.expect("it is served")),
        ended = &mut connection => panic!("{ended:?}"),
    }
    let answered = Instant::now();
    sleep_until(answered + 79 * SECOND).await;
    assert_eq!(server.tracker.served(), 1);
    sleep_until(answered + 81 * SECOND).await;
    assert_eq!(server.tracker.served(), 0);
    drop(connection);
}
