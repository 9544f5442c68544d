//! A refused `Expect: 100-continue`.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower_linger::LingerLayer;
use tower_linger_tests::peer::Client;
use tower_linger_tests::server::{Engine, Running};

use super::common::{MESSAGE, UPLOAD_BYTES, app};

/// When a client sends a body that the server does not want, which RFC 9110 §10.1.1 allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Never,
    /// Without waiting for the server's answer.
    AtOnce,
    /// After it has read the final status.
    Late,
}

/// CONFORMANCE 11, RFC 9110 §10.1.1.
pub(crate) async fn a_refused_expectation_is_told_whenever_the_body_comes() {
    for engine in Engine::ALL {
        let server = engine.start(Some(&LingerLayer::default()), app()).await;
        let bare = engine.start(None, app()).await;
        for body in [Body::Never, Body::AtOnce, Body::Late] {
            let told = exchange(&server, body).await.expect("no reset");
            let told = String::from_utf8_lossy(&told);
            assert!(
                told.starts_with("HTTP/1.1 413 ") && told.ends_with(MESSAGE),
                "{engine:?}, {body:?}: {told}"
            );

            let lost = exchange(&bare, body).await.is_err();
            assert_eq!(lost, body != Body::Never, "{engine:?}, {body:?}, without the layer");
        }
    }
}

/// Everything that the client receives. It gives up when a write fails.
async fn exchange(server: &Running, body: Body) -> io::Result<Vec<u8>> {
    static CHUNK: [u8; 64 << 10] = [b'x'; 64 << 10];
    let mut client = Client::plain(server.address, None).await?;
    let request = format!(
        "PUT /413 HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\
         Content-Length: {UPLOAD_BYTES}\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await?;
    let mut received = Vec::new();
    while body == Body::Late && !received.ends_with(MESSAGE.as_bytes()) {
        assert!(client.read_buf(&mut received).await? > 0, "the status comes without the body");
    }
    if body != Body::Never {
        for _ in 0..UPLOAD_BYTES / CHUNK.len() {
            client.write_all(&CHUNK).await?;
        }
    }
    client.read_to_end(&mut received).await?;
    Ok(received)
}
