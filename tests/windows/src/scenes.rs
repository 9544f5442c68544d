//! The scenes of single connections, in a loop of its own around the layer, or around nothing.

use std::convert::Infallible;
use std::io;
use std::process;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::{Layer, ServiceExt, service_fn};
use tower_linger::{ClosePolicy, ClosePolicyBuilder, Ending, LingerIo, LingerLayer};

use crate::BoxError;

/// Short for a person, and long for loopback.
const SHORT: Duration = Duration::from_millis(200);

pub(crate) async fn run(scene: &str, listener: &TcpListener, acceptor: &TlsAcceptor) -> Result<(), BoxError> {
    if scene == "linux_only" {
        linux_only();
        return Ok(());
    }
    loop {
        let (io, _) = listener.accept().await?;
        // Otherwise what is written last may wait for acknowledgements, and leave together with the FIN.
        io.set_nodelay(true)?;
        tokio::spawn(connection(scene.to_owned(), acceptor.clone(), io));
    }
}

async fn connection(scene: String, acceptor: TlsAcceptor, io: TcpStream) {
    let policy = ClosePolicy::builder();
    // Errors are ignored: some scenes are about a service that fails, and the client judges what it sees.
    let _: Result<(), ()> = match scene.as_str() {
        "bare" => http(io).await.map_err(drop),
        "tls_bare" | "mutual_tls_bare" => match acceptor.accept(io).await {
            Ok(io) => http(io).await.map_err(drop),
            Err(_) => Err(()),
        },
        "tls" | "mutual_tls" => {
            linger(policy).tls(acceptor).layer(service_fn(http)).oneshot(io).await.map_err(drop)
        }
        "abort" => linger(policy).layer(service_fn(abort)).oneshot(io).await.map_err(drop),
        "cut_bare" => cut(io).await.map_err(drop),
        "cut" => {
            let failures = |result: &io::Result<()>| match result {
                Ok(()) => Ending::Graceful,
                Err(_) => Ending::Abort,
            };
            linger(policy).classify(failures).layer(service_fn(cut)).oneshot(io).await.map_err(drop)
        }
        scene => linger(bounds(scene, policy)).layer(service_fn(http)).oneshot(io).await.map_err(drop),
    };
}

/// The bounds of the scenes that differ only in them.
fn bounds(scene: &str, policy: ClosePolicyBuilder) -> ClosePolicyBuilder {
    match scene {
        "layered" => policy,
        "few_bytes" => policy.drain_limit_bytes(1 << 20),
        "short_drain" => policy.drain_limit(SHORT).drain_idle_timeout(SHORT).drain_limit_bytes(u64::MAX),
        "short_silence" => policy.drain_idle_timeout(SHORT),
        "early_release" => policy.early_release(3).drain_idle_timeout(SHORT),
        unknown => {
            eprintln!("no scene {unknown:?}");
            process::exit(2);
        }
    }
}

/// Prints whether a policy may have the settings that need Linux.
fn linux_only() {
    let policy = ClosePolicy::builder();
    for policy in [policy.early_release(3), policy.orphan_timeout(SHORT)] {
        match policy.build() {
            Ok(_) => println!("built"),
            Err(error) => println!("{error}"),
        }
    }
}

/// A layer that prints each report.
pub(crate) fn linger(policy: ClosePolicyBuilder) -> LingerLayer {
    let policy = policy.build().expect("the bounds make sense");
    LingerLayer::new(policy).on_close(|report| println!("{}", report.line()))
}

/// Answers `413` to an upload without reading its body, and `200` to any other request.
pub(crate) fn answer<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    let refused = request.method() == Method::PUT;
    let status = if refused { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::OK };
    let answer = Response::builder().status(status);
    answer.body(Full::new(Bytes::from_static(b"that is all"))).expect("valid")
}

async fn http<I: AsyncRead + AsyncWrite + Unpin + 'static>(io: I) -> hyper::Result<()> {
    let handler = hyper::service::service_fn(async |request: Request<Incoming>| {
        let mut answer = answer(&request);
        answer.headers_mut().insert(CONNECTION, "close".parse().expect("valid"));
        Ok::<_, Infallible>(answer)
    });
    http1::Builder::new().serve_connection(TokioIo::new(io), handler).await
}

/// Aborts after the first bytes of its client.
async fn abort(mut io: LingerIo<TcpStream>) -> io::Result<()> {
    let _ = io.read(&mut [0; 1024]).await?;
    io.abort();
    Ok(())
}

/// Sends half of a response that ends with its connection, and fails.
async fn cut<I: AsyncRead + AsyncWrite + Unpin>(mut io: I) -> io::Result<()> {
    let _ = io.read(&mut [0; 1024]).await?;
    io.write_all(b"HTTP/1.0 200 OK\r\n\r\nhalf of it").await?;
    io.flush().await?;
    Err(io::Error::other("on purpose"))
}
