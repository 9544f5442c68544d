//! The order of what is sent.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower_linger::ClosePolicy;
use tower_linger_tests::peer::{Client, End, receive};
use tower_linger_tests::server::{Engine, reporting};
use tower_linger_tests::wire::{Capture, ResetWatch, Side};

use super::common::{LARGE_BYTES, app, assert_peer_closed, last_request};

/// CONFORMANCE 1, RFC 9112 §9.6: the response, our FIN, and only then the client's FIN.
pub(crate) async fn the_fin_follows_the_response_and_comes_before_the_clients() {
    for engine in Engine::ALL {
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let server = engine.start(Some(&linger), app()).await;
        let capture = Capture::start(server.address.port()).expect("captures");
        let mut client = Client::plain(server.address, None).await.expect("connects");
        let request = last_request("/small");
        client.write_all(&request).await.expect("writes");
        let mut response = Vec::new();
        client.read_to_end(&mut response).await.expect("reads");
        drop(client);
        assert_peer_closed(&reports.recv().await.expect("a report"));
        let transcript = capture.finish().expect("captures");
        assert_eq!(
            transcript.lines(),
            [
                "client: SYN".to_owned(),
                "server: SYN-ACK".to_owned(),
                format!("client: data {}", request.len()),
                format!("server: data {}", response.len()),
                "server: FIN".to_owned(),
                "client: FIN".to_owned()
            ],
            "{engine:?}"
        );
    }
}

/// CONFORMANCE 2, RFC 9112 §9.6: bytes that come before, with or after our FIN are not answered by a reset.
pub(crate) async fn bytes_before_during_and_after_the_fin_cause_no_reset() {
    for engine in Engine::ALL {
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let server = engine.start(Some(&linger), app()).await;
        let resets = ResetWatch::start(server.address.port()).expect("captures");
        let client = sends_three_times(server.address).await;
        assert_eq!(client.expect("no write fails"), End::Fin, "{engine:?}");
        let report = reports.recv().await.expect("a report");
        assert_peer_closed(&report);
        assert!(report.bytes_drained >= 2 * EXTRA.len() as u64, "{engine:?}: {report}");
        resets.assert_none(engine);

        let bare = engine.start(None, app()).await;
        let capture = Capture::start_cut(bare.address.port(), 100).expect("captures");
        // What the client sees depends on when the reset arrives.
        let _ = sends_three_times(bare.address).await;
        assert!(
            capture.wait_until(|transcript| transcript.resets(Side::Server) > 0),
            "{engine:?} without the layer"
        );
    }
}

/// More than hyper reads at once, so that some of these bytes stay in the socket.
static EXTRA: [u8; 1 << 20] = [b'x'; 1 << 20];

/// Sends extra bytes with the request, while the response is on its way (it is larger than the buffers), and
/// after the response.
async fn sends_three_times(server: std::net::SocketAddr) -> std::io::Result<End> {
    let mut client = Client::plain(server, Some(64 << 10)).await?;
    client.write_all(&last_request("/large")).await?;
    client.write_all(&EXTRA).await?;
    let mut head = [0; 1000];
    client.read_exact(&mut head).await?;
    client.write_all(&EXTRA).await?;
    let seen = receive(&mut client, End::Fin).await;
    client.write_all(&EXTRA).await?;
    Ok(seen.end)
}

/// CONFORMANCE 20 (plain) and 26: the peer's FIN ends the drain, and every byte before it is discarded.
pub(crate) async fn the_peers_fin_ends_the_drain_and_is_a_normal_outcome() {
    for engine in Engine::ALL {
        for late_bytes in [0, 1, LARGE_BYTES] {
            let (linger, mut reports) = reporting(ClosePolicy::default());
            let server = engine.start(Some(&linger), app()).await;
            let resets = ResetWatch::start(server.address.port()).expect("captures");
            let mut client = Client::plain(server.address, None).await.expect("connects");
            client.write_all(&last_request("/small")).await.expect("writes");
            assert_eq!(receive(&mut client, End::Fin).await.end, End::Fin);
            client.write_all(&vec![b'x'; late_bytes]).await.expect("writes");
            drop(client);
            let report = reports.recv().await.expect("a report");
            assert_peer_closed(&report);
            assert_eq!(report.bytes_drained, late_bytes as u64, "{engine:?}");
            resets.assert_none((engine, late_bytes));
        }
    }
}
