//! Connections that switch their protocol.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tower::{Layer, Service, service_fn};
use tower_linger::{ClosePolicy, LingerIo, LingerLayer, Outcome, RequestBody, RequestLayer};
use tower_linger_tests::peer::{Client, End, receive};
use tower_linger_tests::server::{accept_loop, listen, reporting};

use super::scene::PEER_CLOSED;

/// An upgraded connection outlives its service: its close begins when the last owner drops it, and a
/// half-close inside the tunnel is sent at once. By default the layer's future waits for the connection; with
/// `detach_upgrades` only the tracker does.
#[tokio::test]
async fn an_upgraded_connection_is_closed_when_its_tunnel_drops_it() {
    for leaves in [false, true] {
        let linger = if leaves { LingerLayer::default().detach_upgrades() } else { LingerLayer::default() };
        let tracker = linger.tracker().clone();
        let (tunnels, mut upgraded) = mpsc::unbounded_channel();
        let mut connections = linger.layer(service_fn(move |io: LingerIo<TcpStream>| {
            let tunnels = tunnels.clone();
            async move {
                let connect = hyper::service::service_fn(move |request| {
                    let tunnels = tunnels.clone();
                    tokio::spawn(async move { tunnels.send(hyper::upgrade::on(request).await) });
                    async { Ok::<_, Infallible>(hyper::Response::new(Body::empty())) }
                });
                auto::Builder::new(TokioExecutor::new())
                    .serve_connection_with_upgrades(TokioIo::new(io), connect)
                    .await
            }
        }));
        let listener = listen().await;
        let mut client = Client::plain(listener.local_addr().expect("bound"), None).await.expect("loopback");
        let (stream, _) = listener.accept().await.expect("loopback");
        let mut connection = tokio::spawn(connections.call(stream));
        client.write_all(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").await.expect("loopback");
        let tunnel = upgraded.recv().await.expect("sent").expect("upgraded");
        let parts =
            auto::upgrade::downcast::<TokioIo<LingerIo<TcpStream>>>(tunnel).expect("the wrapper is public");
        let mut tunnel = parts.io.into_inner();
        if leaves {
            (&mut connection).await.expect("no panic").expect("served");
        }

        tunnel.write_all(b"last words").await.expect("loopback");
        tunnel.shutdown().await.expect("loopback");
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.expect("the FIN is sent at that moment");
        assert!(received.ends_with(b"last words"));
        client.write_all(b"answer").await.expect("the other direction is open");
        tunnel.read_exact(&mut [0; 6]).await.expect("loopback");
        assert_eq!((tracker.served(), tracker.closing(), connection.is_finished()), (1, 0, leaves));

        drop(tunnel);
        drop(client);
        if !leaves {
            connection.await.expect("no panic").expect("served");
        }
        tracker.wait().await;
        assert_eq!(tracker.summary().count(PEER_CLOSED), 1);
    }
}

/// Nothing but the connection's end ends what is sent in a tunnel, so a FIN would say that it is whole. What
/// `RequestLayer` sees of a CONNECT tells that it is one.
#[tokio::test]
async fn a_tunnel_that_the_shutdown_cuts_does_not_look_whole() {
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let tracker = linger.tracker().clone();
    let (tunnels, mut upgraded) = mpsc::unbounded_channel();
    let server = accept_loop(
        listen().await,
        linger.layer(service_fn(move |io: LingerIo<TcpStream>| {
            let tunnels = tunnels.clone();
            let connect = RequestLayer.layer(service_fn(move |request: Request<RequestBody<Incoming>>| {
                let tunnels = tunnels.clone();
                tokio::spawn(async move { tunnels.send(hyper::upgrade::on(request).await) });
                async { Ok::<_, Infallible>(Response::new(Body::empty())) }
            }));
            http1::Builder::new()
                .serve_connection(TokioIo::new(io), TowerToHyperService::new(connect))
                .with_upgrades()
        })),
    );
    let mut client = Client::plain(server.address, None).await.expect("loopback");
    client.write_all(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").await.expect("loopback");
    let mut tunnel = TokioIo::new(upgraded.recv().await.expect("sent").expect("upgraded"));
    tunnel.write_all(b"a part").await.expect("loopback");
    let cut = tokio::spawn(async move { tunnel.read_u8().await });
    let summary = tracker.shutdown(Duration::ZERO).await;
    assert!(cut.await.expect("no panic").is_err());
    assert_eq!(reports.recv().await.expect("reported").outcome, Outcome::ShutdownCut);
    assert_eq!(summary.total(), 1);
    assert_eq!(receive(&mut client, End::Fin).await.end, End::Reset);
}
