//! A request's body that is handed back when the service drops it unread.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};

use super::watch::Reading;

/// What became of a request's body.
#[derive(Debug)]
pub(super) enum Fate<B> {
    /// The service, or something that it started, still holds it.
    Held,
    /// It was read to its end, or failed.
    Ended,
    /// It was dropped before its end.
    Unread { body: B, polled: bool },
}

/// Shared by the body and the future of the response.
#[derive(Debug)]
pub(super) struct Slot<B> {
    fate: Mutex<Fate<B>>,
    request: Option<Reading>,
}

impl<B> Slot<B> {
    /// `request` is told when the body was read to its end.
    pub(super) fn new(request: Option<Reading>) -> Arc<Self> {
        Arc::new(Self { fate: Mutex::new(Fate::Held), request })
    }

    pub(super) fn take(&self) -> Fate<B> {
        self.replace(Fate::Held)
    }

    fn replace(&self, fate: Fate<B>) -> Fate<B> {
        std::mem::replace(&mut *self.fate.lock().unwrap_or_else(PoisonError::into_inner), fate)
    }
}

/// A request's body as the service behind [`RequestLayer`](crate::RequestLayer) sees it.
pub struct RequestBody<B> {
    /// Present until it is dropped.
    body: Option<B>,
    slot: Option<Arc<Slot<B>>>,
    polled: bool,
}

impl<B> RequestBody<B> {
    pub(super) fn new(body: B, slot: Option<Arc<Slot<B>>>) -> Self {
        Self { body: Some(body), slot, polled: false }
    }
}

impl<B: Body + Unpin> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.polled = true;
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        let failed = matches!(frame, Some(Err(_)));
        let ended = frame.is_none() || failed || body.is_end_stream();
        if let Some(slot) = self.slot.take_if(|_| ended) {
            drop(slot.replace(Fate::Ended));
            if let Some(request) = slot.request.as_ref().filter(|_| !failed) {
                request.end();
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B> Drop for RequestBody<B> {
    fn drop(&mut self) {
        if let (Some(slot), Some(body)) = (self.slot.take(), self.body.take()) {
            drop(slot.replace(Fate::Unread { body, polled: self.polled }));
        }
    }
}

impl<B: fmt::Debug> fmt::Debug for RequestBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestBody").field(&self.body).finish()
    }
}
