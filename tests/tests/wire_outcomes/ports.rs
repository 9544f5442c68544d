//! Which side holds `TIME_WAIT`, and whether a port can be used again.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tower_linger::{ClosePolicy, LingerLayer, Outcome, Release, close};
use tower_linger_tests::trace::{Trace, mismatch, told};

use super::scene::{SERVER, connect, ss};

/// CONFORMANCE 36 (RFC 9293 §3.6.1: the active closer waits).
pub(super) async fn time_wait_is_the_servers_unless_the_peer_closes_first() {
    let trace = Trace::start();
    let first = ClosePolicy::default();
    let second =
        ClosePolicy::builder().peer_closes_first(Duration::from_secs(20)).build().expect("makes sense");
    for (policy, holder) in [(first, "sport"), (second, "dport")] {
        let (mut server, mut client) = connect().await;
        server.write_all(b"response").await.expect("loopback");
        let closing = tokio::spawn(async move { close(server, &policy).await });
        client.read_exact(&mut [0; 8]).await.expect("loopback");
        if holder == "sport" {
            assert_eq!(client.read(&mut [0; 1]).await.expect("a FIN"), 0);
        }
        drop(client);
        assert_eq!(closing.await.expect("no panic").outcome, Outcome::PeerClosed { close_notify: false });
        let waiting = ss(&["-Htan", "state", "time-wait", holder, "=", ":8080"]);
        assert_eq!(waiting.lines().count(), 1, "{holder}: {}", ss(&["-tan"]));
        let other = if holder == "sport" { "dport" } else { "sport" };
        assert_eq!(ss(&["-Htan", "state", "time-wait", other, "=", ":8080"]), "", "{holder}");
        // Frees the port and resets the count for the next policy.
        ss(&["-K", "state", "time-wait"]);
    }
    trace.assert(
        "time_wait_is_the_servers_unless_the_peer_closes_first",
        &["normal by server", "normal by client"],
    );
}

/// CONFORMANCE 37: after every kind of close the same addresses and ports work again at once, with
/// `TIME_WAIT` respected.
pub(super) async fn a_client_reconnects_from_the_same_port_after_every_kind_of_close() {
    let trace = Trace::start();
    let listener = TcpListener::bind(SERVER).await.expect("the port is free");
    let client_address = SocketAddr::new(SERVER.ip(), 40_000);
    let second = Duration::from_secs(1);
    let limited = |release| {
        ClosePolicy::builder().drain_idle_timeout(second).at_limit(release).build().expect("makes sense")
    };
    let kinds = [
        ("clean", ClosePolicy::default(), false),
        ("at a limit", limited(Release::Close), true),
        ("reset at a limit", limited(Release::Abort), true),
    ];
    for (kind, policy, stays) in kinds {
        let (client, server) = reconnect(&listener, client_address).await;
        let closing = tokio::spawn(async move { close(server, &policy).await });
        if stays {
            let _ = closing.await.expect("no panic");
            drop(client);
        } else {
            drop(client);
            let _ = closing.await.expect("no panic");
        }
        let (client, server) = reconnect(&listener, client_address).await;
        exchange(client, server).await;
        assert!(listener.local_addr().is_ok(), "{kind}");
    }
    let (client, server) = reconnect(&listener, client_address).await;
    let linger = LingerLayer::default();
    linger.wrap(server).abort();
    linger.tracker().wait().await;
    drop(client);
    let (client, server) = reconnect(&listener, client_address).await;
    exchange(client, server).await;
    // Two findings are left to the kernel and the clock: a SYN in the same millisecond as the end before it is
    // challenged, and the drain of one second is just long enough for FinWait2.
    let without =
        |line: String| line.replace("; PortInTimeWait: Challenge", "").replace("; FinWait2 of server", "");
    let name = "a_client_reconnects_from_the_same_port_after_every_kind_of_close";
    let found: Vec<String> = trace.finish(name).iter().map(told).map(without).collect();
    let expected = [
        "normal by *",
        "normal by server",
        "normal by server",
        "normal by server",
        "reset by server (AfterFin, 0 unread); server closed first",
        "normal by server",
        "reset by server (Abort, 0 unread)",
        "normal by server",
    ];
    assert_eq!(mismatch(&found, &expected), None);
}

async fn reconnect(listener: &TcpListener, from: SocketAddr) -> (TcpStream, TcpStream) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a TCP socket");
    socket.bind(from).expect("the port can be used again");
    let (client, accepted) = tokio::join!(socket.connect(SERVER), listener.accept());
    (client.expect("the server takes the connection"), accepted.expect("loopback").0)
}

/// Shows that the new connection works, and ends it.
async fn exchange(mut client: TcpStream, mut server: TcpStream) {
    server.write_all(b"again").await.expect("loopback");
    client.read_exact(&mut [0; 5]).await.expect("loopback");
    let closing = tokio::spawn(async move { close(server, &ClosePolicy::default()).await });
    assert_eq!(client.read(&mut [0; 1]).await.expect("a FIN"), 0);
    drop(client);
    let _ = closing.await.expect("no panic");
}
