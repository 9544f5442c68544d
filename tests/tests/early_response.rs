//! `Connection: close` on early responses, and on no others.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Version, header};
use axum::routing::any;
use tower::ServiceExt;
use tower_linger::EarlyResponseLayer;

fn app() -> Router {
    Router::new()
        .route("/ignores", any(async || "no"))
        .route("/reads", any(async |body: Bytes| format!("{} bytes", body.len())))
        .layer(EarlyResponseLayer)
}

async fn says_close(path: &str, version: Version, body: Body) -> bool {
    let request = Request::builder().method("PUT").uri(path).version(version).body(body);
    let response = app().oneshot(request.expect("well-formed")).await.expect("infallible");
    assert_eq!(response.status(), 200);
    response.headers().get(header::CONNECTION).is_some_and(|value| value == "close")
}

#[tokio::test]
async fn only_a_response_that_left_its_requests_body_unread_says_close() {
    let body = || Body::from_stream(tokio_stream::iter(["a part", "another"].map(Ok::<_, std::io::Error>)));
    assert!(says_close("/ignores", Version::HTTP_11, body()).await);
    assert!(says_close("/ignores", Version::HTTP_10, body()).await);
    assert!(!says_close("/reads", Version::HTTP_11, body()).await, "nothing is left unread");
    assert!(!says_close("/ignores", Version::HTTP_11, Body::empty()).await, "there was nothing to read");
    assert!(!says_close("/ignores", Version::HTTP_2, body()).await, "HTTP/2 resets the one stream");
}
