//! What of a transport can be seen on the wire: the closure alert and the FIN in one segment, and no reset.

mod common;

use linger_wire::{Capture, Side};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tower_linger::{ClosePolicy, Plain, Transport, close};
use tower_linger_external::metered::Metered;
use tower_linger_external::tls::Tls;

use common::{Certificate, VERSIONS, pair, proxied};

linger_wire::wire_tests! {
    async fn the_alert_and_the_fin_share_a_segment_through_a_wrapper;
    async fn the_alert_and_the_fin_share_a_segment_of_a_library_of_ones_own;
}

/// What the server sends at the end of a connection whose client waits for it.
async fn end<T: Transport>(
    over: impl AsyncFnOnce(TcpStream, TcpStream) -> (TlsStream<TcpStream>, T),
) -> Vec<String> {
    let (client, server) = pair().await;
    let capture = Capture::start(server.local_addr().expect("connected").port()).expect("captures");
    let (mut client, server) = over(client, server).await;
    let closing = tokio::spawn(async move { close(server, &ClosePolicy::default()).await });
    let read = client.read_to_end(&mut Vec::new()).await;
    drop(client);
    let report = closing.await.expect("no panic");
    let transcript = capture.finish().expect("captures");
    assert_eq!(transcript.resets(Side::Server), 0, "{read:?}, {report}: {transcript}");
    // A session ticket of TLS 1.3 looks like data, and comes before.
    let is_end = |line: &String| line.starts_with("server: ") && !line.starts_with("server: data ");
    transcript.close_part().lines().into_iter().filter(is_end).collect()
}

const TOGETHER: [&str; 1] = ["server: alert + FIN"];
const APART: [&str; 2] = ["server: alert", "server: FIN"];

async fn the_alert_and_the_fin_share_a_segment_through_a_wrapper() {
    let certificate = Certificate::make();
    for version in VERSIONS {
        let over =
            async |client, server| certificate.rustls_over(version, client, Metered::new(server)).await;
        assert_eq!(end(over).await, TOGETHER, "{version:?}");
        let over = async |client, server| {
            let (client, server) = certificate.rustls_over(version, client, server).await;
            (client, Metered::new(server))
        };
        assert_eq!(end(over).await, TOGETHER, "{version:?}");
        let over = async |client, server| {
            let (client, server) = proxied(client, server).await;
            certificate.rustls_over(version, client, server).await
        };
        assert_eq!(end(over).await, TOGETHER, "{version:?}");
        // Without the socket, nothing is corked.
        let over = async |client, server| certificate.rustls_over(version, client, Plain(server)).await;
        assert_eq!(end(over).await, APART, "{version:?}");
    }
}

async fn the_alert_and_the_fin_share_a_segment_of_a_library_of_ones_own() {
    let certificate = Certificate::make();
    for version in VERSIONS {
        let over = async |client, server| {
            let (client, server) = certificate.openssl_over(version, client, Metered::new(server)).await;
            (client, Tls::new(server))
        };
        assert_eq!(end(over).await, TOGETHER, "{version:?}");
        let over = async |client, server| {
            let (client, server) = certificate.openssl_over(version, client, server).await;
            (client, Plain(server))
        };
        assert_eq!(end(over).await, APART, "{version:?}");
    }
}
