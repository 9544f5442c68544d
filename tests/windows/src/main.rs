//! A server that ends its connections as its argument says: `endings-server SCENE`.
//!
//! It prints its address and its certificate in hexadecimal digits, then one line for each close's report.
//! It ends when its standard input ends, so that it never outlives the process that started it.
//! `tests/endings.rs` starts it and is its client.

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::io;
use std::net::Ipv4Addr;
use std::process;
use std::thread;
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
use tower_linger::{ClosePolicy, Ending, LingerIo, LingerLayer};

mod tls;

type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let scene = env::args().nth(1).ok_or("usage: endings-server SCENE")?;
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(0);
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (acceptor, certificate) = tls::acceptor(scene.starts_with("mutual_tls"))?;
    println!("{}\n{certificate}", listener.local_addr()?);
    loop {
        let (io, _) = listener.accept().await?;
        tokio::spawn(connection(scene.clone(), acceptor.clone(), io));
    }
}

async fn connection(scene: String, acceptor: TlsAcceptor, io: TcpStream) {
    let policy = ClosePolicy::builder();
    // Errors are ignored: some scenes are about a service that fails, and the client judges what it sees.
    let _: Result<(), ()> = match scene.as_str() {
        "bare" => http(io).await.map_err(drop),
        "layered" => linger(policy.build()).layer(service_fn(http)).oneshot(io).await.map_err(drop),
        "few_bytes" => {
            let policy = policy.drain_limit_bytes(1 << 20).build();
            linger(policy).layer(service_fn(http)).oneshot(io).await.map_err(drop)
        }
        "short_silence" => {
            let policy = policy.drain_idle_timeout(Duration::from_millis(200)).build();
            linger(policy).layer(service_fn(http)).oneshot(io).await.map_err(drop)
        }
        "abort" => linger(policy.build()).layer(service_fn(abort)).oneshot(io).await.map_err(drop),
        "cut_bare" => cut(io).await.map_err(drop),
        "cut" => {
            let failures = |result: &io::Result<()>| match result {
                Ok(()) => Ending::Graceful,
                Err(_) => Ending::Abort,
            };
            let cut = linger(policy.build()).classify(failures).layer(service_fn(cut));
            cut.oneshot(io).await.map_err(drop)
        }
        "tls_bare" | "mutual_tls_bare" => match acceptor.accept(io).await {
            Ok(io) => http(io).await.map_err(drop),
            Err(_) => Err(()),
        },
        "tls" | "mutual_tls" => {
            linger(policy.build()).tls(acceptor).layer(service_fn(http)).oneshot(io).await.map_err(drop)
        }
        unknown => {
            eprintln!("no scene {unknown:?}");
            process::exit(2);
        }
    };
}

fn linger(policy: Result<ClosePolicy, tower_linger::ConfigError>) -> LingerLayer {
    LingerLayer::new(policy.expect("makes sense")).on_close(|report| println!("{}", report.line()))
}

/// Answers `413` to an upload without reading its body, and `200` to any other request.
async fn http<I: AsyncRead + AsyncWrite + Unpin + 'static>(io: I) -> hyper::Result<()> {
    let handler = hyper::service::service_fn(async |request: Request<Incoming>| {
        let refused = request.method() == Method::PUT;
        let status = if refused { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::OK };
        let answer = Response::builder().status(status).header(CONNECTION, "close");
        Ok::<_, Infallible>(answer.body(Full::new(Bytes::from_static(b"that is all"))).expect("valid"))
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
