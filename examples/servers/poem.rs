//! A poem server whose connections are closed properly.
//!
//! ```text
//! cargo run --example poem
//! head -c 32M /dev/zero | curl -sS -H Expect: -T - http://127.0.0.1:3006/upload
//! # → too large, said the handler
//! ```

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use poem::http::StatusCode;
use poem::listener::TcpAcceptor;
use poem::{EndpointExt, Route, Server, get, handler, put};
use tower_linger::poem::LingerAcceptor;
use tower_linger::{LingerLayer, RequestLayer, Shutdown};
use tower_linger_examples::{Result, end_at_interrupt, exit, listen};

/// A poem server that ends its connections properly.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3006")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<()> {
    let linger = LingerLayer::default().on_close(|report| println!("{}", report.line()));
    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
    end_at_interrupt(&shutdown);
    let acceptor = TcpAcceptor::from_tokio(listen(args.listen).await?).map_err(|error| error.to_string())?;

    // `RequestLayer` comes last, so that it is outermost.
    let app = Route::new().at("/", get(hello)).at("/upload", put(too_large)).with(RequestLayer);
    let serve = Server::new_with_acceptor(LingerAcceptor::new(acceptor, linger)).run_with_graceful_shutdown(
        app,
        shutdown.requested(),
        Some(Duration::from_secs(5)),
    );
    let (served, summary) = shutdown.finish(serve).await;
    println!("{summary}");
    served.unwrap_or(Ok(())).map_err(|error| error.to_string())
}

#[handler]
fn hello() -> &'static str {
    "hello\n"
}

#[handler]
fn too_large() -> (StatusCode, &'static str) {
    (StatusCode::PAYLOAD_TOO_LARGE, "too large, said the handler\n")
}
