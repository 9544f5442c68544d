//! A wrapper that delegates everything loses nothing.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_linger::{
    ClosePolicy, ClosePolicyBuilder, CloseReport, LingerIo, Outcome, Plain, Release, Transport, close,
};
use tower_linger_external::metered::Metered;

use crate::common::{Certificate, VERSIONS, pair};
use crate::spy::Spy;
use crate::{ARRIVED, PEER_CLOSED, SCRATCH, received, reporting, send_and_end};

/// Half an answer, and then this end. What the client received, whether a reset ended it, and the release.
async fn ended<T: Transport>(
    io: impl FnOnce(TcpStream) -> T,
    end: fn(LingerIo<T>),
) -> (Vec<u8>, bool, Release) {
    let (linger, mut reports) = reporting();
    let (mut client, server) = pair().await;
    let mut io = linger.wrap(io(server));
    io.write_all(b"half").await.expect("loopback");
    end(io);
    let (read, is_reset) = received(&mut client).await;
    drop(client);
    (read, is_reset, reports.recv().await.expect("reported").release)
}

#[tokio::test]
async fn an_abort_is_a_reset_through_it() {
    let reset = (b"half".to_vec(), true, Release::Abort);
    assert_eq!(ended(Metered::new, LingerIo::abort).await, reset);
    assert_eq!(ended(|tcp| Metered::new(Metered::new(tcp)), LingerIo::abort).await, reset);
    let closed = (b"half".to_vec(), false, Release::Close);
    assert_eq!(ended(Plain, LingerIo::abort).await, closed);

    // This one does not wait until everything is acknowledged, so the half may be lost.
    let (_, is_reset, release) = ended(Metered::new, LingerIo::reset).await;
    assert_eq!((is_reset, release), (true, Release::Abort));
    assert_eq!(ended(Plain, LingerIo::reset).await, closed);
}

/// Closes a connection whose client is silent, and keeps its socket.
async fn closed<T: Transport>(
    policy: ClosePolicy,
    over: impl FnOnce(TcpStream) -> T,
    answer: usize,
) -> CloseReport {
    let (client, server) = pair().await;
    let mut io = over(server);
    let bytes = vec![b'x'; answer];
    let mut written = 0;
    // As much as the sockets take.
    while written < answer {
        let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut io).poll_write(cx, &bytes[written..]))).await;
        match polled {
            Poll::Ready(more) => written += more.expect("loopback"),
            Poll::Pending => break,
        }
    }
    let report = close(io, &policy).await;
    drop(client);
    report
}

/// A client that is silent for so long ends the drain.
fn patient(builder: ClosePolicyBuilder) -> ClosePolicy {
    builder.drain_idle_timeout(Duration::from_millis(500)).build().expect("it makes sense")
}

/// The client reads nothing, so that most of the answer stays here.
#[tokio::test]
async fn what_the_peer_has_not_acknowledged_is_reported_through_it() {
    let policy = patient(ClosePolicy::builder());
    let report = closed(policy, Metered::new, 32 << 20).await;
    assert!(report.unacked.is_some_and(|bytes| bytes > 0), "{report}");
    let report = closed(policy, Plain, 32 << 20).await;
    assert_eq!(report.unacked, None, "{report}");
}

#[tokio::test]
async fn an_early_release_works_through_it() {
    let policy = patient(ClosePolicy::builder().early_release(3));
    let report = closed(policy, Metered::new, 100).await;
    assert_eq!(report.outcome, Outcome::Acknowledged, "{report}");
    let report = closed(policy, Plain, 100).await;
    assert_eq!(report.outcome, Outcome::DrainIdle, "{report}");
}

/// Discarding in the kernel has no buffer, and so its calls are larger than one.
#[tokio::test]
async fn the_drain_copies_nothing_through_it() {
    for is_plain in [false, true] {
        let (mut client, server) = pair().await;
        let spy = Spy::new(server);
        let seen = spy.seen();
        send_and_end(&mut client).await;
        let report = match is_plain {
            false => close(Metered::new(spy), &ClosePolicy::default()).await,
            true => close(Plain(Metered::new(spy)), &ClosePolicy::default()).await,
        };
        assert_eq!((report.outcome, report.bytes_drained), (PEER_CLOSED, ARRIVED as u64));
        let largest = (seen.read.load(Ordering::Relaxed), seen.discarded.load(Ordering::Relaxed));
        assert_eq!(largest, if is_plain { (SCRATCH, 0) } else { (0, ARRIVED) });
    }
}

/// Between TCP and TLS it counts the bytes of TLS, above TLS those of the service.
#[tokio::test]
async fn it_stands_below_tls_and_above_it() {
    let certificate = Certificate::make();
    for version in VERSIONS {
        let (client, server) = pair().await;
        let (mut client, server) = certificate.rustls_over(version, client, Metered::new(server)).await;
        let below = server.get_ref().0.meter();
        let above = Metered::new(server);
        let meter = above.meter();
        let (linger, mut reports) = reporting();
        let mut io = linger.wrap(above);
        client.write_all(b"question").await.expect("loopback");
        io.read_exact(&mut [0; 8]).await.expect("loopback");
        io.write_all(b"the answer").await.expect("loopback");
        io.shutdown().await.expect("loopback");
        drop(io);
        // A read of TLS that ends cleanly has seen the close_notify.
        assert_eq!(received(&mut client).await, (b"the answer".to_vec(), false));
        assert_eq!((meter.read(), meter.written()), (8, 10), "{version:?}");
        drop(client);
        assert!(reports.recv().await.expect("reported").sent_close_notify, "{version:?}");
        assert!(below.read() > 100 && below.written() > 500, "{version:?}: {below:?}");
    }
}
