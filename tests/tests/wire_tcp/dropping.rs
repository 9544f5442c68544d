//! Connections whose runtime is gone before they are closed.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tower_linger::{ClosePolicy, Outcome};
use tower_linger_tests::peer::head;
use tower_linger_tests::server::{Engine, listen, reporting};
use tower_linger_tests::wire::ResetWatch;

use super::common::{app, arrived, last_request};

/// Small enough for a new socket's receive buffer.
static LATE: [u8; 30_000] = [b'x'; 30_000];

/// CONFORMANCE 38 and 5: without a runtime nothing wakes the close for new bytes, so it discards what is
/// there right before the release.
pub(crate) fn a_runtime_shut_down_in_the_drain_discards_what_arrived() {
    for engine in Engine::ALL {
        let runtime = runtime();
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let server = runtime.block_on(engine.start(Some(&linger), app()));
        let resets = ResetWatch::start(server.address.port()).expect("captures");
        let mut client = until_blocking(&runtime, server.address, |client| {
            client.write_all(&last_request("/small")).expect("writes");
            client.read_to_end(&mut Vec::new()).expect("reads to the FIN");
        });
        client.write_all(&LATE).expect("writes");
        arrived(server.address.port(), LATE.len());
        drop(runtime);
        let report = reports.try_recv().expect("reported before the runtime is gone");
        assert_eq!(
            (report.outcome, report.bytes_drained),
            (Outcome::Cancelled, LATE.len() as u64),
            "{engine:?}"
        );
        assert_eq!(client.read(&mut [0; 1]).expect("no reset"), 0, "{engine:?}");
        drop(client);
        resets.assert_none(engine);
    }
}

/// CONFORMANCE 38: the end of the runtime does not reset a request in service whose body is unread.
pub(crate) fn a_runtime_shut_down_in_service_still_ends_with_a_fin() {
    for engine in Engine::ALL {
        for layer in [true, false] {
            let runtime = runtime();
            let (linger, mut reports) = reporting(ClosePolicy::default());
            let called = Arc::new(Notify::new());
            let app = Router::new().route("/", {
                let called = Arc::clone(&called);
                any(async move || {
                    called.notify_one();
                    std::future::pending::<()>().await;
                })
            });
            let server = runtime.block_on(engine.start(layer.then_some(&linger), app));
            let resets = ResetWatch::start(server.address.port()).expect("captures");
            let mut client = until_blocking(&runtime, server.address, |client| {
                client.write_all(&head("PUT", "/", LATE.len())).expect("writes");
            });
            runtime.block_on(called.notified());
            client.write_all(&LATE).expect("writes");
            arrived(server.address.port(), LATE.len());
            drop(runtime);
            let seen = client.read(&mut [0; 1]).map_err(|error| error.kind());
            if layer {
                let report = reports.try_recv().expect("reported before the runtime is gone");
                assert_eq!((report.outcome, seen), (Outcome::Cancelled, Ok(0)), "{engine:?}: {report}");
                drop(client);
                resets.assert_none(engine);
            } else {
                assert_eq!(seen, Err(ErrorKind::ConnectionReset), "{engine:?} without the layer");
            }
        }
    }
}

/// CONFORMANCE 38: the thread that drops the connection has no runtime, so no task can drain it.
pub(crate) async fn dropping_a_connection_outside_any_runtime_still_ends_with_a_fin() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let listener = listen().await;
    let address = listener.local_addr().expect("is bound");
    for layer in [true, false] {
        let resets = ResetWatch::start(address.port()).expect("captures");
        let mut client = TcpStream::connect(address).expect("connects");
        let (io, _) = listener.accept().await.expect("accepts");
        client.write_all(&LATE).expect("writes");
        arrived(address.port(), LATE.len());
        let linger = linger.clone();
        let thread = std::thread::spawn(move || if layer { drop(linger.wrap(io)) } else { drop(io) });
        thread.join().expect("does not panic");
        let seen = client.read(&mut [0; 1]).map_err(|error| error.kind());
        if layer {
            let report = reports.recv().await.expect("a report");
            assert_eq!((report.outcome, report.bytes_drained), (Outcome::Cancelled, LATE.len() as u64));
            assert_eq!(seen, Ok(0));
            drop(client);
            resets.assert_none(());
        } else {
            assert_eq!(seen, Err(ErrorKind::ConnectionReset), "without the layer");
        }
    }
}

/// A runtime that runs in `block_on` only, so that what arrives between two calls stays unread.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Connects a blocking client and lets it do its first part while the runtime serves it.
fn until_blocking(runtime: &Runtime, server: SocketAddr, first: fn(&mut TcpStream)) -> TcpStream {
    let client = runtime.spawn_blocking(move || {
        let mut client = TcpStream::connect(server).expect("connects");
        first(&mut client);
        client
    });
    runtime.block_on(client).expect("does not panic")
}
