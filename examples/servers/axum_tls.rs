//! `axum::serve` over TLS: `close_notify` before the FIN, and alerts of failed handshakes that arrive.
//!
//! ```text
//! cargo run --example axum_tls
//! head -c 32M /dev/zero | curl -sSk --http1.1 -H Expect: -T - https://127.0.0.1:3443/upload
//! # → too large, said the handler
//! openssl s_client -connect 127.0.0.1:3443 -alpn h3 </dev/null
//! # → alert no application protocol
//! ```

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::serve::ListenerExt;
use axum::{Router, serve};
use clap::Parser;
use tower_linger::axum::TlsLingerListener;
use tower_linger::{LingerLayer, RequestLayer, Shutdown};
use tower_linger_examples::{Result, TlsFiles, end_at_interrupt, exit, listen};

/// An axum server over TLS that ends its connections properly.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3443")]
    listen: SocketAddr,
    #[command(flatten)]
    tls: TlsFiles,
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
    let tls = linger.tls(args.tls.acceptor()?);
    let listener = TlsLingerListener::new(listen(args.listen).await?, tls);

    let app = Router::new().route("/", get(hello)).route("/upload", put(too_large)).layer(RequestLayer);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let serve = serve(listener.tap_io(|_| ()), app).with_graceful_shutdown(shutdown.requested());
    let (served, summary) = shutdown.finish(serve).await;
    println!("{summary}");
    served.unwrap_or(Ok(())).map_err(|error| error.to_string())
}

async fn hello(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    format!("hello, {peer}\n")
}

async fn too_large() -> (StatusCode, &'static str) {
    (StatusCode::PAYLOAD_TOO_LARGE, "too large, said the handler\n")
}
