//! The end of a server: requests first, then connections, within one deadline; a second signal cuts.
//!
//! ```text
//! cargo run --example graceful_shutdown
//! # Press Ctrl-C in the server while one of these runs.
//! curl -sS http://127.0.0.1:3006/slow
//! head -c 32M /dev/zero | curl -sS --limit-rate 4M -H Expect: -T - http://127.0.0.1:3006/upload
//! ```
//!
//! The first client gets its whole answer. The second has its answer and is still sending: its connection
//! lingers until the deadline at most. The last line says how all connections ended.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Router, serve};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tower_linger::axum::LingerListener;
use tower_linger::{LingerLayer, RequestLayer, Shutdown};
use tower_linger_examples::{Result, exit, listen};

/// An axum server that ends within some seconds of SIGTERM, as an orchestrator expects.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3006")]
    listen: SocketAddr,
    /// For requests and connections together, seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3600))]
    deadline: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<()> {
    let linger = LingerLayer::default().on_close(|report| println!("{}", report.line()));
    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(args.deadline));
    request_at_signals(&shutdown)?;

    let app = Router::new().route("/slow", get(slow)).route("/upload", put(too_large)).layer(RequestLayer);
    let listener = LingerListener::new(listen(args.listen).await?, linger);
    // axum stops accepting when the shutdown is requested, and returns after its last answer.
    let serve = serve(listener, app).with_graceful_shutdown(shutdown.requested());
    // `finish` returns when the connections have ended, too. At the deadline it cuts what is left of both.
    let (served, summary) = shutdown.finish(serve).await;
    match served {
        Some(served) => served.map_err(|error| error.to_string())?,
        None => println!("requests were cut at the deadline"),
    }
    println!("{summary}");
    Ok(())
}

/// Ctrl-C, and what orchestrators send. The second one cuts.
fn request_at_signals(shutdown: &Shutdown) -> Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals = signal(kind).map_err(|error| format!("cannot wait for signals: {error}"))?;
        let shutdown = shutdown.handle();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                println!("shutdown requested");
                shutdown.request();
            }
        });
    }
    Ok(())
}

async fn slow() -> &'static str {
    println!("a slow request has begun");
    tokio::time::sleep(Duration::from_secs(3)).await;
    "slow, but whole\n"
}

async fn too_large() -> (StatusCode, &'static str) {
    (StatusCode::PAYLOAD_TOO_LARGE, "too large, said the handler\n")
}
