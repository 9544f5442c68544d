//! An axum server over TLS with metrics for Prometheus, at an address of their own.
//!
//! ```text
//! cargo run --example metrics
//! head -c 32M /dev/zero | curl -sSk --http1.1 -H Expect: -T - https://127.0.0.1:3447/upload
//! # → too large, said the handler
//! curl -sS http://127.0.0.1:9464/metrics | grep '^tower_linger_closes_total'
//! # → tower_linger_closes_total{listener="public",outcome="peer_closed",phase="drain",reason="none"} 1
//! ```
//!
//! `examples/src/recorder.rs` has the recorder, and docs/metrics has alert rules and a
//! dashboard.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Router, serve};
use clap::Parser;
use tower_linger::axum::{LingerListener, TlsLingerListener};
use tower_linger::{LingerLayer, RequestLayer, Shutdown, Tracker};
use tower_linger_examples::{Recorder, Result, TlsFiles, end_at_interrupt, exit, listen};

/// An axum server over TLS, and its metrics.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3447")]
    listen: SocketAddr,
    /// Address for `/metrics`, over plain HTTP. It should not be public.
    #[arg(long, default_value = "127.0.0.1:9464")]
    metrics: SocketAddr,
    /// How many connections may linger at once. By default, half of the process's descriptors.
    #[arg(long)]
    linger: Option<NonZeroUsize>,
    #[command(flatten)]
    tls: TlsFiles,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<()> {
    // Before the first connection, so that everything is counted.
    let recorder = Recorder::install()?;
    let tracker = args.linger.map_or_else(Tracker::new, Tracker::with_limit);
    let linger = LingerLayer::default().with_tracker(tracker);
    // Ctrl-C ends the requests, then the connections, within 10 s together.
    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
    end_at_interrupt(&shutdown);

    let public = linger.clone().named("public").on_close(|report| println!("{}", report.line()));
    let listener = TlsLingerListener::new(listen(args.listen).await?, public.tls(args.tls.acceptor()?));
    let app = Router::new()
        .route("/", get(async || "hello\n"))
        .route("/upload", put(too_large))
        .route("/download", get(download))
        .layer(RequestLayer);
    let scrapes = listen_for_scrapes(args.metrics).await?;
    tokio::spawn(async move {
        // They have a tracker of their own: what is public cannot use up the places of the scrapes.
        let listener = LingerListener::new(scrapes, LingerLayer::default().named("metrics"));
        serve(listener, Router::new().route("/metrics", get(async move || recorder.scrape()))).await
    });
    let serve = serve(listener, app).with_graceful_shutdown(shutdown.requested());
    let (served, summary) = shutdown.finish(serve).await;
    println!("{summary}");
    served.unwrap_or(Ok(())).map_err(|error| error.to_string())
}

async fn listen_for_scrapes(address: SocketAddr) -> Result<tokio::net::TcpListener> {
    let because = |error| format!("cannot listen on {address} for metrics: {error}");
    let listener = tokio::net::TcpListener::bind(address).await.map_err(because)?;
    println!("metrics on {}", listener.local_addr().map_err(because)?);
    Ok(listener)
}

/// Answers at once, without reading the body.
async fn too_large() -> (StatusCode, &'static str) {
    (StatusCode::PAYLOAD_TOO_LARGE, "too large, said the handler\n")
}

/// More than the buffers of two sockets hold.
async fn download() -> Vec<u8> {
    vec![b'.'; 32 << 20]
}
