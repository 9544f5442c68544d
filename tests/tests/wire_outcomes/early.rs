//! Early release: the client has acknowledged everything and is quiet.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_linger::{ClosePolicy, Outcome, close};
use tower_linger_tests::trace::Trace;
use tower_linger_tests::wire::ResetWatch;

use super::scene::{SERVER, connect, on_the_way_to_the_client, patient};

static RESPONSE: [u8; 100_000] = [b'a'; 100_000];

fn early() -> ClosePolicy {
    patient().early_release(4).build().expect("makes sense")
}

/// The client has everything and keeps its socket open. nginx would hold the connection for 5 s.
pub(super) async fn a_client_that_has_everything_and_is_quiet_is_released_early() {
    let trace = Trace::start();
    let (mut server, mut client) = connect().await;
    let resets = ResetWatch::start(SERVER.port()).expect("captures");
    server.write_all(&RESPONSE).await.expect("loopback");
    let report = close(server, &early()).await;
    assert_eq!((report.outcome, report.unacked), (Outcome::Acknowledged, Some(0)));
    assert_eq!(client.read_to_end(&mut Vec::new()).await.expect("the whole response"), RESPONSE.len());
    drop(client);
    resets.assert_none(report);
    trace.assert("a_client_that_has_everything_and_is_quiet_is_released_early", &["normal by server"]);
}

/// Acknowledged bytes are in the client's kernel, which does not mean that the client has read them. Its
/// upload goes on in `FIN_WAIT2`, and none of it is answered by a reset.
pub(super) async fn a_client_that_still_sends_is_not_released() {
    const UPLOAD: usize = 256 << 20;
    let trace = Trace::start_cut();
    let (mut server, mut client) = connect().await;
    let resets = ResetWatch::start(SERVER.port()).expect("captures");
    server.write_all(&RESPONSE).await.expect("loopback");
    let closing = tokio::spawn(async move { close(server, &early()).await });
    let chunk = vec![0; 1 << 20];
    for _ in 0..UPLOAD / chunk.len() {
        client.write_all(&chunk).await.expect("nobody resets it");
    }
    let report = closing.await.expect("no panic");
    assert_eq!((report.outcome, report.bytes_drained), (Outcome::Acknowledged, UPLOAD as u64));
    assert_eq!(client.read_to_end(&mut Vec::new()).await.expect("the whole response"), RESPONSE.len());
    resets.assert_none(report);
    trace.assert(
        "a_client_that_still_sends_is_not_released",
        &["half_closed by server; server closed first; FinWait2 of server, open; CloseWait of client; \
           doubt: cut"],
    );
}

/// A quiet client is not enough: packets on the way may be lost, and only this socket can send them again.
pub(super) async fn a_client_that_has_not_acknowledged_is_not_released() {
    let trace = Trace::start();
    let (mut server, _client) = connect().await;
    on_the_way_to_the_client("drop");
    server.write_all(&RESPONSE).await.expect("the kernel takes it");
    let second = Duration::from_secs(1);
    let policy =
        ClosePolicy::builder().early_release(1).drain_idle_timeout(second).build().expect("makes sense");
    let report = close(server, &policy).await;
    assert_eq!((report.outcome, report.unacked), (Outcome::DrainIdle, Some(RESPONSE.len() as u64)));
    trace.assert(
        "a_client_that_has_not_acknowledged_is_not_released",
        &["timeout by server (client silent: Retransmission)*"],
    );
}
