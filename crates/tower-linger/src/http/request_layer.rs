//! The layer around a service of requests (feature `http`).

use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::request_body::RequestBody;
use super::request_future::{Begun, RequestFuture};
use super::response_body::ResponseBody;

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
/// ## The last request
///
/// A client that announces its last request (`Connection: close`, or HTTP/1.0 without `keep-alive`, which is
/// what nginx says to its upstreams) must not send anything after it (RFC 9112 §9.6). So once that request
/// was read to its end, there is nothing to drain: a connection without TLS is released right after its FIN,
/// as without this crate, and the kernel brings the response to the client. It is reported as
/// [`PeerDone`](crate::Outcome::PeerDone). What had arrived by then against the client's word is drained. A
/// client that sends more even later may lose the response, as it does without this crate. While the server
/// [shuts down](crate::Shutdown), the close waits as ever: in a container the network goes with the process,
/// and with it what the kernel has yet to send.
///
/// ## Silent clients
///
/// Other clients may send another request, over TLS also a `close_notify`, but many stay silent and do not
/// close: pools that do not watch their connections. Without this layer, the close of one waits for 5 s. If
/// the last request was read to its end and nothing has come since, it is released, on Linux, when the client
/// has been silent for twice as long as that request took from head to end, and at least 300 ms; has then
/// acknowledged everything; and has stayed silent for three more round trips, and at least 50 ms. It is
/// reported as [`Acknowledged`](crate::Outcome::Acknowledged). A single byte more, and the close waits to its
/// bounds. So does that of a request that was not read to its end: its client may be uploading, and pause. A
/// client that has stayed silent for all that time, has not read its response, and then sends instead of
/// reading may lose it, as it does without this crate.
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
/// connections share. Put it outermost, so that it sees the responses that are sent. `Router::layer` of axum
/// boxes each route's service, future and body for any layer; around the whole router, as in the second
/// example, it costs none of that.
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
