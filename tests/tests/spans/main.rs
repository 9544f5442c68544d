//! The span of each close: its fields, what is inside it, and how many there are in a flood. What fails
//! before there is a close is an event outside of any. One subscriber sees all tests; each test has a
//! listener with a name of its own.

use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, duplex};
use tokio::net::TcpStream;
use tower_linger::{ClosePolicy, LingerLayer, SocketRef, Transport, close};
use tower_linger_tests::scripted::Script;
use tower_linger_tests::server::listen;

use crate::capture::{SEEN, install, only_span, spans};

mod capture;
mod failures;

/// The most spans of a layer in a second, as the crate's documentation says.
const SPANS_PER_SECOND: usize = 100;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = listen().await;
    let peer = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
    (peer, listener.accept().await.expect("a connection").0)
}

#[tokio::test]
async fn a_close_is_a_span_with_the_fields_of_opentelemetrys_conventions() {
    install();
    let (peer, io) = pair().await;
    let (client, server) = (peer.local_addr().expect("bound"), io.local_addr().expect("bound"));
    drop(peer);
    let _report = LingerLayer::default().named("plain end").close(io).await;
    let span = only_span("plain end");
    let expected = [
        ("network.transport", "tcp".to_owned()),
        ("network.peer.address", client.ip().to_string()),
        ("network.peer.port", client.port().to_string()),
        ("network.local.address", server.ip().to_string()),
        ("network.local.port", server.port().to_string()),
        ("outcome", "peer_closed".to_owned()),
        ("ended_in", "drain".to_owned()),
        ("bytes_drained", "0".to_owned()),
    ];
    for (name, value) in expected {
        assert_eq!(span.get(name), Some(&*value), "{name}: {span:?}");
    }
    for none in ["error.type", "otel.status_code", "left_out"] {
        assert_eq!(span.get(none), None, "{span:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_failure_is_the_spans_error_type_and_status() {
    install();
    let (peer, io) = pair().await;
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).expect("a socket");
    let closing = tokio::spawn(LingerLayer::default().named("reset").close(io));
    drop(peer);
    let _report = closing.await.expect("no panic");
    let span = only_span("reset");
    assert_eq!(span.get("outcome"), Some("peer_reset"), "{span:?}");
    assert_eq!(span.get("error.type"), Some("connection_reset"), "{span:?}");
    assert_eq!(span.get("otel.status_code"), Some("ERROR"), "{span:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_and_a_pipe_have_no_addresses() {
    install();
    let (peer, io) = tokio::net::UnixStream::pair().expect("sockets");
    drop(peer);
    let _report = LingerLayer::default().named("unix").close(io).await;
    let (peer, io) = duplex(16);
    drop(peer);
    let _report = LingerLayer::default().named("pipe").close(io).await;
    for (listener, transport) in [("unix", Some("unix")), ("pipe", None)] {
        let span = only_span(listener);
        assert_eq!(span.get("network.transport"), transport, "{span:?}");
        assert_eq!((span.get("network.peer.address"), span.get("network.local.port")), (None, None));
    }
}

#[tokio::test(start_paused = true)]
async fn the_events_of_a_close_are_inside_its_span_and_the_span_lasts_as_long() {
    install();
    let linger = LingerLayer::default().named("inside");
    let (script, io) = Script::new();
    let closing = tokio::spawn(linger.close(io));
    script.until(|seen| seen.discards > 0).await;
    assert_eq!(spans("inside"), [], "it lasts until the close is over");
    script.end();
    let _report = closing.await.expect("no panic");
    let span = only_span("inside");
    let seen = SEEN.lock().expect("no panic");
    let inside = seen.events.iter().filter(|(_, span)| span.as_ref().is_some_and(|it| it.is_of("inside")));
    let messages: Vec<_> = inside.map(|(event, _)| event.get("message").expect("a message")).collect();
    assert_eq!(messages, ["phase", "phase", "phase", "phase", "closed"]);
    assert_eq!(span.get("outcome"), Some("peer_closed"));
}

/// Closes this many connections whose peers are gone, all at the same instant of the paused clock.
async fn flood(linger: &LingerLayer, closes: usize) {
    for _ in 0..closes {
        let (peer, io) = duplex(16);
        drop(peer);
        let _report = linger.close(io).await;
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_flood_so_many_closes_have_a_span_and_the_next_one_tells_how_many_have_none() {
    const CLOSES: usize = 1000;
    install();
    let linger = LingerLayer::default().named("flood");
    let events = || {
        let seen = SEEN.lock().expect("no panic");
        let closed = seen.events.iter().filter(|(event, _)| event.get("message") == Some("closed"));
        closed.filter(|(_, span)| span.as_ref().is_some_and(|it| it.is_of("flood"))).count()
    };
    flood(&linger, CLOSES).await;
    assert_eq!((spans("flood").len(), events()), (SPANS_PER_SECOND, SPANS_PER_SECOND));
    assert!(spans("flood").iter().all(|span| span.get("left_out").is_none()));
    // Another layer has spans of its own, and a clone has none.
    flood(&LingerLayer::default().named("other"), 1).await;
    flood(&linger.clone(), 1).await;
    assert_eq!((spans("other").len(), spans("flood").len()), (1, SPANS_PER_SECOND));

    // All closes without a layer are counted together.
    for _ in 0..=SPANS_PER_SECOND {
        let (peer, io) = duplex(16);
        drop(peer);
        let _report = close(io, &ClosePolicy::default()).await;
    }
    assert_eq!(spans("default").len(), SPANS_PER_SECOND);

    tokio::time::advance(Duration::from_millis(999)).await;
    flood(&linger, 1).await;
    assert_eq!(spans("flood").len(), SPANS_PER_SECOND, "the second is not over");
    tokio::time::advance(Duration::from_millis(1)).await;
    flood(&linger, 2).await;
    let later = &spans("flood")[SPANS_PER_SECOND..];
    let left_out: Vec<_> = later.iter().map(|span| span.get("left_out")).collect();
    assert_eq!(left_out, [Some(&*(CLOSES + 2 - SPANS_PER_SECOND).to_string()), None]);
}

/// Counts how often the crate asks for its socket.
struct Counting(TcpStream, Arc<AtomicUsize>);

impl Transport for Counting {
    type Raw = Self;

    fn poll_discard(&mut self, cx: &mut Context<'_>, limit: NonZeroUsize) -> Poll<io::Result<usize>> {
        self.0.poll_discard(cx, limit)
    }

    fn into_raw(self) -> Self {
        self
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.socket()
    }
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// How often one close asks for its socket.
async fn times_asked(linger: &LingerLayer) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    let (peer, io) = pair().await;
    drop(peer);
    drop(linger.wrap(Counting(io, count.clone())));
    linger.tracker().wait().await;
    count.load(Ordering::SeqCst)
}

#[tokio::test]
async fn without_a_subscriber_the_socket_is_not_asked_for_its_addresses() {
    install();
    let linger = LingerLayer::default().named("unwatched");
    let mut asked = Vec::new();
    for is_watched in [true, false] {
        let _nobody = (!is_watched)
            .then(|| tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default()));
        asked.push(times_asked(&linger).await);
    }
    assert_eq!(asked[0], asked[1] + 1, "{asked:?}");
    assert_eq!(spans("unwatched").len(), 1);
}

/// What a peer that closed has not acknowledged is on its way, and to ask for it takes a system call.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_an_observer_nobody_asks_what_a_peer_that_closed_has_not_acknowledged() {
    let mut asked = Vec::new();
    for is_observed in [true, false] {
        let linger = LingerLayer::default().named("unobserved");
        let linger = if is_observed { linger.on_close(|_| {}) } else { linger };
        asked.push(times_asked(&linger).await);
    }
    assert_eq!(asked[0], asked[1] + 1, "{asked:?}");
}
