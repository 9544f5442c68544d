//! `Connection: close` on early responses (feature `http`).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// A layer of **requests**: adds `Connection: close` to a response that is ready before its request's body was read to the
/// end. hyper closes such a connection, but does not say so; a client that is told stops sending, and does not try to use
/// the connection again (RFC 9112 §9.6). HTTP/1 only: HTTP/2 resets the one stream (RFC 9113 §8.1).
///
/// ```
/// use axum::{Router, http::StatusCode, routing::put};
/// use tower_linger::EarlyResponseLayer;
///
/// let app: Router = Router::new()
///     .route("/upload", put(async || StatusCode::PAYLOAD_TOO_LARGE))
///     .layer(EarlyResponseLayer);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct EarlyResponseLayer;

impl<S> Layer<S> for EarlyResponseLayer {
    type Service = EarlyResponse<S>;

    fn layer(&self, inner: S) -> EarlyResponse<S> {
        EarlyResponse { inner }
    }
}

/// A service of requests that says when it closes early; made by [`EarlyResponseLayer`].
#[derive(Debug, Clone, Copy)]
pub struct EarlyResponse<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for EarlyResponse<S>
where
    S: Service<Request<WatchedBody<B>>, Response = Response<R>>,
    B: Body,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = EarlyResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let watched = request.version() < Version::HTTP_2 && !request.body().is_end_stream();
        // Nothing to watch, nothing to allocate: most requests have no body.
        let read = watched.then(Arc::default);
        let request = request.map(|body| WatchedBody { body, read: read.clone() });
        EarlyResponseFuture { respond: self.inner.call(request), read }
    }
}

/// Set when the body has been read to its end.
type ReadToEnd = Arc<AtomicBool>;

pin_project! {
    /// A response, with `Connection: close` if it is early.
    ///
    /// # Cancel safety
    ///
    /// That of the service's own future.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct EarlyResponseFuture<F> {
        #[pin]
        respond: F,
        read: Option<ReadToEnd>,
    }
}

impl<F, R, E> Future for EarlyResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.respond.poll(cx))?;
        let early = this.read.as_ref().is_some_and(|read| !read.load(Ordering::Acquire));
        // An answer of 1xx is no end of the request: an upgrade goes on with the connection.
        if early && !response.status().is_informational() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response))
    }
}

pin_project! {
    /// A request's body that notes whether it was read to its end.
    pub struct WatchedBody<B> {
        #[pin]
        body: B,
        read: Option<ReadToEnd>,
    }
}

impl<B: Body> Body for WatchedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        if let Some(read) = this.read.as_ref().filter(|_| frame.is_none() || this.body.is_end_stream()) {
            read.store(true, Ordering::Release);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: fmt::Debug> fmt::Debug for WatchedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WatchedBody").field(&self.body).finish()
    }
}
