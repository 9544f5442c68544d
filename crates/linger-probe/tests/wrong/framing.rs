//! Responses whose framing is invalid or ambiguous.

use linger_probe::model::{Severity, Verdict};
use tokio::io::AsyncWriteExt;

use super::{end, head, raw, row};

/// A server that answers every request with this.
async fn says(response: &'static [u8]) -> tower_linger_tests::server::Running {
    raw(move |mut io| async move {
        if head(&mut io).await.is_some() {
            io.write_all(response).await?;
            end(&mut io).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn framing_that_is_invalid_is_not_a_whole_response() {
    let wrong: [(&[u8], &str); 6] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nok\n", "an invalid Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok\n", "beyond 64 bits"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 30\r\n\r\nok\n", "that differ"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nok\n", "a chunk size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\nok\n", "an invalid chunk size"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "no upgrade was asked for"),
    ];
    for (response, why) in wrong {
        let row = row(&says(response).await, None, "close.requested").await;
        assert_eq!((row.verdict, row.severity), (Verdict::Fail, Severity::LosesResponses), "{row:#?}");
        assert!(row.reason.contains(why), "{why}: {}", row.reason);
        assert!(row.attempts.iter().all(|attempt| !attempt.complete), "{row:#?}");
    }
    let right: [&[u8]; 4] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nok\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nok\n\r\n0\r\nT: x\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nok\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\nX: a\r\n folded\r\n\r\n",
    ];
    for response in right {
        let row = row(&says(response).await, None, "close.requested").await;
        assert_eq!(row.verdict, Verdict::Pass, "{row:#?}");
    }
}

/// The 500 blames the server wrongly, but it has arrived, so no response is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_that_is_answered_by_500_breaks_the_protocol() {
    let server = says(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n").await;
    let row = row(&server, None, "error.bad_request").await;
    assert_eq!((row.verdict, row.severity), (Verdict::Fail, Severity::BreaksProtocol), "{row:#?}");
}

/// The reason must not claim a loss that did not happen.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_response_before_a_reset_is_not_called_lost() {
    let server = raw(|mut io| async move {
        if head(&mut io).await.is_some() {
            io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").await?;
            // Let the response leave before the reset.
            io.writable().await?;
        }
        super::reset(&io);
        Ok(())
    })
    .await;
    let row = row(&server, None, "close.requested").await;
    assert_eq!((row.verdict, row.severity), (Verdict::Fail, Severity::Harsh), "{row:#?}");
    assert!(row.reason.contains("arrived whole, and then a reset"), "{}", row.reason);
}
