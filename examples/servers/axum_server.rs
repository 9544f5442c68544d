//! axum-server, whose connections are closed properly, also those that it drops at its shutdown's deadline.
//!
//! ```text
//! cargo run --example axum_server
//! head -c 32M /dev/zero | curl -sS -H Expect: -T - http://127.0.0.1:3002/upload
//! # → too large, said the handler
//! ```

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum_server::Handle;
use clap::Parser;
use tower_linger::axum_server::LingerAcceptor;
use tower_linger::{LingerLayer, Shutdown};
use tower_linger_examples::{Result, end_at_interrupt, exit, listen};

/// An axum-server that does not lose its last response.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3002")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<()> {
    let linger = LingerLayer::default().on_close(|report| println!("{}", report.line()));
    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
    let listener = listen(args.listen).await?.into_std().map_err(|error| error.to_string())?;

    let handle = Handle::new();
    let app = Router::new().route("/", get(async || "hello\n")).route("/upload", put(too_large));
    let serve = axum_server::from_tcp(listener)
        .map_err(|error| error.to_string())?
        .acceptor(LingerAcceptor::new(linger))
        .handle(handle.clone())
        .serve(app.into_make_service());

    let requested = shutdown.requested();
    tokio::spawn(async move {
        requested.await;
        handle.graceful_shutdown(Some(Duration::from_secs(5)));
    });
    end_at_interrupt(&shutdown);
    // axum-server returns before its tasks have dropped their connections; `finish` waits for those, too.
    let (served, summary) = shutdown.finish(serve).await;
    println!("{summary}");
    served.unwrap_or(Ok(())).map_err(|error| error.to_string())
}

async fn too_large() -> (StatusCode, &'static str) {
    (StatusCode::PAYLOAD_TOO_LARGE, "too large, said the handler\n")
}
