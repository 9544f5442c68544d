//! Each transport in the close, and beside it the same stream in `Plain`, of which tower-linger knows only the
//! reads and writes.

#[path = "../common/mod.rs"]
mod common;
mod metered;
mod proxied;
mod spy;
mod tls;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use tower_linger::{CloseReport, LingerLayer, Outcome, Transport};

/// Longer than any bound of a close.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the drain discards at most with one read, in bytes.
const SCRATCH: usize = 64 << 10;
/// More than that, and less than a socket holds.
const ARRIVED: usize = 100_000;
const PEER_CLOSED: Outcome = Outcome::PeerClosed { close_notify: false };

/// A layer, and the reports of its closes.
fn reporting() -> (LingerLayer, UnboundedReceiver<CloseReport>) {
    let (reports, seen) = unbounded_channel();
    let linger = LingerLayer::default().on_close(move |report| {
        let _ = reports.send(*report);
    });
    (linger, seen)
}

/// Sends this much and the FIN, and waits until all of it has arrived.
async fn send_and_end(client: &mut TcpStream) {
    client.write_all(&vec![b'x'; ARRIVED]).await.expect("it fits into the sockets");
    client.shutdown().await.expect("loopback");
    poll_fn(|cx| client.poll_acknowledged(cx)).await.expect("Linux can tell");
}

/// What a client received, and whether a reset ended it.
async fn received(client: &mut (impl AsyncRead + Unpin)) -> (Vec<u8>, bool) {
    let mut read = Vec::new();
    match timeout(PATIENCE, client.read_to_end(&mut read)).await.expect("it ends") {
        Ok(_) => (read, false),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
            (read, true)
        }
    }
}
