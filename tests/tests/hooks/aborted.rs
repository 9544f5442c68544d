//! Failures that only the handler or the transport knows: the connection does not end cleanly, although hyper
//! shuts it down as if nothing had failed.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tower::{Layer, Service, service_fn};
use tower_linger::axum::{LingerListener, Peer, TlsLingerListener};
use tower_linger::{HyperErrors, LingerIo, LingerLayer, Outcome, SocketRef, Transport};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, receive};
use tower_linger_tests::server::{accept_loop, listen, reporting};

const BY_CLOSE: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
const BY_CHUNKS: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// The handler's body is incomplete, but hyper does not know that and shuts the connection down.
#[tokio::test]
async fn a_handlers_abort_counts_before_hypers_shutdown() {
    let certs = Certs::make();
    for tls in [false, true] {
        // The response looks whole by its framing, so only the connection's end can show the abort.
        for request in [BY_CLOSE, BY_CHUNKS] {
            for aborts in [false, true] {
                let (linger, mut reports) = reporting(tower_linger::ClosePolicy::default());
                let handler = get(async move |ConnectInfo(peer): ConnectInfo<Peer>| {
                    if aborts {
                        peer.close.abort();
                    }
                    Body::from_stream(tokio_stream::iter([Ok::<_, io::Error>("half of it")]))
                });
                let app = Router::new().route("/", handler).into_make_service_with_connect_info::<Peer>();
                let listener = listen().await;
                let address = listener.local_addr().expect("bound");
                if tls {
                    let server = Arc::new(certs.server(&Version::ALL, ClientAuth::None));
                    let tls = linger.tls(TlsAcceptor::from(server));
                    tokio::spawn(axum::serve(TlsLingerListener::new(listener, tls), app).into_future());
                } else {
                    tokio::spawn(axum::serve(LingerListener::new(listener, linger), app).into_future());
                }
                let config = tls.then(|| Arc::new(certs.client(&Version::ALL)));
                let mut client = Client::connect(address, None, config).await.expect("loopback");
                client.write_all(request).await.expect("loopback");
                let clean = if tls { End::CloseNotify } else { End::Fin };
                let seen = receive(&mut client, clean.clone()).await;
                drop(client);
                let expected = if aborts { End::Reset } else { clean };
                assert_eq!((seen.status, seen.end), (Some(200), expected), "TLS: {tls}, aborts: {aborts}");
                let outcome = reports.recv().await.expect("reported").outcome;
                assert_eq!(outcome == Outcome::Aborted, aborts, "{outcome:?}");
            }
        }
    }
}

/// A stream that fails its writes after `left` bytes, with an error of its own instead of a system call's.
struct Limited {
    tcp: TcpStream,
    left: usize,
}

const TAKEN_BYTES: usize = 5000;

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Limited {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let bytes = buf.len().min(self.left);
        let written = Pin::new(&mut self.tcp).poll_write(cx, &buf[..bytes]);
        if let Poll::Ready(Ok(bytes)) = written {
            self.left -= bytes;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Transport for Limited {
    type Raw = Self;

    fn into_raw(self) -> Self {
        self
    }

    fn socket(&self) -> Option<SocketRef<'_>> {
        self.tcp.socket()
    }
}

async fn serve(io: LingerIo<Limited>) -> Result<(), hyper::Error> {
    let large = hyper::service::service_fn(async |_| {
        let parts = (0..100).map(|_| Ok::<_, io::Error>(vec![b'.'; 1000]));
        Ok::<_, Infallible>(hyper::Response::new(Body::from_stream(tokio_stream::iter(parts))))
    });
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), large).await
}

#[tokio::test]
async fn a_write_that_failed_without_an_errno_does_not_look_clean() {
    for classified in [false, true] {
        let linger = LingerLayer::default();
        let by_sight = linger.clone().layer(service_fn(serve));
        let by_errors = linger.clone().classify(HyperErrors).layer(service_fn(serve));
        let connections = service_fn(move |tcp: TcpStream| {
            let (mut by_sight, mut by_errors) = (by_sight.clone(), by_errors.clone());
            async move {
                let io = Limited { tcp, left: TAKEN_BYTES };
                if classified { by_errors.call(io).await } else { by_sight.call(io).await }
            }
        });
        let running = accept_loop(listen().await, connections);
        for (request, end) in [(BY_CLOSE, End::Reset), (BY_CHUNKS, End::Fin)] {
            let mut client = Client::plain(running.address, None).await.expect("loopback");
            client.write_all(request).await.expect("loopback");
            let seen = receive(&mut client, End::Fin).await;
            assert_eq!((seen.status, seen.end), (Some(200), end), "classified: {classified}");
            assert!(
                seen.body > 0 && seen.body < TAKEN_BYTES,
                "what was written before arrives: {}",
                seen.body
            );
        }
    }
}
