//! Refused uploads: what counts as an answer, and which resets only Linux clients survive.

use std::time::Duration;

use linger_probe::check::Abilities;
use linger_probe::model::{Severity, Verdict};
use linger_probe::target::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{RESPONSE, end, head, judged, linger, raw, reset, row};

/// The server answers before the client sends any of the body, and closes.
#[tokio::test(flavor = "multi_thread")]
async fn a_final_response_to_expect_is_the_answer() {
    let right = raw(|mut io| async move {
        if head(&mut io).await.is_some() {
            io.write_all(RESPONSE).await?;
        }
        Ok(())
    })
    .await;
    let found = row(&right, None, "early.expect").await;
    assert_eq!(found.verdict, Verdict::Pass, "{found:#?}");
    assert!(found.attempts.iter().all(|attempt| attempt.status == Some(413)), "{found:#?}");
    // This server asks for the body, then resets.
    let wrong = raw(|mut io| async move {
        if head(&mut io).await.is_some() {
            io.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            io.read_u8().await?;
        }
        reset(&io);
        Ok(())
    })
    .await;
    let found = row(&wrong, None, "early.expect").await;
    assert_eq!((found.verdict, found.severity), (Verdict::Fail, Severity::LosesResponses), "{found:#?}");
}

/// The server answers, and resets after its FIN. Linux clients still read the response.
#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_a_reset_follows_passes_on_linux_only() {
    let server = |lingers: bool| {
        raw(move |mut io| async move {
            if head(&mut io).await.is_some() {
                io.write_all(RESPONSE).await?;
                io.shutdown().await?;
                if lingers {
                    linger(&mut io).await;
                } else {
                    reset(&io);
                }
            }
            Ok(())
        })
    };
    let (right, wrong) = (server(true).await, server(false).await);
    assert_eq!(row(&right, None, "error.bad_request").await.verdict, Verdict::Pass);
    let found = row(&wrong, None, "error.bad_request").await;
    assert_eq!(found.verdict, Verdict::PassOnLinux, "{found:#?}");
    assert!(found.reason.contains("Windows"), "{}", found.reason);
}

/// Half a second of draining is too short for a slow upload, and fails it in every try.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drains_for_half_a_second_fails_the_slow_upload_every_time() {
    let server = |drain: Duration| {
        raw(move |mut io| async move {
            if head(&mut io).await.is_some() {
                io.write_all(RESPONSE).await?;
                io.shutdown().await?;
                let all = async { while io.read(&mut [0; 4096]).await.is_ok_and(|bytes| bytes > 0) {} };
                let _ = tokio::time::timeout(drain, all).await;
            }
            Ok(())
        })
    };
    let (right, wrong) = (server(Duration::from_secs(10)).await, server(Duration::from_millis(500)).await);
    assert_eq!(row(&right, None, "early.slow").await.verdict, Verdict::Pass);
    let found = row(&wrong, None, "early.slow").await;
    assert!(found.attempts.iter().all(|attempt| !attempt.passed), "{found:#?}");
}

/// What a server sees of the client before it resets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resets {
    /// Nothing: resets right after the response.
    AtOnce,
    /// Nothing: resets right after its own FIN.
    AfterFin,
    /// A byte after its own FIN.
    AtAByte,
}

/// Whenever the server resets, it has released its socket.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_goes_by_a_reset_is_released() {
    let server = |resets: Resets| {
        raw(move |mut io| async move {
            if head(&mut io).await.is_some() {
                io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").await?;
                if resets != Resets::AtOnce {
                    io.shutdown().await?;
                }
                if resets == Resets::AtAByte {
                    io.read_u8().await?;
                }
            }
            reset(&io);
            Ok(())
        })
    };
    let cases = [
        (Resets::AtOnce, &["release.silent", "release.trickle"][..]),
        (Resets::AfterFin, &["release.silent", "release.trickle"]),
        (Resets::AtAByte, &["release.trickle"]),
    ];
    for (resets, names) in cases {
        let server = server(resets).await;
        for name in names {
            let found = row(&server, None, name).await;
            assert_eq!(found.verdict, Verdict::Pass, "{resets:?}: {found:#?}");
            let released = found.attempts.iter().filter_map(|attempt| attempt.release);
            assert!(released.clone().count() == 3, "{found:#?}");
            assert!(released.into_iter().all(|time| time < Duration::from_secs(4)), "{found:#?}");
        }
    }
}

/// The server answers at once, stops reading and keeps the connection. A client that writes first never
/// reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_reading_and_stays_loses_clients_that_write_first() {
    let server = raw(|mut io| async move {
        if head(&mut io).await.is_some() {
            io.write_all(RESPONSE).await?;
            // The connection ends with the server.
            std::future::pending::<()>().await;
        }
        Ok(())
    })
    .await;
    let impatient = Options { repetitions: 1, timeout: Duration::from_secs(2), ..Options::default() };
    for (name, verdict) in
        [("early.stops_at_error", Verdict::Fail), ("early.reads_while_writing", Verdict::Pass)]
    {
        let found = judged(&server, None, name, &Abilities::default(), impatient.clone()).await;
        assert_eq!(found.verdict, verdict, "{found:#?}");
        assert!(verdict == Verdict::Pass || found.reason.contains("took no more"), "{}", found.reason);
    }
}

/// A server that rejects pipelined requests answers, but not the request that was sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_a_request_alone_would_not_have_is_lost() {
    let server = raw(|mut io| async move {
        let mut bytes = [0; 4096];
        let size = io.read(&mut bytes).await?;
        let several = bytes[..size].windows(4).filter(|end| end == b"\r\n\r\n").count() > 1;
        let status = if several { "400 Bad Request" } else { "200 OK" };
        let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        io.write_all(response.as_bytes()).await?;
        end(&mut io).await
    })
    .await;
    let usual = Abilities { status: Some(200), ..Default::default() };
    assert_eq!(super::row_of(&server, None, "close.requested", &usual).await.verdict, Verdict::Pass);
    let found = super::row_of(&server, None, "close.pipelined", &usual).await;
    assert_eq!((found.verdict, found.severity), (Verdict::Fail, Severity::Harsh), "{found:#?}");
    assert!(found.reason.contains("such a request alone is answered 200"), "{}", found.reason);
}
