//! Observers: of which closes they are told, what their panics do, and what they are told of failed
//! handshakes.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::{Layer, Service, service_fn};
use tower_linger::{
    ClosePolicy, HandshakeError, LingerIo, LingerLayer, Outcome, Plain, TlsAcceptError, close,
};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::{listen, reporting};
use tower_linger_tests::until::until;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_observer_is_told_of_closes_of_its_layer_and_of_later_clones_only() {
    let before = LingerLayer::default();
    let told = Arc::new(AtomicUsize::new(0));
    let counted = told.clone();
    let observed = before.clone().on_close(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let after = observed.clone();
    for (layer, expected) in [(&before, 0), (&observed, 1), (&after, 2)] {
        let (peer, io) = duplex(16);
        drop(peer);
        drop(layer.wrap(io));
        layer.tracker().wait().await;
        assert_eq!(told.load(Ordering::SeqCst), expected);
    }
    // All of them share the tracker.
    assert_eq!(before.tracker().summary().total(), 3);
}

#[tokio::test]
async fn an_observer_that_panics_takes_neither_the_count_nor_the_services_result() {
    let linger = LingerLayer::default().on_close(|_| panic!("an observer, on purpose"));
    let (peer, io) = duplex(16);
    drop(peer);
    drop(linger.wrap(io));
    linger.tracker().wait().await;
    assert_eq!((linger.tracker().len(), linger.tracker().summary().total()), (0, 1));

    let mut service = linger.layer(service_fn(|io: LingerIo<DuplexStream>| async move {
        drop(io);
        Ok::<_, Infallible>(42)
    }));
    let (peer, io) = duplex(16);
    drop(peer);
    assert_eq!(tokio::spawn(service.call(io)).await.expect("no panic"), Ok(42));
    assert_eq!(linger.tracker().summary().total(), 2);
}

/// It panics at all that it is told, even while a handler panics.
#[tokio::test]
async fn a_subscriber_that_panics_takes_neither_a_connection_nor_its_report() {
    use PanickingSubscriber::{AtEverything, AtTheEnd};

    let (linger, mut reports) = reporting(ClosePolicy::default());
    for (handler_panics, subscriber) in
        [(false, AtEverything), (true, AtEverything), (false, AtTheEnd), (true, AtTheEnd)]
    {
        let _installed = tracing::subscriber::set_default(subscriber);
        let (peer, io) = duplex(16);
        drop(peer);
        let io = linger.wrap(io);
        let handler = move || {
            let _io = io;
            assert!(!handler_panics, "a handler, on purpose");
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(handler));
        assert_eq!(result.is_err(), handler_panics);
        let _ = reports.recv().await.expect("it is reported");
        linger.tracker().wait().await;
    }
    assert_eq!(linger.tracker().summary().total(), 4);
}

/// Panics at all that it is told, or only at the end of a span.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PanickingSubscriber {
    AtEverything,
    AtTheEnd,
}

impl PanickingSubscriber {
    fn told(self) {
        assert!(self == Self::AtTheEnd, "a subscriber, on purpose");
    }
}

impl tracing::Subscriber for PanickingSubscriber {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "tower_linger"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.told();
        tracing::span::Id::from_u64(1)
    }

    fn try_close(&self, _: tracing::span::Id) -> bool {
        panic!("a subscriber, on purpose")
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {
        self.told();
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.told();
    }

    fn enter(&self, _: &tracing::span::Id) {
        self.told();
    }

    fn exit(&self, _: &tracing::span::Id) {
        self.told();
    }
}

/// Whether this is the child process in which the test may abort. Otherwise runs the test of this name in
/// one.
fn is_child(test: &str) -> bool {
    const CHILD: &str = "TOWER_LINGER_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let this = std::env::current_exe().expect("it has a path");
    let run = Command::new(this).args(["--exact", test]).env(CHILD, "1").output().expect("it runs");
    let (said, complained) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && said.contains("1 passed"), "{}: {said}{complained}", run.status);
    false
}

#[test]
fn an_observer_that_panics_while_a_handler_panics_does_not_abort_the_process() {
    if is_child("an_observer_that_panics_while_a_handler_panics_does_not_abort_the_process") {
        closes_while_a_handler_panics(|| {
            LingerLayer::default().on_close(|_| panic!("an observer, on purpose"))
        });
    }
}

#[test]
fn a_span_that_panics_at_its_end_while_a_handler_panics_does_not_abort_the_process() {
    if is_child("a_span_that_panics_at_its_end_while_a_handler_panics_does_not_abort_the_process") {
        let _installed = tracing::subscriber::set_default(PanickingSubscriber::AtTheEnd);
        closes_while_a_handler_panics(LingerLayer::default);
    }
}

/// Without a runtime a close ends where it begins: here, while the thread unwinds. Its runtime has ended, or
/// there has never been one.
fn closes_while_a_handler_panics(layer: fn() -> LingerLayer) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (once, never) = (layer(), layer());
    let ended = runtime.block_on(async { once.wrap(duplex(16).0) });
    drop(runtime);
    closes_in_a_panic(&once, ended);
    closes_in_a_panic(&never, never.wrap(duplex(16).0));
}

fn closes_in_a_panic(linger: &LingerLayer, io: LingerIo<DuplexStream>) {
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _io = io;
        panic!("a handler, on purpose")
    }));
    assert!(panicked.is_err());
    assert_eq!((linger.tracker().len(), linger.tracker().summary().total()), (0, 1));
}

/// A transport that panics whenever it is polled.
struct Panics;

impl AsyncRead for Panics {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        panic!("a transport, on purpose")
    }
}

impl AsyncWrite for Panics {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        panic!("a transport, on purpose")
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        panic!("a transport, on purpose")
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        panic!("a transport, on purpose")
    }
}

#[test]
fn a_transport_that_panics_on_every_poll_does_not_abort_the_process() {
    if !is_child("a_transport_that_panics_on_every_poll_does_not_abort_the_process") {
        return;
    }
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        drop(linger.wrap(Plain(Panics)));
        linger.tracker().wait().await;
        assert_eq!(reports.recv().await.expect("reported").outcome, Outcome::Cancelled);
        // The service meets the panic first, so its connection is dropped while the task unwinds.
        let mut service = linger
            .layer(service_fn(|mut io: LingerIo<Plain<Panics>>| async move { io.write_all(b"hello").await }));
        assert!(tokio::spawn(service.call(Plain(Panics))).await.expect_err("it panics").is_panic());
        linger.tracker().wait().await;
    });
    assert_eq!((linger.tracker().len(), linger.tracker().summary().total()), (0, 2));
    // Wrapped in a runtime that has ended since, and outside any runtime.
    let ended = runtime.block_on(async { linger.wrap(Plain(Panics)) });
    drop(runtime);
    let without = LingerLayer::default();
    let never = without.wrap(Plain(Panics));
    for (io, tracker, total) in [(ended, linger.tracker(), 3), (never, without.tracker(), 1)] {
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _io = io;
            panic!("a handler, on purpose")
        }));
        assert!(panicked.is_err());
        assert_eq!((tracker.len(), tracker.summary().total()), (0, total));
    }
}

/// Counts what it is asked for, and panics the first time.
struct PanicsOnce(Arc<AtomicUsize>);

impl PanicsOnce {
    fn asked(&self) -> Poll<io::Result<()>> {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "a transport, on purpose");
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for PanicsOnce {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.asked()
    }
}

impl AsyncWrite for PanicsOnce {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.asked().map_ok(|()| bytes.len())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.asked()
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.asked()
    }
}

/// Nobody knows what state it is in.
#[tokio::test]
async fn a_transport_that_has_panicked_in_a_close_is_asked_for_nothing_more() {
    for is_detached in [false, true] {
        let (linger, mut reports) = reporting(ClosePolicy::default());
        let asked = Arc::new(AtomicUsize::new(0));
        let io = Plain(PanicsOnce(asked.clone()));
        if is_detached {
            drop(linger.wrap(io));
        } else {
            let close = linger.close(io);
            assert!(tokio::spawn(close).await.expect_err("it panics").is_panic());
        }
        linger.tracker().wait().await;
        assert_eq!(reports.recv().await.expect("reported").outcome, Outcome::Cancelled);
        assert_eq!(asked.load(Ordering::SeqCst), 1, "detached: {is_detached}");
    }
}

#[test]
fn a_connection_that_is_dropped_in_a_plain_thread_is_closed_by_its_runtime() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let (mut peer, io) = runtime.block_on(async {
        let (peer, io) = pair().await;
        (peer, linger.wrap(io))
    });
    std::thread::spawn(move || drop(io)).join().expect("no panic");
    assert_eq!((linger.tracker().len(), linger.tracker().closing()), (1, 1));
    runtime.block_on(async {
        peer.write_all(&vec![0; 4 << 20]).await.expect("it is drained");
        drop(peer);
        let report = reports.recv().await.expect("reported");
        assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false }, "{report}");
        assert_eq!(report.bytes_drained, 4 << 20);
    });
}

/// That is no failure of the connection.
#[test]
fn a_close_that_is_polled_after_its_runtime_has_ended_is_cancelled() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (peer, io) = runtime.block_on(pair());
    drop(runtime);
    let other = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let report = other.block_on(close(io, &ClosePolicy::default()));
    assert_eq!((report.outcome, report.failure), (Outcome::Cancelled, None));
    drop(peer);
}

/// TLS over a pipe, with a service that ends at once.
fn tls(
    linger: &LingerLayer,
) -> impl Service<DuplexStream, Future: Send + 'static, Response = (), Error = Error> + use<> {
    let config = Certs::make().server(&Version::ALL, ClientAuth::None);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let inner = service_fn(|io: LingerIo<TlsStream<DuplexStream>>| async move {
        drop(io);
        Ok::<_, io::Error>(())
    });
    linger.clone().tls(acceptor).layer(inner)
}

type Error = TlsAcceptError<io::Error>;

#[tokio::test(start_paused = true)]
async fn a_handshake_that_takes_too_long_is_served_and_reported() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let (mut client, io) = duplex(1 << 14);
    client.write_all(&[22, 3, 1, 0, 200]).await.expect("taken");
    let connection = tokio::spawn(tls(&linger).call(io));
    until("it is served", || linger.tracker().served() == 1).await;
    let Err(Error::Handshake(HandshakeError::TimedOut(limit))) = connection.await.expect("no panic") else {
        panic!("it times out")
    };
    assert_eq!(limit, 10 * SECOND);
    assert_eq!(reports.try_recv().expect("reported").outcome, Outcome::HandshakeTimeout);
    assert_eq!((linger.tracker().len(), linger.tracker().summary().total()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_dropped_or_fails_or_is_cut_is_reported_once() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let (_client, io) = duplex(1 << 14);
    let connection = tokio::spawn(tls(&linger).call(io));
    until("it is served", || linger.tracker().served() == 1).await;
    connection.abort();
    linger.tracker().wait().await;
    assert_eq!(reports.try_recv().expect("reported").outcome, Outcome::Cancelled);

    let (mut client, io) = duplex(1 << 14);
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("taken");
    let connection = tokio::spawn(tls(&linger).call(io));
    until("its alert lingers", || linger.tracker().closing() == 1).await;
    drop(client);
    let failed = connection.await.expect("no panic");
    assert!(matches!(failed, Err(Error::Handshake(HandshakeError::Failed(_)))));
    assert_eq!(reports.try_recv().expect("reported").outcome, Outcome::PeerClosed { close_notify: false });

    let (_client, io) = duplex(1 << 14);
    let connection = tokio::spawn(tls(&linger).call(io));
    until("it is served", || linger.tracker().served() == 1).await;
    let summary = linger.tracker().shutdown(SECOND).await;
    let cut = connection.await.expect("no panic");
    assert!(matches!(cut, Err(Error::Handshake(HandshakeError::Cut))));
    assert_eq!(reports.try_recv().expect("reported").outcome, Outcome::ShutdownCut);
    assert!(reports.try_recv().is_err(), "reported once each");
    assert_eq!((summary.total(), linger.tracker().len()), (3, 0));
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = listen().await;
    let peer = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
    (peer, listener.accept().await.expect("a connection").0)
}
