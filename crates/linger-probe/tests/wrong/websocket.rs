//! How WebSockets end.

use linger_probe::model::Verdict;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_linger_tests::server::Running;

use super::{end, head, raw, row};

/// A server that answers the client's Close with these bytes.
async fn closes(answer: &'static [u8]) -> Running {
    raw(move |mut io| async move {
        if head(&mut io).await.is_some() {
            io.write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            )
            .await?;
            io.read_exact(&mut [0; 8]).await?;
            io.write_all(answer).await?;
            end(&mut io).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_may_be_empty_or_have_a_reason_and_must_be_there() {
    let cases: [(&[u8], _); 5] = [
        (&[0x88, 0], Verdict::Pass),
        (&[0x88, 2, 0x03, 0xe8], Verdict::Pass),
        (&[0x8a, 0, 0x88, 5, 0x03, 0xe8, b'b', b'y', b'e'], Verdict::Pass),
        // The bytes of a Close frame inside a message.
        (&[0x82, 4, 0x88, 0x02, 0x03, 0xe8], Verdict::Fail),
        (&[], Verdict::Fail),
    ];
    for (answer, verdict) in cases {
        let found = row(&closes(answer).await, None, "websocket.close").await;
        assert_eq!(found.verdict, verdict, "{answer:?}: {found:#?}");
    }
}
