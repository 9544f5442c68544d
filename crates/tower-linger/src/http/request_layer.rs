//! The layer around a service of requests (feature `http`).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Version};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::discard;
use super::request_body::{Fate, RequestBody, Slot};
use super::response_body::ResponseBody;
use super::watch::Watch;

/// How many bytes of a body are read if the service did not read them, so that the connection stays alive.
const READ_ON_BYTES: u64 = 64 * 1024;

/// hyper fills the body in the connection's task, before it polls this future. So it takes another poll or
/// two until bytes that have already arrived are in the body.
const POLLS: u8 = 2;

/// A layer around a service of **requests**: saves the answer to a request whose body was not read from being
/// lost.
///
/// # HTTP/1
///
/// If the service answers before the request's body is at its end, hyper closes the connection, but does not
/// say so. The layer adds `Connection: close` to the response: a client that is told stops sending, and does
/// not use the connection again (RFC 9112 §9.6).
///
/// - If the service has dropped the body, up to 64 KiB of what has arrived are read. If the body ends there,
///   the connection stays alive, as with hyper alone, and no header is added.
/// - If something still holds the body (an echo does), no header is added.
/// - If the request has `Expect: 100-continue` and the service did not read, nothing is read, because that
///   would send `100 Continue`.
/// - Other values of `Connection` are kept.
///
/// It also records for the connection whether a request is unanswered. So a connection that is dropped ends
/// cleanly if it is idle, and as one that was cut if it is busy.
///
/// # HTTP/2
///
/// hyper resets the stream (`RST_STREAM` with `NO_ERROR`, RFC 9113 §8.1) as soon as an unread body is
/// dropped. A client whose next write fails because of that loses its answer. So if the service drops the
/// body before it answers, a task of its own discards the rest, within the default
/// [`ClosePolicy`](crate::ClosePolicy)'s bounds for a drain: 1 GiB, 30 s, 5 s of silence. The stream is open
/// for that long, also for the engine's graceful shutdown. In a runtime without timers nothing is discarded.
///
/// Of clients that upload 32 MiB over loopback and are refused at once, these got status and body:
///
/// | client | with hyper alone | with this layer |
/// |---|---|---|
/// | curl 7.88 | 0 of 20 | 20 of 20 |
/// | httpx 0.28 | 0 of 3 | 20 of 20 |
/// | Node 20, a stream piped | 20 of 20 | 20 of 20 |
///
/// Two clients still lose their answer: httpx, if it cannot send its whole body within these bounds, because
/// it sends everything before it reads; and Node, if it sends more than its `maxSessionMemory` (10 MB) from
/// one buffer, because it then refuses the response itself (`ENHANCE_YOUR_CALM`).
///
/// A handler's panic ends its stream only; the connection and its other streams go on.
///
/// # Cost and place
///
/// It costs an allocation for each request that has a body, and for each request of HTTP/1 a lock that few
/// connections share. Put it outermost, so that it sees the responses that are sent.
///
/// ```
/// use axum::{Router, http::StatusCode, routing::put};
/// use tower_linger::RequestLayer;
///
/// let app: Router = Router::new()
///     .route("/upload", put(async || StatusCode::PAYLOAD_TOO_LARGE))
///     .layer(RequestLayer);
/// ```
///
/// In a `ServiceBuilder`:
///
/// ```
/// # use std::convert::Infallible;
/// use axum::body::Body;
/// use axum::http::{Request, Response, StatusCode};
/// use tower::ServiceBuilder;
/// use tower_linger::{RequestBody, RequestLayer};
///
/// async fn refuse(_: Request<RequestBody<Body>>) -> Result<Response<Body>, Infallible> {
///     let mut response = Response::default();
///     *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
///     Ok(response)
/// }
///
/// let requests = ServiceBuilder::new().layer(RequestLayer).service_fn(refuse);
/// # fn serves<S: tower::Service<Request<Body>>>(_: S) {}
/// # serves(requests);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestLayer;

impl<S> Layer<S> for RequestLayer {
    type Service = Requests<S>;

    fn layer(&self, inner: S) -> Requests<S> {
        Requests::new(inner)
    }
}

/// A service of requests; made by [`RequestLayer`].
#[derive(Clone, Debug)]
pub struct Requests<S> {
    inner: S,
}

impl<S> Requests<S> {
    /// Finds the connection of each request by the task that calls.
    pub const fn new(inner: S) -> Self {
        Self { inner }
    }

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

impl<S, B, R> Service<Request<B>> for Requests<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    B: Body + Send + Unpin + 'static,
    R: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = RequestFuture<S::Future, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (method, version, headers) = (request.method(), request.version(), request.headers());
        let begun = Begun::new(method, version, headers, request.body().is_end_stream());
        let request = request.map(|body| begun.body(body));
        begun.respond(self.inner.call(request))
    }
}

/// A request that is about to be answered, whatever type its framework has for it.
#[derive(Debug)]
pub(crate) struct Begun<B> {
    watch: Option<Watch>,
    slot: Option<Arc<Slot<B>>>,
    multiplexed: bool,
    expects: bool,
    connect: bool,
}

impl<B> Begun<B> {
    pub(crate) fn new(method: &Method, version: Version, headers: &HeaderMap, is_bodiless: bool) -> Self {
        Self {
            watch: Watch::begin(method, version, None),
            // Most requests have no body: they need no allocation.
            slot: (!is_bodiless).then(Slot::new),
            multiplexed: version >= Version::HTTP_2,
            expects: headers.contains_key(EXPECT),
            connect: method == Method::CONNECT,
        }
    }

    /// The body as the service is to be given it.
    pub(crate) fn body(&self, body: B) -> RequestBody<B> {
        RequestBody::new(body, self.slot.clone())
    }

    pub(crate) fn respond<F, R>(self, respond: F) -> RequestFuture<F, B, R> {
        RequestFuture { respond, begun: self, leaving: None }
    }
}

pin_project! {
    /// A response, with `Connection: close` if hyper will close the connection after it.
    ///
    /// # Cancel safety
    ///
    /// That of the service's own future. If it is dropped, the connection counts as busy.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct RequestFuture<F, B, R> {
        #[pin]
        respond: F,
        begun: Begun<B>,
        leaving: Option<Leaving<B, R>>,
    }
}

/// A response that is ready and waits until the rest of its request's body is read.
#[derive(Debug)]
struct Leaving<B, R> {
    response: Response<R>,
    rest: B,
    bytes: u64,
    polls: u8,
}

impl<F, B, R, E> Future for RequestFuture<F, B, R>
where
    F: Future<Output = Result<Response<R>, E>>,
    B: Body + Send + Unpin + 'static,
    R: Body,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let begun = this.begun;
        if this.leaving.is_none() {
            let mut response = ready!(this.respond.poll(cx))?;
            let tunnel = begun.connect && response.status().is_success();
            // A 1xx response does not end the request: an upgrade goes on with the connection.
            let over = !response.status().is_informational() && !tunnel;
            match begun.slot.take().filter(|_| over).map(|slot| slot.take()) {
                Some(Fate::Unread { body, .. }) if begun.multiplexed => discard::spawn(body),
                // Reading would send `100 Continue`.
                Some(Fate::Unread { polled: false, .. }) if begun.expects => {
                    say_close(response.headers_mut());
                }
                Some(Fate::Unread { body, .. }) => {
                    *this.leaving = Some(Leaving { response, rest: body, bytes: 0, polls: 0 });
                    return poll_leave(this.leaving, &mut begun.watch, cx).map(Ok);
                }
                Some(Fate::Held | Fate::Ended) | None => {}
            }
            return Poll::Ready(Ok(sent(&mut begun.watch, response)));
        }
        poll_leave(this.leaving, &mut begun.watch, cx).map(Ok)
    }
}

fn poll_leave<B: Body + Unpin, R: Body>(
    leaving: &mut Option<Leaving<B, R>>,
    watch: &mut Option<Watch>,
    cx: &mut Context<'_>,
) -> Poll<Response<ResponseBody<R>>> {
    let ended = match leaving.as_mut() {
        Some(leaving) => ready!(leaving.poll_rest(cx)),
        None => return Poll::Pending,
    };
    let Some(Leaving { mut response, .. }) = leaving.take() else { return Poll::Pending };
    if !ended {
        say_close(response.headers_mut());
    }
    Poll::Ready(sent(watch, response))
}

fn sent<R: Body>(watch: &mut Option<Watch>, response: Response<R>) -> Response<ResponseBody<R>> {
    match watch.take() {
        Some(watch) => watch.respond(response),
        None => response.map(|body| ResponseBody::new(body, None, None)),
    }
}

impl<B: Body + Unpin, R> Leaving<B, R> {
    /// Reads the rest. Returns whether it came to its end.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while self.bytes <= READ_ON_BYTES {
            if self.rest.is_end_stream() {
                return Poll::Ready(true);
            }
            match Pin::new(&mut self.rest).poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Ready(Some(Ok(frame))) => {
                    self.bytes += frame.data_ref().map_or(0, |data| data.remaining() as u64);
                    self.polls = 0;
                }
                Poll::Pending if self.polls < POLLS => {
                    self.polls += 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(Some(Err(_))) | Poll::Pending => return Poll::Ready(false),
            }
        }
        Poll::Ready(false)
    }
}

/// Adds `close` to the values of `Connection`, without `keep-alive`, which would contradict it.
pub(super) fn say_close(headers: &mut HeaderMap) {
    let said = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let others = said
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|option| !["", "close", "keep-alive"].iter().any(|other| option.eq_ignore_ascii_case(other)));
    let value = others.chain(["close"]).collect::<Vec<_>>().join(", ");
    let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("close"));
    headers.insert(CONNECTION, value);
}
