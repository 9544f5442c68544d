//! The service of requests: what a handler learns of its connection, and what is added to its responses.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{CONNECTION, HeaderName, HeaderValue};
use http::{Method, Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::activity::{Activity, InFlight};
use crate::http::notice::announce_end;
use crate::serve::peer::Peer;
use crate::tracker::shutdown::ShutdownHandle;

/// What all connections of a server tell their clients.
#[derive(Clone)]
pub(super) struct Announcements {
    pub(super) shutdown: ShutdownHandle,
    /// The value of `Keep-Alive`.
    pub(super) keep_alive: Option<HeaderValue>,
}

/// The service of one connection's requests around the application; [`serve`](crate::serve()) makes one for
/// each connection.
#[derive(Clone)]
pub(super) struct Exchange<S, A> {
    app: S,
    peer: Peer<A>,
    activity: Arc<Activity>,
    announcements: Arc<Announcements>,
}

impl<S, A> Exchange<S, A> {
    pub(super) fn new(
        app: S,
        peer: Peer<A>,
        activity: Arc<Activity>,
        announcements: Arc<Announcements>,
    ) -> Self {
        Self { app, peer, activity, announcements }
    }
}

impl<S, A, B, R> Service<Request<B>> for Exchange<S, A>
where
    S: Service<Request<B>, Response = Response<R>>,
    A: Clone + Send + Sync + 'static,
{
    type Response = Response<ExchangeBody<R>>;
    type Error = S::Error;
    type Future = ExchangeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.app.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let (version, is_connect) = (request.version(), request.method() == Method::CONNECT);
        let in_flight = self.activity.begin(version >= Version::HTTP_2);
        let extensions = request.extensions_mut();
        #[cfg(feature = "axum")]
        {
            use axum::extract::ConnectInfo;
            extensions.insert(ConnectInfo(self.peer.address.clone()));
            extensions.insert(ConnectInfo(self.peer.clone()));
        }
        extensions.insert(self.peer.clone());
        ExchangeFuture {
            respond: self.app.call(request),
            version,
            is_connect,
            announcements: self.announcements.clone(),
            in_flight: Some(in_flight),
        }
    }
}

impl Announcements {
    fn add_to<R>(&self, response: &mut Response<R>, version: Version, is_connect: bool) {
        if self.shutdown.is_noticed() {
            announce_end(response, version, is_connect);
        } else if let Some(keep_alive) = &self.keep_alive {
            let headers = response.headers();
            // A response with an option of its own, `close` or `upgrade`, knows better.
            if version == Version::HTTP_11 && !headers.contains_key(CONNECTION) {
                const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
                response.headers_mut().insert(KEEP_ALIVE, keep_alive.clone());
            }
        }
    }
}

pin_project! {
    /// A response of [`Exchange`].
    #[must_use = "futures do nothing unless polled"]
    pub(super) struct ExchangeFuture<F> {
        #[pin]
        respond: F,
        version: Version,
        is_connect: bool,
        announcements: Arc<Announcements>,
        in_flight: Option<InFlight>,
    }
}

impl<F, R, E> Future for ExchangeFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ExchangeBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.respond.poll(cx))?;
        this.announcements.add_to(&mut response, *this.version, *this.is_connect);
        let in_flight = this.in_flight.take();
        Poll::Ready(Ok(response.map(|body| ExchangeBody { body, in_flight })))
    }
}

pin_project! {
    /// A response's body of [`Exchange`]. Frames, errors and size are unchanged.
    pub(super) struct ExchangeBody<R> {
        #[pin]
        body: R,
        in_flight: Option<InFlight>,
    }
}

impl<R: Body> Body for ExchangeBody<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
