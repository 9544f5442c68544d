//! A response's body that records its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::serve::connection::Connection;

pin_project! {
    /// A response's body behind [`RequestLayer`](crate::RequestLayer). Frames, errors and size are unchanged.
    #[derive(Debug)]
    pub struct ResponseBody<R> {
        #[pin]
        body: R,
        connection: Option<Arc<Connection>>,
        left: Option<u64>,
    }
}

impl<R> ResponseBody<R> {
    /// `left` is the body's length, if it is known: hyper does not poll after so many bytes.
    pub(super) fn new(body: R, connection: Option<Arc<Connection>>, left: Option<u64>) -> Self {
        Self { body, connection, left }
    }
}

impl<R: Body> Body for ResponseBody<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        let ended = match &frame {
            None => true,
            Some(Err(_)) => {
                if let Some(connection) = this.connection.take() {
                    connection.exchanges().fail();
                }
                false
            }
            Some(Ok(frame)) => {
                if let (Some(left), Some(data)) = (this.left.as_mut(), frame.data_ref()) {
                    *left = left.saturating_sub(data.remaining() as u64);
                }
                // hyper asks for nothing after trailers.
                *this.left == Some(0) || frame.is_trailers() || this.body.is_end_stream()
            }
        };
        if let Some(connection) = this.connection.take_if(|_| ended) {
            connection.exchanges().complete();
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
