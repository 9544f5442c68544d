//! What a request and its response tell about their connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, CONTENT_LENGTH, UPGRADE};
use http::{HeaderMap, Method, Response, StatusCode, Version};
use http_body::Body;

use super::response_body::ResponseBody;
use crate::clock::now;
use crate::serve::by_task::current;
use crate::serve::connection::Connection;
use crate::serve::exchanges::Number;
use crate::serve::framing::Framing;

/// One exchange, from its request to the head of its response.
#[derive(Debug)]
pub(super) struct Watch {
    request: Reading,
    method: Method,
    version: Version,
}

/// A request that is read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    connection: Arc<Connection>,
    number: Number,
    /// When a request with a body began.
    began: Option<Instant>,
}

impl Reading {
    /// It was read to its end.
    pub(super) fn end(&self) {
        let sent_for = self.began.map_or(Duration::ZERO, |began| now().saturating_duration_since(began));
        self.connection.exchanges().end_request(self.number, sent_for);
    }
}

impl Watch {
    /// Begins an exchange of HTTP/1 on the `known` connection, or else on the one that this task serves. A
    /// stream of HTTP/2 is not watched, because its failure is not the connection's.
    pub(super) fn begin(
        method: &Method,
        version: Version,
        headers: &HeaderMap,
        is_bodiless: bool,
        known: Option<&Arc<Connection>>,
    ) -> Option<Self> {
        if version >= Version::HTTP_2 {
            return None;
        }
        let connection = known.cloned().or_else(current)?;
        let number = connection.exchanges().begin(is_last(version, headers));
        let request = Reading { connection, number, began: (!is_bodiless).then(now) };
        if is_bodiless {
            request.end();
        }
        Some(Self { request, method: method.clone(), version })
    }

    /// What is to be told when the request was read to its end.
    pub(super) fn request(&self) -> &Reading {
        &self.request
    }

    /// Records what the head says, and watches the body for its end.
    pub(super) fn respond<R: Body>(self, response: Response<R>) -> Response<ResponseBody<R>> {
        let (status, exchanges) = (response.status(), self.request.connection.exchanges());
        if self.is_upgrade(status) {
            let websocket = response.headers().get(UPGRADE);
            let framed = websocket.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
            exchanges.upgrade(if framed { Framing::Framed } else { Framing::UntilClose });
            exchanges.complete();
            return response.map(|body| ResponseBody::new(body, None, None));
        }
        let length = length(&response);
        let bodiless = self.method == Method::HEAD
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED
            // hyper answers 500 without a body instead of this.
            || status.is_informational()
            || length == Some(0)
            || response.body().is_end_stream();
        let until_close = self.version < Version::HTTP_11 && length.is_none() && !bodiless;
        exchanges.set_framing(if until_close { Framing::UntilClose } else { Framing::Framed });
        if bodiless {
            exchanges.complete();
            return response.map(|body| ResponseBody::new(body, None, None));
        }
        response.map(|body| ResponseBody::new(body, Some(self.request.connection), length))
    }

    fn is_upgrade(&self, status: StatusCode) -> bool {
        status == StatusCode::SWITCHING_PROTOCOLS || self.method == Method::CONNECT && status.is_success()
    }
}

/// Whether the client has announced that no other request follows (RFC 9112 §9.3).
fn is_last(version: Version, headers: &HeaderMap) -> bool {
    let says = |option| {
        let values = headers.get_all(CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(option))
    };
    if version < Version::HTTP_11 { !says("keep-alive") || says("close") } else { says("close") }
}

/// The length by which hyper frames the body: the header's, or the body's own.
fn length<R: Body>(response: &Response<R>) -> Option<u64> {
    let header = response.headers().get(CONTENT_LENGTH);
    header.and_then(|value| value.to_str().ok()?.parse().ok()).or_else(|| response.body().size_hint().exact())
}

#[cfg(test)]
mod tests {
    use linger_proto::Requests;

    use super::*;

    fn watched(version: Version, method: &Method) -> (Watch, Arc<Connection>) {
        let connection = Arc::<Connection>::default();
        let headers = HeaderMap::new();
        let watch = Watch::begin(method, version, &headers, true, Some(&connection)).expect("HTTP/1");
        assert!(connection.exchanges().is_busy() && connection.exchanges().is_known());
        (watch, connection)
    }

    fn text() -> Response<String> {
        Response::new("text".to_owned())
    }

    #[tokio::test]
    async fn an_exchange_is_busy_until_its_body_is_at_its_end() {
        let (watch, connection) = watched(Version::HTTP_11, &Method::GET);
        let mut body = watch.respond(text()).into_body();
        assert!(connection.exchanges().is_busy());
        assert_eq!(connection.exchanges().framing(), Framing::Framed);
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        assert!(frame.is_some_and(|frame| frame.is_ok()));
        assert!(!connection.exchanges().is_busy());
    }

    #[test]
    fn a_body_or_a_request_dropped_before_the_end_leaves_the_exchange_busy() {
        let (watch, connection) = watched(Version::HTTP_11, &Method::GET);
        drop(watch.respond(text()));
        assert!(connection.exchanges().is_busy());
        let (watch, connection) = watched(Version::HTTP_11, &Method::GET);
        drop(watch);
        assert!(connection.exchanges().is_busy());
    }

    #[tokio::test]
    async fn a_body_is_at_its_end_behind_its_trailers() {
        struct Trailers;
        impl Body for Trailers {
            type Data = bytes::Bytes;
            type Error = std::convert::Infallible;

            fn poll_frame(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
                std::task::Poll::Ready(Some(Ok(http_body::Frame::trailers(HeaderMap::new()))))
            }
        }
        let (watch, connection) = watched(Version::HTTP_11, &Method::GET);
        let mut body = watch.respond(Response::new(Trailers)).into_body();
        std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        assert!(!connection.exchanges().is_busy());
    }

    #[tokio::test]
    async fn a_body_that_failed_leaves_the_exchange_failed_until_the_next() {
        struct Fails;
        impl Body for Fails {
            type Data = bytes::Bytes;
            type Error = ();

            fn poll_frame(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, ()>>> {
                std::task::Poll::Ready(Some(Err(())))
            }
        }
        let (watch, connection) = watched(Version::HTTP_11, &Method::GET);
        let mut body = watch.respond(Response::new(Fails)).into_body();
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        assert!(frame.is_some_and(|frame| frame.is_err()));
        assert!(connection.exchanges().is_busy() && connection.exchanges().has_failed());
        connection.exchanges().begin(false);
        assert!(!connection.exchanges().has_failed());
    }

    #[test]
    fn a_response_without_body_is_complete_at_once() {
        let (watch, connection) = watched(Version::HTTP_11, &Method::HEAD);
        drop(watch.respond(text()));
        assert!(!connection.exchanges().is_busy());
    }

    #[test]
    fn a_tunnel_ends_with_its_connection_and_a_websocket_has_frames() {
        for (protocol, framing) in [("websocket", Framing::Framed), ("chat", Framing::UntilClose)] {
            let (watch, connection) = watched(Version::HTTP_11, &Method::GET);
            let mut response = text();
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response.headers_mut().insert(UPGRADE, http::HeaderValue::from_static(protocol));
            drop(watch.respond(response));
            assert!(connection.exchanges().is_upgraded() && !connection.exchanges().is_busy());
            assert_eq!(connection.exchanges().framing(), framing);
        }
    }

    #[test]
    fn the_end_of_an_earlier_request_is_not_taken_for_that_of_the_last() {
        let connection = Arc::<Connection>::default();
        let begin = || {
            let headers = HeaderMap::new();
            let known = Some(&connection);
            Watch::begin(&Method::PUT, Version::HTTP_11, &headers, false, known).expect("HTTP/1")
        };
        let requests = || connection.requests();
        let first = begin();
        let second = begin();
        first.request().end();
        assert_eq!(requests(), Requests::Unknown);
        second.request().end();
        assert!(matches!(requests(), Requests::Read { .. }));
        begin();
        assert_eq!(requests(), Requests::Unknown);
    }

    #[test]
    fn how_long_the_client_has_sent_is_from_the_head_to_the_end_of_the_body() {
        let (watch, connection) = watched(Version::HTTP_11, &Method::PUT);
        assert_eq!(connection.requests(), Requests::Read { sent_for_ms: 0 });
        let began = now().checked_sub(Duration::from_millis(1_500)).expect("the system runs for longer");
        Reading { began: Some(began), ..watch.request().clone() }.end();
        let Requests::Read { sent_for_ms } = connection.requests() else { panic!("it was read") };
        assert!((1_500..60_000).contains(&sent_for_ms), "{sent_for_ms} ms");
    }

    #[test]
    fn a_client_is_done_when_it_has_announced_its_last_request_and_that_was_read() {
        let cases = [
            (Version::HTTP_11, "", false),
            (Version::HTTP_11, "close", true),
            (Version::HTTP_11, "Keep-Alive, Close", true),
            (Version::HTTP_11, "closed", false),
            (Version::HTTP_11, "upgrade", false),
            (Version::HTTP_10, "", true),
            (Version::HTTP_10, "Keep-Alive", false),
            (Version::HTTP_10, "keep-alive, close", true),
        ];
        for (version, says, expected) in cases {
            let connection = Arc::<Connection>::default();
            let headers = HeaderMap::from_iter([(CONNECTION, says.parse().expect("a value"))]);
            let begin = |is_bodiless| {
                Watch::begin(&Method::GET, version, &headers, is_bodiless, Some(&connection)).expect("HTTP/1")
            };
            let is_done = || connection.requests() == Requests::Over;
            begin(true);
            assert_eq!(is_done(), expected, "{version:?} {says}");
            let watch = begin(false);
            assert_eq!(connection.requests(), Requests::Unknown, "{version:?} {says}");
            watch.request().end();
            assert_eq!(is_done(), expected, "{version:?} {says}");
            connection.exchanges().upgrade(Framing::Framed);
            assert_eq!(connection.requests(), Requests::Unknown, "{version:?} {says}");
        }
    }

    #[test]
    fn a_stream_of_http2_is_not_watched() {
        let (method, headers) = (Method::GET, HeaderMap::new());
        assert!(Watch::begin(&method, Version::HTTP_2, &headers, true, Some(&Arc::default())).is_none());
    }
}
