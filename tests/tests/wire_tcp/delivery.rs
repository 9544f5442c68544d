//! The last response reaches the client, whatever the client sends meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::any;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;
use tower::Layer as _;
use tower_linger::{ClosePolicy, RequestLayer};
use tower_linger_tests::library_client;
use tower_linger_tests::peer::{Client, End, Manner, Seen, head, receive};
use tower_linger_tests::server::{Engine, Http, Running, accept_loop, listen, midway, reporting};
use tower_linger_tests::wire::ResetWatch;

use super::common::{LARGE_BYTES, MESSAGE, TRIES, UPLOAD_BYTES, app, assert_peer_closed, last_request};

/// CONFORMANCE 6, RFC 9112 §9.6 and RFC 9110 §15.5.14: answers at once and in the middle of the upload, to
/// raw clients and to reqwest.
pub(crate) async fn an_early_413_or_401_reaches_every_client_that_uploads() {
    let body = Bytes::from(vec![0; UPLOAD_BYTES]);
    for (engine, app) in Engine::ALL.into_iter().flat_map(|engine| [(engine, app()), (engine, midway_app())])
    {
        let (linger, _reports) = reporting(ClosePolicy::default());
        let server = engine.start(Some(&linger), app.clone()).await;
        let bare = engine.start(None, app).await;
        for (status, path) in [(413, "/413"), (401, "/401")] {
            let expected = Seen { status: Some(status), body: MESSAGE.len(), complete: true, end: End::Fin };
            for manner in [Manner::StopsAtFailedWrite, Manner::ReadsWhileWriting] {
                let seen = upload(&server, &head("PUT", path, UPLOAD_BYTES), manner).await;
                assert_eq!(seen, expected, "{engine:?}, {manner:?}");
            }
            let seen = library_client::upload(server.address, path, body.clone(), None).await;
            assert_eq!(seen, expected, "{engine:?}, reqwest");

            let seen = upload(&bare, &head("PUT", path, UPLOAD_BYTES), Manner::StopsAtFailedWrite).await;
            assert_eq!((seen.status, seen.end), (None, End::Reset), "{engine:?} without the layer");
        }
        linger.tracker().wait().await;
    }
}

/// CONFORMANCE 6, RFC 6585 §5: hyper itself answers a head that is too large, and ends the connection with
/// an error.
pub(crate) async fn hypers_own_431_reaches_a_client_that_keeps_sending() {
    let mut request = b"PUT /small HTTP/1.1\r\nHost: localhost\r\n".to_vec();
    // hyper accepts 100 headers.
    request.extend(b"X-Filler: x\r\n".repeat(200));
    request.extend(format!("Content-Length: {UPLOAD_BYTES}\r\n\r\n").into_bytes());
    for engine in Engine::ALL {
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let server = engine.start(Some(&linger), app()).await;
        let bare = engine.start(None, app()).await;
        for manner in [Manner::StopsAtFailedWrite, Manner::ReadsWhileWriting] {
            let resets = ResetWatch::start(server.address.port()).expect("captures");
            let seen = upload(&server, &request, manner).await;
            let expected = Seen { status: Some(431), body: 0, complete: true, end: End::Fin };
            assert_eq!(seen, expected, "{engine:?}, {manner:?}");
            assert_peer_closed(&reports.recv().await.expect("a report"));
            resets.assert_none((engine, manner));
        }
        let seen = upload(&bare, &request, Manner::StopsAtFailedWrite).await;
        assert_eq!((seen.status, seen.end), (None, End::Reset), "{engine:?} without the layer");
    }
}

/// CONFORMANCE 8, RFC 9112 §9.6: the client has a small receive buffer and sends without end.
pub(crate) async fn a_large_response_reaches_a_client_that_keeps_sending() {
    for engine in Engine::ALL {
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let server = engine.start(Some(&linger), app()).await;
        let bare = engine.start(None, app()).await;
        let resets = ResetWatch::start(server.address.port()).expect("captures");
        let seen = slow_upload(&server).await;
        assert_eq!(seen, Seen { status: Some(200), body: LARGE_BYTES, complete: true, end: End::Fin });
        assert_peer_closed(&reports.recv().await.expect("a report"));
        resets.assert_none(engine);

        // On a busy machine the client may have read everything before the reset, hence several tries.
        let mut lost = false;
        for _ in 0..TRIES {
            lost |= !slow_upload(&bare).await.complete;
            if lost {
                break;
            }
        }
        assert!(lost, "{engine:?} without the layer, {TRIES} times");
    }
}

/// CONFORMANCE 9, RFC 9112 §9.6: a client that has sent its FIN still waits for the response.
pub(crate) async fn a_client_that_half_closes_gets_the_whole_response() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
    // The handler answers after the client's FIN.
    let half_closed = Arc::new(Notify::new());
    let app = app().layer(from_fn({
        let half_closed = Arc::clone(&half_closed);
        move |request, next: Next| {
            let half_closed = Arc::clone(&half_closed);
            async move {
                half_closed.notified().await;
                next.run(request).await
            }
        }
    }));
    let http = Http::new(app).configured(|hyper| _ = hyper.http1().half_close(true));
    let server = accept_loop(listen().await, linger.layer(http));
    let resets = ResetWatch::start(server.address.port()).expect("captures");
    let seen = half_closing(&server, "/large", &half_closed).await;
    assert_eq!(seen, Seen { status: Some(200), body: LARGE_BYTES, complete: true, end: End::Fin });
    assert_peer_closed(&reports.recv().await.expect("a report"));
    resets.assert_none(());
}

/// CONFORMANCE 9: `axum::serve` does not set hyper's `half_close`, and without it hyper drops a request whose
/// client half-closes before the answer. The layer cannot change that; the connection ends without a reset.
pub(crate) async fn a_client_that_half_closes_gets_no_answer_where_hyper_does_not_allow_it() {
    let app = Router::new().route("/", any(std::future::pending::<()>));
    for engine in Engine::ALL {
        let (linger, _reports) = reporting(ClosePolicy::default());
        for linger in [Some(&linger), None] {
            let server = engine.start(linger, app.clone()).await;
            let resets = ResetWatch::start(server.address.port()).expect("captures");
            let seen = half_closing(&server, "/", &Notify::new()).await;
            assert_eq!((seen.status, seen.end), (None, End::Fin), "{engine:?}, {linger:?}");
            resets.assert_none((engine, linger));
        }
    }
}

/// CONFORMANCE 10, RFC 9112 §9.6: complete requests behind the last one are discarded, too.
pub(crate) async fn requests_after_the_last_one_are_discarded() {
    let mut requests = last_request("/");
    requests.extend(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(500_000));
    for engine in Engine::ALL {
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let calls = Arc::new(AtomicUsize::new(0));
        let app = Router::new().route("/", {
            let calls = Arc::clone(&calls);
            any(async move || {
                calls.fetch_add(1, Ordering::Relaxed);
                MESSAGE
            })
        });
        let bare = engine.start(None, app.clone()).await;
        // The second knows that the client has announced its last request.
        for app in [app.clone(), app.layer(RequestLayer)] {
            let server = engine.start(Some(&linger), app).await;
            let resets = ResetWatch::start(server.address.port()).expect("captures");
            let seen = client(&server, None).await.exchange(&requests, 0, Manner::StopsAtFailedWrite).await;
            let expected = Seen { status: Some(200), body: MESSAGE.len(), complete: true, end: End::Fin };
            assert_eq!(seen, expected, "{engine:?}");
            assert_eq!(calls.swap(0, Ordering::Relaxed), 1, "{engine:?}");
            assert_peer_closed(&reports.recv().await.expect("a report"));
            resets.assert_none(engine);
        }

        let seen = client(&bare, None).await.exchange(&requests, 0, Manner::StopsAtFailedWrite).await;
        assert_eq!((seen.status, seen.end), (None, End::Reset), "{engine:?} without the layer");
        assert_eq!(calls.load(Ordering::Relaxed), 1, "{engine:?} without the layer");
    }
}

async fn client(server: &Running, receive_buffer: Option<u32>) -> Client {
    Client::plain(server.address, receive_buffer).await.expect("connects")
}

async fn upload(server: &Running, request: &[u8], manner: Manner) -> Seen {
    client(server, None).await.exchange(request, UPLOAD_BYTES, manner).await
}

async fn slow_upload(server: &Running) -> Seen {
    let client = client(server, Some(64 << 10)).await;
    client.exchange(&head("PUT", "/large", UPLOAD_BYTES), UPLOAD_BYTES, Manner::ReadsWhileWriting).await
}

async fn half_closing(server: &Running, path: &str, half_closed: &Notify) -> Seen {
    let mut client = client(server, Some(64 << 10)).await;
    client.write_all(&last_request(path)).await.expect("writes");
    client.shutdown().await.expect("half-closes");
    half_closed.notify_one();
    receive(&mut client, End::Fin).await
}

/// The same app, which answers in the middle of the upload.
fn midway_app() -> Router {
    app().layer(from_fn(async |request: Request, next: Next| {
        let (head, body) = request.into_parts();
        midway(body).await;
        next.run(Request::from_parts(head, Body::empty())).await
    }))
}
