//! An accept loop of your own: the layer around a service of connections, with hyper-util inside.
//!
//! ```text
//! cargo run --example hyper
//! head -c 32M /dev/zero | curl -sS -H Expect: -T - http://127.0.0.1:3001/
//! # → too large, said the handler
//! ```

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpStream;
use tower::{Layer, Service};
use tower_linger::{HyperErrors, LingerIo, LingerLayer, Shutdown};
use tower_linger_examples::{Result, end_at_interrupt, exit, listen};

/// A hyper server that does not lose its last response.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3001")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<()> {
    let listener = listen(args.listen).await?;
    let linger = LingerLayer::default().on_close(|report| println!("{}", report.line()));
    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
    end_at_interrupt(&shutdown);
    let graceful = GracefulShutdown::new();

    // The inner service serves one connection. The layer closes the connection after it, and aborts it if a
    // response was cut short.
    let mut connections = linger.classify(HyperErrors).layer(tower::service_fn(|io: LingerIo<TcpStream>| {
        let builder = auto::Builder::new(TokioExecutor::new());
        let serve = builder.serve_connection(TokioIo::new(io), service_fn(respond)).into_owned();
        graceful.watch(serve)
    }));

    let mut requested = pin!(shutdown.requested());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut requested => break,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(connections.call(stream))),
            Err(error) => eprintln!("accept: {error}"),
        }
    }
    drop(listener);

    // The requests first, then the connections.
    let (_, summary) = shutdown.finish(graceful.shutdown()).await;
    println!("{summary}");
    Ok(())
}

async fn respond(request: Request<Incoming>) -> std::result::Result<Response<String>, Infallible> {
    let mut response = Response::new(String::from("hello\n"));
    if request.method() != hyper::Method::GET {
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        *response.body_mut() = "too large, said the handler\n".into();
    }
    Ok(response)
}
