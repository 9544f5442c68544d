//! Accept loops of one's own around the layer, as users write them.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tower::{Layer, Service, service_fn};
use tower_linger::{Ending, HyperErrors, LingerIo, LingerLayer, Shutdown, Transport};
use tower_linger_tests::server::Http;

use super::books::{BOOKS, ON_PURPOSE};

/// hyper, plain.
pub(crate) async fn http(listener: TcpListener, linger: LingerLayer, app: Router, shutdown: Shutdown) {
    let (http, requested) = (Http::new(app), shutdown.requested());
    let accepting = async {
        let connect = |linger: LingerLayer, stream| {
            drop(tokio::spawn(linger.classify(HyperErrors).layer(http.clone()).call(stream)));
        };
        accept(listener, linger, requested, connect).await;
        http.shut_down();
    };
    let _ = shutdown.finish(accepting).await;
}

/// A protocol of its own over TLS: see [`speak`].
pub(crate) async fn raw(listener: TcpListener, linger: LingerLayer, tls: TlsAcceptor, shutdown: Shutdown) {
    let requested = shutdown.requested();
    let connect = |linger: LingerLayer, stream| {
        let mut connections = linger.classify(by_result).tls(tls.clone()).layer(service_fn(speak));
        drop(tokio::spawn(connections.call(stream)));
    };
    let _ = shutdown.finish(accept(listener, linger, requested, connect)).await;
}

/// Accepts until the end is requested. Each connection has a layer of its own, which knows its number.
async fn accept(
    listener: TcpListener,
    linger: LingerLayer,
    requested: impl Future<Output = ()>,
    connect: impl Fn(LingerLayer, TcpStream),
) {
    let mut requested = pin!(requested);
    loop {
        let accepted = tokio::select! {
            () = &mut requested => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // No descriptor is left.
            sleep(PAUSE).await;
            continue;
        };
        let number = BOOKS.accepted();
        BOOKS.expect(number);
        connect(linger.clone().on_close(move |_| BOOKS.reported_once_more(number)), stream);
    }
}

const PAUSE: Duration = Duration::from_millis(50);

/// Ends as the first byte says.
async fn speak<T: Transport>(mut io: LingerIo<T>) -> io::Result<()> {
    let mut kind = [0];
    io.read_exact(&mut kind).await?;
    match kind[0] {
        // More than the client takes, and not flushed.
        b'f' => fill(&mut io).await,
        // More than the socket's buffer holds, but in one write that the kernel takes whole.
        b'n' => {
            io.write_all(&[b'.'; 15_000]).await?;
            io.flush().await
        }
        b'p' => panic!("a service, {ON_PURPOSE}"),
        b'c' => Err(io::Error::other(ON_PURPOSE)),
        _ => io.write_all(b"hello").await,
    }
}

/// Writes until nothing more is taken.
async fn fill(io: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    poll_fn(|cx| {
        for _ in 0..1 << 10 {
            match Pin::new(&mut *io).poll_write(cx, &[b'.'; 16 << 10]) {
                Poll::Ready(written) => drop(written?),
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
}

fn by_result(result: &io::Result<()>) -> Ending {
    match result {
        Ok(()) => Ending::Graceful,
        Err(error) => {
            assert!(error.kind() != io::ErrorKind::Other, "a classifier, {ON_PURPOSE}");
            Ending::AsSeen
        }
    }
}
