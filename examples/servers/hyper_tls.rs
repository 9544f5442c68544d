//! An accept loop of your own over TLS: handshake, hyper-util, lingering close, graceful shutdown.
//!
//! ```text
//! cargo run --example hyper_tls
//! head -c 32M /dev/zero | curl -sSk --http1.1 -H Expect: -T - https://127.0.0.1:3444/
//!                                                              # → too large, said the handler
//! openssl s_client -connect 127.0.0.1:3444 -alpn h3 </dev/null # → alert no application protocol
//! ```

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;
use tower::{Layer, Service, service_fn};
use tower_linger::{HyperErrors, LingerIo, LingerLayer, RequestBody, RequestLayer, Shutdown};
use tower_linger_examples::{Result, TlsFiles, end_at_interrupt, exit, listen};

/// A hyper server over TLS that ends its connections properly.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3444")]
    listen: SocketAddr,
    #[command(flatten)]
    tls: TlsFiles,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<()> {
    let acceptor = args.tls.acceptor()?;
    let listener = listen(args.listen).await?;
    let linger = LingerLayer::default().on_close(|report| println!("{}", report.line()));
    // Ctrl-C ends the requests, then the connections, within 10 s together.
    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
    end_at_interrupt(&shutdown);

    let requests = TowerToHyperService::new(RequestLayer.layer(service_fn(respond)));
    let handle = shutdown.handle();
    // Serves one connection. When the shutdown is requested, hyper finishes the requests that have begun.
    let serve = service_fn(move |io: LingerIo<TlsStream<TcpStream>>| {
        let (requests, requested) = (requests.clone(), handle.requested());
        async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            let mut serving = pin!(builder.serve_connection(TokioIo::new(io), requests));
            tokio::select! {
                served = serving.as_mut() => return served,
                () = requested => serving.as_mut().graceful_shutdown(),
            }
            serving.await
        }
    });
    // The layer does the handshake before that, and closes the connection after it.
    let connections = linger.classify(HyperErrors).tls(acceptor).layer(serve);

    let accepting = accept(listener, connections, shutdown.requested());
    // Waits for the connections, too, since each has a task of its own.
    let (_, summary) = shutdown.finish(accepting).await;
    println!("{summary}");
    Ok(())
}

async fn accept<S>(listener: TcpListener, mut connections: S, requested: impl Future<Output = ()>)
where
    S: Service<TcpStream, Future: Send + 'static, Response: Send + 'static, Error: Send + 'static>,
{
    let mut requested = pin!(requested);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(connections.call(stream))),
                Err(error) => eprintln!("accept: {error}"),
            },
            () = &mut requested => return,
        }
    }
}

async fn respond(
    request: Request<RequestBody<Incoming>>,
) -> std::result::Result<Response<String>, Infallible> {
    let mut response = Response::new(String::from("hello\n"));
    if request.method() != Method::GET {
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        *response.body_mut() = "too large, said the handler\n".into();
    }
    Ok(response)
}
