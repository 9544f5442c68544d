//! A WebSocket server: after its Close frame the server ends the connection (RFC 6455 §7.1.1), and whatever the client
//! still sends is discarded, so that the client reads the Close frame and its code, not a reset.
//!
//! ```text
//! cargo run --example websocket
//! ```

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use axum::{Router, serve};
use clap::Parser;
use tower_linger::axum::LingerListener;
use tower_linger::{LingerLayer, Shutdown};
use tower_linger_examples::{Result, end_at_interrupt, exit, listen};

/// A WebSocket server that echoes one message and closes.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3004")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<()> {
    let linger = LingerLayer::default().on_close(|report| println!("{}", report.line()));
    let listener = LingerListener::new(listen(args.listen).await?, linger.clone());
    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
    end_at_interrupt(&shutdown);

    let app = Router::new().route("/", any(upgrade));
    let serve = serve(listener, app).with_graceful_shutdown(shutdown.requested());
    let (served, summary) = shutdown.finish(serve.into_future()).await;
    println!("{summary}");
    served.unwrap_or(Ok(())).map_err(|error| error.to_string())
}

async fn upgrade(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(echo_once)
}

/// Answers the first message, says goodbye, and drops the connection: the close begins there.
async fn echo_once(mut socket: WebSocket) {
    if let Some(Ok(message)) = socket.recv().await {
        let _ = socket.send(message).await;
    }
    let goodbye = CloseFrame { code: 4001, reason: Utf8Bytes::from_static("one message is enough") };
    let _ = socket.send(Message::Close(Some(goodbye))).await;
}
