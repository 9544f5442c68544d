//! Responses that fail: the end does not look clean.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tower::Service;
use tower_linger::Outcome;
use tower_linger_tests::peer::{End, receive};
use tower_linger_tests::server::{BoxError, Http};

use super::scene::{REQUESTS, Scene, cut, halves, read_half};

#[tokio::test]
async fn a_handlers_panic_does_not_look_clean() {
    for tls in [false, true] {
        let handler = get(async || -> &'static str { std::panic::resume_unwind(Box::new("on purpose")) });
        let mut scene = Scene::start(tls, Http::new(Router::new().route("/", handler))).await;
        for (request, _) in REQUESTS {
            assert_ne!(scene.exchange(request).await.end, End::CloseNotify, "TLS: {tls}");
            assert_eq!(scene.outcome().await, Outcome::Aborted);
        }
    }
}

#[tokio::test]
async fn a_body_that_fails_or_panics_does_not_look_clean_and_keeps_what_was_sent() {
    let rests: [fn() -> io::Result<&'static str>; 2] =
        [|| Err(io::Error::other("on purpose")), || std::panic::resume_unwind(Box::new("on purpose"))];
    for (tls, rest) in [false, true].into_iter().flat_map(|tls| rests.map(|rest| (tls, rest))) {
        let gate = Arc::new(Notify::new());
        let opened = gate.clone();
        let handler = get(async move || halves(rest, &gate));
        let mut scene = Scene::start(tls, Http::new(Router::new().route("/", handler))).await;
        for (request, framed) in REQUESTS {
            let mut client = scene.connect().await;
            client.write_all(request).await.expect("loopback");
            read_half(&mut client).await;
            opened.notify_one();
            assert_eq!(receive(&mut client, scene.clean()).await.end, cut(framed), "TLS: {tls}");
            drop(client);
            assert_eq!(scene.outcome().await, Outcome::Aborted);
        }
    }
}

/// Serves by a hyper service that returns an error, which axum's handlers cannot do.
#[derive(Clone)]
struct Failing;

impl<I: AsyncRead + AsyncWrite + Unpin + Send + 'static> Service<I> for Failing {
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Ok(()).into()
    }

    fn call(&mut self, io: I) -> Self::Future {
        Box::pin(async move {
            let fails = hyper::service::service_fn(async |_| {
                Err::<hyper::Response<Body>, _>(io::Error::other("on purpose"))
            });
            auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), fails).await
        })
    }
}

#[tokio::test]
async fn a_service_that_fails_does_not_look_clean() {
    for tls in [false, true] {
        let mut scene = Scene::start(tls, Failing).await;
        for (request, _) in REQUESTS {
            assert_ne!(scene.exchange(request).await.end, End::CloseNotify, "TLS: {tls}");
            assert_eq!(scene.outcome().await, Outcome::Aborted);
        }
    }
}
