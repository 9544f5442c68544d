//! One request, from its beginning to the head of its response.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::{HeaderMap, Method, Response, Version};
use http_body::Body;
use pin_project_lite::pin_project;

use super::discard;
use super::request_body::{Fate, RequestBody, Slot};
use super::response_body::ResponseBody;
use super::watch::Watch;

/// How many bytes of a body are read if the service did not read them, so that the connection stays alive.
const READ_ON_BYTES: u64 = 64 * 1024;

/// hyper fills the body in the connection's task, before it polls this future. So it takes another poll or
/// two until bytes that have already arrived are in the body.
const POLLS: u8 = 2;

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
        let watch = Watch::begin(method, version, headers, is_bodiless, None);
        // Most requests have no body: they need no allocation.
        let slot = (!is_bodiless).then(|| Slot::new(watch.as_ref().map(Watch::request).cloned()));
        Self {
            watch,
            slot,
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
    match watch {
        Some(watch) if ended => watch.request().end(),
        _ if !ended => say_close(response.headers_mut()),
        _ => {}
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
