//! `axum::serve`, whose connections are closed properly.
//!
//! ```text
//! cargo run --example axum
//! head -c 32M /dev/zero | curl -sS -H Expect: -T - http://127.0.0.1:3000/upload
//! # → too large, said the handler
//! ```
//!
//! Without the layer that client is cut off while it sends ("Connection reset by peer"), and most never see
//! the answer.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::serve::ListenerExt;
use axum::{Router, serve};
use clap::Parser;
use tower_linger::axum::LingerListener;
use tower_linger::{LingerLayer, RequestLayer, Shutdown};
use tower_linger_examples::{Result, end_at_interrupt, exit, listen};

/// An axum server that does not lose its last response.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<()> {
    let linger = LingerLayer::default().on_close(|report| println!("{}", report.line()));
    // Ctrl-C ends the requests, then the connections, within 10 s together.
    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
    end_at_interrupt(&shutdown);
    let listener = LingerListener::new(listen(args.listen).await?, linger.clone());

    let app = Router::new().route("/", get(hello)).route("/upload", put(too_large)).layer(RequestLayer);
    // axum gives handlers the peer's address only for its own listeners and for what is behind `tap_io`.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let serve = serve(listener.tap_io(|_| ()), app).with_graceful_shutdown(shutdown.requested());
    let (served, summary) = shutdown.finish(serve).await;
    println!("{summary}");
    served.unwrap_or(Ok(())).map_err(|error| error.to_string())
}

async fn hello(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    format!("hello, {peer}\n")
}

/// Answers at once, without reading the body.
async fn too_large() -> (StatusCode, &'static str) {
    (StatusCode::PAYLOAD_TOO_LARGE, "too large, said the handler\n")
}
