//! The service of one connection, watched for requests that it leaves unanswered.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::response_body::ResponseBody;
use super::watch::Watch;
use crate::serve::connection::Connection;
use crate::serve::io::LingerIo;
use crate::transport::Transport;

/// The service of one connection; made by [`LingerIo::watch`]. It records which requests are answered to the
/// end, so that the connection's close can tell idle from busy. Requests and responses pass unchanged.
#[derive(Clone, Debug)]
pub struct Watched<S> {
    inner: S,
    connection: Arc<Connection>,
}

impl<T: Transport> LingerIo<T> {
    /// Watches the requests that this connection's `service` answers, so that a drop can tell idle from
    /// busy. Use it with an engine that is given a service for each connection. If the engine serves each
    /// connection in one task, as hyper does in most loops, [`RequestLayer`](crate::RequestLayer) finds the
    /// connection by itself.
    pub fn watch<S>(&self, service: S) -> Watched<S> {
        Watched { inner: service, connection: self.connection().clone() }
    }
}

impl<S> Watched<S> {
    /// The service behind this one.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service behind this one.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service behind this one.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, R> Service<Request<B>> for Watched<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: Body,
    R: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = WatchedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (method, version, headers) = (request.method(), request.version(), request.headers());
        let watch =
            Watch::begin(method, version, headers, request.body().is_end_stream(), Some(&self.connection));
        WatchedFuture { respond: self.inner.call(request), watch }
    }
}

pin_project! {
    /// A response whose body is watched; made by [`Watched`].
    ///
    /// # Cancel safety
    ///
    /// That of the service's own future. If it is dropped, the connection counts as busy.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct WatchedFuture<F> {
        #[pin]
        respond: F,
        watch: Option<Watch>,
    }
}

impl<F, R, E> Future for WatchedFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.respond.poll(cx))?;
        Poll::Ready(Ok(match this.watch.take() {
            Some(watch) => watch.respond(response),
            None => response.map(|body| ResponseBody::new(body, None, None)),
        }))
    }
}
