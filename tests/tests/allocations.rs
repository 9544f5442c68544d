//! What the layer allocates: nothing for reads and writes, and twice when the service hands a connection
//! back.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tower::{Layer, Service, service_fn};
use tower_linger::{LingerIo, LingerLayer};

const EXCHANGES: usize = 1_000;

#[test]
fn reads_and_writes_allocate_nothing() {
    // Makes the allocations that a thread makes once.
    served(1);
    let few = measure(|| served(1)).count_total;
    let many = measure(|| served(EXCHANGES)).count_total;
    // One of tokio's lists may grow meanwhile.
    assert!(many < few + 10, "{few} allocations of one exchange, {many} of {EXCHANGES}");
}

/// Serves a connection with this many exchanges, from its beginning to its end.
fn served(exchanges: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let connecting = TcpStream::connect(listener.local_addr().expect("bound"));
        let (client, accepted) = tokio::join!(connecting, listener.accept());
        let (mut client, (server, _)) = (client.expect("it listens"), accepted.expect("it connects"));
        let mut linger =
            LingerLayer::default().layer(service_fn(move |io: LingerIo<TcpStream>| async move {
                let mut io = io;
                exchange(&mut io, exchanges).await;
                Ok::<_, Infallible>(())
            }));
        let asked = async {
            exchange(&mut client, exchanges).await;
            drop(client);
        };
        let (result, ()) = tokio::join!(linger.call(server), asked);
        result.expect("infallible");
    });
}

async fn exchange(io: &mut (impl AsyncRead + AsyncWrite + Unpin), exchanges: usize) {
    for _ in 0..exchanges {
        io.write_all(b"as much as this").await.expect("the other side is there");
        io.read_exact(&mut [0; 15]).await.expect("the other side is there");
    }
}

#[tokio::test]
async fn a_connection_comes_back_with_two_allocations() {
    let (send, receive) = oneshot::channel();
    let mut send = Some(send);
    let mut linger = LingerLayer::default().layer(service_fn(move |io: LingerIo<DuplexStream>| {
        if let Some(send) = send.take() {
            drop(send.send(io));
        }
        std::future::pending::<Result<(), Infallible>>()
    }));
    let (_client, server) = duplex(64);
    let mut serving = pin!(linger.call(server));
    assert!(serving.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let io = receive.await.expect("the service sends it");
    let handed_back = measure(|| drop(io));
    // The close, and what it closes, which is freed before the drain.
    assert_eq!(handed_back.count_total, 2);
    let polled = serving.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending), "the service is not done");
}
