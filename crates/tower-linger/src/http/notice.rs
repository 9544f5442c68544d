//! The layer that says in each response that the server is about to end.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Method, Request, Response, Version};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::request_future::say_close;
use crate::tracker::shutdown::ShutdownHandle;

/// A layer around a service of **requests**: once the server was asked to end, responses of HTTP/1 carry
/// `Connection: close`. So clients and balancers take their next request elsewhere while the server still
/// accepts, for as long as its [notice](crate::Shutdown::with_notice) lasts.
///
/// [`serve`](crate::serve()) does that by itself, and sends GOAWAY to clients of HTTP/2. This layer is for
/// `axum::serve`, axum-server, and loops of your own; they can tell clients of HTTP/2 only when they stop.
/// And when `axum::serve` stops, it drops its listener at once, so the kernel resets those clients that it
/// has accepted and axum has not: behind nginx, 1 to 5 of 30 restarts under load still cost a request.
///
/// ```
/// use std::time::Duration;
/// use axum::{Router, routing::get};
/// use tower_linger::{NoticeLayer, Shutdown, Tracker};
///
/// let (limit, notice) = (Duration::from_secs(20), Duration::from_secs(10));
/// let shutdown = Shutdown::new(Tracker::new(), limit).with_notice(notice);
/// let app: Router = Router::new()
///     .route("/", get(async || "hello"))
///     .layer(NoticeLayer::new(shutdown.handle()));
/// ```
#[derive(Debug, Clone)]
pub struct NoticeLayer {
    shutdown: ShutdownHandle,
}

impl NoticeLayer {
    /// Hears of the end by this handle.
    #[must_use]
    pub fn new(shutdown: ShutdownHandle) -> Self {
        Self { shutdown }
    }
}

impl<S> Layer<S> for NoticeLayer {
    type Service = Notice<S>;

    fn layer(&self, inner: S) -> Notice<S> {
        Notice { inner, shutdown: self.shutdown.clone() }
    }
}

/// A service of requests; made by [`NoticeLayer`].
#[derive(Debug, Clone)]
pub struct Notice<S> {
    inner: S,
    shutdown: ShutdownHandle,
}

impl<S> Notice<S> {
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

impl<S, B, R> Service<Request<B>> for Notice<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = NoticeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (version, is_connect) = (request.version(), request.method() == Method::CONNECT);
        NoticeFuture {
            respond: self.inner.call(request),
            shutdown: self.shutdown.clone(),
            version,
            is_connect,
        }
    }
}

pin_project! {
    /// A response, with `Connection: close` once the server was asked to end.
    ///
    /// # Cancel safety
    ///
    /// That of the service's own future.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct NoticeFuture<F> {
        #[pin]
        respond: F,
        shutdown: ShutdownHandle,
        version: Version,
        is_connect: bool,
    }
}

impl<F, R, E> Future for NoticeFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.respond.poll(cx))?;
        if this.shutdown.is_noticed() {
            announce_end(&mut response, *this.version, *this.is_connect);
        }
        Poll::Ready(Ok(response))
    }
}

/// Says that the connection ends with this response. HTTP/2 has no such field (RFC 9113 §8.2.2), and a
/// connection that is upgraded or becomes a tunnel goes on.
pub(crate) fn announce_end<R>(response: &mut Response<R>, version: Version, is_connect: bool) {
    let status = response.status();
    let goes_on = status.is_informational() || (is_connect && status.is_success());
    if version < Version::HTTP_2 && !goes_on {
        say_close(response.headers_mut());
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use http::StatusCode;
    use http::header::CONNECTION;
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::tracker::shutdown::Shutdown;
    use crate::tracker::tracker::Tracker;

    /// What the response says of its connection, whose status and own word are these.
    async fn said(
        layer: &NoticeLayer,
        request: (Method, Version),
        status: StatusCode,
        own: Option<&'static str>,
    ) -> Option<String> {
        let service = layer.layer(service_fn(async |_| {
            let mut response = Response::builder().status(status);
            if let Some(own) = own {
                response = response.header(CONNECTION, own);
            }
            Ok::<_, Infallible>(response.body(()).expect("well-formed"))
        }));
        let (method, version) = request;
        let request = Request::builder().method(method).version(version).body(()).expect("well-formed");
        let response = service.oneshot(request).await.unwrap_or_else(|never| match never {});
        response.headers().get(CONNECTION).map(|value| value.to_str().expect("text").to_owned())
    }

    #[tokio::test]
    async fn responses_say_close_from_the_notice_on_where_their_connection_ends_with_them() {
        let shutdown = Shutdown::new(Tracker::new(), Duration::from_secs(1));
        let layer = NoticeLayer::new(shutdown.handle());
        let get = (Method::GET, Version::HTTP_11);
        assert_eq!(said(&layer, get.clone(), StatusCode::OK, None).await, None);
        shutdown.handle().request();
        let close = Some("close".to_owned());
        assert_eq!(said(&layer, get.clone(), StatusCode::OK, None).await, close);
        assert_eq!(said(&layer, get.clone(), StatusCode::OK, Some("keep-alive")).await, close);
        assert_eq!(
            said(&layer, (Method::CONNECT, Version::HTTP_11), StatusCode::FORBIDDEN, None).await,
            close
        );
        let upgrade = Some("upgrade".to_owned());
        let switching = StatusCode::SWITCHING_PROTOCOLS;
        assert_eq!(said(&layer, get, switching, Some("upgrade")).await, upgrade, "it goes on");
        assert_eq!(said(&layer, (Method::CONNECT, Version::HTTP_11), StatusCode::OK, None).await, None);
        assert_eq!(said(&layer, (Method::GET, Version::HTTP_2), StatusCode::OK, None).await, None);
    }
}
