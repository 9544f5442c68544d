//! How HTTP/2 connections end, and servers that speak only HTTP/2.

use linger_probe::check::Abilities;
use linger_probe::discover::discover;
use linger_probe::find::find;
use linger_probe::model::Verdict;
use linger_probe::target::Options;
use linger_probe::trust::Trust;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_linger_tests::server::Running;

use super::{end, linger, raw, row_of};

const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// HEADERS with `:status: 400` and `END_STREAM`.
const RESPONSE: &[u8] = &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x8c];
const fn rst_stream(code: u8) -> [u8; 13] {
    [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, code]
}
const fn go_away(code: u8) -> [u8; 17] {
    [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, code]
}

fn http2_only() -> Abilities {
    Abilities { http1: false, http2: true, ..Abilities::default() }
}

/// A server that sends these frames once the client has sent a frame after its preface, and ends.
async fn says(frames: Vec<u8>) -> Running {
    raw(move |mut io: TcpStream| {
        let frames = frames.clone();
        async move {
            io.write_all(SETTINGS).await?;
            // The preface, the client's SETTINGS, and the header of the next frame.
            io.read_exact(&mut [0; 24 + 9 + 9]).await?;
            io.write_all(&frames).await?;
            end(&mut io).await
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_is_answered_and_its_stream_is_reset_with_no_error() {
    let cases = [
        (RESPONSE.to_vec(), Verdict::Pass),
        ([RESPONSE, &rst_stream(0)].concat(), Verdict::Pass),
        ([RESPONSE, &rst_stream(8)].concat(), Verdict::Fail),
        (rst_stream(0).to_vec(), Verdict::Fail),
        (go_away(0).to_vec(), Verdict::Fail),
        (Vec::new(), Verdict::Fail),
    ];
    for (frames, verdict) in cases {
        let found = row_of(&says(frames.clone()).await, None, "h2.refused_upload", &http2_only()).await;
        assert_eq!(found.verdict, verdict, "{frames:?}: {found:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn goaway_announces_an_end() {
    let cases = [([RESPONSE, &go_away(0)].concat(), Verdict::Pass), (RESPONSE.to_vec(), Verdict::Fail)];
    for (frames, verdict) in cases {
        for name in ["h2.idle", "h2.garbage"] {
            let found = row_of(&says(frames.clone()).await, None, name, &http2_only()).await;
            assert_eq!(found.verdict, verdict, "{name}: {frames:?}: {found:#?}");
        }
    }
}

/// Its HTTP/1 fallback, which refuses clients, is not judged.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_only_http2_is_recognized() {
    let fallback = raw(|mut io: TcpStream| async move {
        let mut first = [0; 3];
        io.read_exact(&mut first).await?;
        if &first == b"PRI" {
            io.write_all(SETTINGS).await?;
        } else {
            io.write_all(b"HTTP/1.0 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await?;
            io.shutdown().await?;
        }
        linger(&mut io).await;
        Ok(())
    })
    .await;
    let silent = says(Vec::new()).await;
    for server in [fallback, silent] {
        let (url, options) = (format!("http://{}/", server.address), Options::default());
        let mut target = find(&url, &Trust::default(), &options, false).await.expect("it is there");
        let abilities = discover(&mut target, &options).await.expect("it answers");
        assert!(abilities.http2 && !abilities.http1, "{abilities:?}");
        let found = row_of(&server, None, "close.requested", &abilities).await;
        assert_eq!(found.verdict, Verdict::NotApplicable, "{found:#?}");
    }
}
