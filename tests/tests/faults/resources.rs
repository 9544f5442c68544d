//! The server's process runs out of descriptors, or of memory.

use tokio::task::JoinSet;

use super::good::{Good, serve_each};
use super::menagerie::{Menagerie, exchange, send};
use super::pressure::Pressure;
use super::scene::{Server, Target};

/// Fewer descriptors than the server has open, so that it gets no new one.
const TOO_FEW: &str = "limit 3";
const ENOUGH: &str = "limit 8192";

/// How many clients connect meanwhile.
const WAITING: usize = 60;

/// At accept, and in a handler that opens a file.
pub(crate) async fn without_descriptors_nobody_is_accepted_and_nothing_is_lost() {
    let mut server = Server::start(&[]).await;
    let doors = server.doors();
    let mut menagerie = Menagerie::open(&mut server).await;
    let mut opens = doors.connect(Target::Plain, None).await;
    let open = b"GET /open HTTP/1.1\r\nHost: x\r\n\r\n";
    exchange(&mut opens, open, "200 OK").await;
    server.ask(TOO_FEW).await;
    let accepts = server.state().await.number("accepts");
    let mut waiting = JoinSet::new();
    for _ in 0..WAITING / 3 {
        let doors = doors.clone();
        waiting.spawn(async move { serve_each(&doors).await });
    }
    exchange(&mut opens, open, "503 Service Unavailable").await;
    menagerie.ask_again().await;
    // Closes need no descriptor.
    let state = server.until("closes end", |state| state.number("closing") == 0).await;
    assert_eq!(state.number("accepts"), accepts, "nobody is accepted: {state:#?}");
    server.ask(ENOUGH).await;
    while let Some(served) = waiting.join_next().await {
        served.expect("each client that waited is served");
    }
    exchange(&mut opens, open, "200 OK").await;
    drop(opens);
    menagerie.go(&mut server).await;
    server.assert_at_rest(false).await;
}

/// Responses that nobody takes: their clients have the kernel hold as much as it will.
const GREEDY: usize = 48;

/// The kernel takes less from everyone, and nobody is killed.
pub(crate) async fn memory_pressure_ends_no_server() {
    let mut server = Server::start(&[]).await;
    let (doors, good) = (server.doors(), Good::start(&server.doors()));
    let mut menagerie = Menagerie::open(&mut server).await;
    let pressure = Pressure::on(server.id());
    let mut greedy = Vec::new();
    for number in 0..GREEDY {
        let target = [Target::Plain, Target::Tls, Target::Own][number % 3];
        let mut client = doors.connect(target, None).await;
        send(&mut client, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
        greedy.push(client);
    }
    server.until("they are served", |state| state.running("large") >= GREEDY as u64).await;
    pressure.assert_felt().await;
    good.served_more(15).await;
    menagerie.ask_again().await;
    drop(greedy);
    good.assert_all_served().await;
    menagerie.go(&mut server).await;
    server.assert_at_rest(false).await;
    // It moves the process back.
    drop(pressure);
    assert!(server.exit().await.success());
}
