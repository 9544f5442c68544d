//! The layer of requests through a real hyper: what it adds to responses, and what it leaves alone.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Response, StatusCode, header};
use axum::routing::any;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower_linger::RequestLayer;

fn app() -> Router {
    Router::new()
        .route("/ignores", any(async || "no"))
        .route("/echo", any(async |request: Request| Response::new(request.into_body())))
        .route("/reads", any(async |body: Bytes| format!("{} bytes", body.len())))
        .route("/upgrade", any(async || (StatusCode::UPGRADE_REQUIRED, [(header::CONNECTION, "upgrade")])))
        .route(
            "/stream",
            any(async || Body::from_stream(tokio_stream::iter([Ok::<_, std::io::Error>("part")]))),
        )
}

async fn connect(app: Router) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    TcpStream::connect(address).await.expect("listening")
}

/// Sends a request and reads a response's head.
async fn head(client: &mut TcpStream, request: &str) -> String {
    client.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.expect("a head before the end"));
    }
    String::from_utf8(head).expect("ASCII").to_lowercase()
}

fn post(path: &str, rest: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\n{rest}")
}

const WHOLE: &str = "Content-Length: 2\r\n\r\n{}";
const PART: &str = "Content-Length: 9000000\r\n\r\n{}";

#[tokio::test]
async fn a_small_unread_body_and_an_echo_keep_their_connection_as_without_the_layer() {
    for path in ["/ignores", "/echo", "/reads"] {
        for app in [app(), app().layer(RequestLayer)] {
            let mut client = connect(app).await;
            for _ in 0..2 {
                let head = head(&mut client, &post(path, WHOLE)).await;
                assert!(head.starts_with("http/1.1 200") && !head.contains("connection:"), "{path}: {head}");
                let mut body = if head.contains("chunked") { vec![0; 12] } else { vec![0; length(&head)] };
                client.read_exact(&mut body).await.expect("the whole body");
            }
        }
    }
}

fn length(head: &str) -> usize {
    let (_, rest) = head.split_once("content-length: ").expect("a length");
    rest.lines().next().expect("a line").parse().expect("a number")
}

#[tokio::test]
async fn only_the_layer_says_that_an_unread_upload_closes_the_connection() {
    for (app, says) in [(app(), false), (app().layer(RequestLayer), true)] {
        let head = head(&mut connect(app).await, &post("/ignores", PART)).await;
        assert_eq!(head.contains("connection: close"), says, "{head}");
    }
}

#[tokio::test]
async fn what_connection_says_already_is_kept() {
    for (app, says) in [(app(), "upgrade\r\n"), (app().layer(RequestLayer), "upgrade, close\r\n")] {
        let head = head(&mut connect(app).await, &post("/upgrade", PART)).await;
        assert!(head.contains(&format!("connection: {says}")), "{head}");
    }
}

#[tokio::test]
async fn an_expected_body_that_nobody_wants_is_not_asked_for() {
    let request = post("/ignores", "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    let head = head(&mut connect(app().layer(RequestLayer)).await, &request).await;
    assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");
}

#[tokio::test]
async fn responses_are_framed_as_without_the_layer() {
    for path in ["/ignores", "/stream", "/upgrade"] {
        let mut heads = Vec::new();
        for app in [app(), app().layer(RequestLayer)] {
            let head =
                head(&mut connect(app).await, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
            heads.push(head.lines().filter(|line| !line.starts_with("date")).collect::<Vec<_>>().join("\n"));
        }
        assert_eq!(heads[0], heads[1]);
    }
}
