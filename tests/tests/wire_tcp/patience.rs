//! Slow clients of servers with short bounds.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::Layer as _;
use tower_linger::{ClosePolicy, Outcome, Shutdown, close};
use tower_linger_tests::peer::Client;
use tower_linger_tests::server::{Http, accept_loop, listen, reporting};
use tower_linger_tests::wire::ResetWatch;

use super::common::{LARGE_BYTES, app, last_request};

/// CONFORMANCE 14: the drain ends long before the client has read anything, and yet the client gets
/// everything: after the release the kernel still delivers what was flushed, and the FIN.
pub(crate) async fn a_slow_reader_gets_everything_although_the_drain_is_short() {
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let client = Client::plain(address, Some(64 << 10));
    let (client, accepted) = tokio::join!(client, listener.accept());
    let (mut client, server) = (client.expect("loopback"), accepted.expect("loopback").0);
    let resets = ResetWatch::start(address.port()).expect("captures");
    server.set_nodelay(true).expect("a TCP socket");
    // As much as the socket takes, so that nothing is left for the close to flush.
    let mut sent = 0;
    while let Ok(bytes) = server.try_write(&[b'a'; 16 << 10]) {
        sent += bytes;
    }
    assert!(sent > 1 << 20, "only {sent} bytes fit into the socket");
    let tenth = Duration::from_millis(100);
    let policy = ClosePolicy::builder().drain_idle_timeout(tenth).build().expect("makes sense");
    let report = close(server, &policy).await;
    assert_eq!(report.outcome, Outcome::DrainIdle);
    assert!(report.unacked.is_some_and(|unacked| unacked > 1 << 19), "{report}");
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.expect("no reset");
    assert_eq!(received.len(), sent);
    drop(client);
    resets.assert_none(report);
}

/// CONFORMANCE 31: silent clients are cut at the deadline, and a response in transfer arrives whole.
pub(crate) async fn a_shutdown_ends_silent_lingerers_and_completes_a_response_in_transfer() {
    const SILENT: usize = 50;
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let http = Http::new(app());
    let server = accept_loop(listen().await, linger.layer(http.clone()));
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        let mut client = TcpStream::connect(server.address).await.expect("loopback");
        client.write_all(&last_request("/small")).await.expect("loopback");
        client.read_to_end(&mut Vec::new()).await.expect("the whole response, then FIN");
        silent.push(client);
    }
    let mut reading = Client::plain(server.address, Some(64 << 10)).await.expect("loopback");
    reading.write_all(&last_request("/large")).await.expect("loopback");
    let mut head = [0; 100];
    reading.read_exact(&mut head).await.expect("its beginning");

    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(2));
    shutdown.handle().request();
    http.shut_down();
    let transfer = async move {
        let mut received = head.to_vec();
        reading.read_to_end(&mut received).await.expect("no reset");
        received
    };
    let (received, (_, summary)) = tokio::join!(transfer, shutdown.finish(async {}));
    let body = received.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a whole head") + 4;
    assert_eq!(received.len() - body, LARGE_BYTES);
    assert_eq!(summary.count(Outcome::ShutdownCut), SILENT as u64, "{summary}");
    linger.tracker().wait().await;
    let mut outcomes = 0;
    while reports.try_recv().is_ok() {
        outcomes += 1;
    }
    assert_eq!(outcomes, SILENT + 1, "each is reported");
}
