//! A WebSocket server that says goodbye. It echoes. When it is asked to stop, it sends every client a Close
//! frame with code 1001, waits for the client's own, and ends the connection (RFC 6455 §7.1.1, §7.4.1). A
//! client that says `bye` gets code 4001. What a client still sends is discarded, so that it reads the Close
//! frame and no reset.
//!
//! ```text
//! cargo run --example websocket
//! ```

use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseCode, CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use axum::routing::any;
use axum::{Router, serve};
use clap::Parser;
use tokio::time::timeout;
use tower_linger::axum::LingerListener;
use tower_linger::{LingerLayer, RequestLayer, Shutdown, ShutdownHandle};
use tower_linger_examples::{Result, end_at_interrupt, exit, listen};

/// How long a client may take to answer a Close frame. Well below the shutdown's limit, at which it would be
/// cut.
const GOODBYE: Duration = Duration::from_secs(2);

/// A WebSocket server that echoes, and says goodbye.
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
    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
    end_at_interrupt(&shutdown);
    let listener = LingerListener::new(listen(args.listen).await?, linger);

    let app = Router::new().route("/", any(upgrade)).layer(RequestLayer).with_state(shutdown.handle());
    // axum returns when its requests are answered, and does not wait for what was upgraded; `finish` does.
    let serve = serve(listener, app).with_graceful_shutdown(shutdown.requested());
    let (served, summary) = shutdown.finish(serve).await;
    println!("{summary}");
    served.unwrap_or(Ok(())).map_err(|error| error.to_string())
}

async fn upgrade(upgrade: WebSocketUpgrade, State(shutdown): State<ShutdownHandle>) -> Response {
    let requested = shutdown.requested();
    upgrade.on_upgrade(async move |mut socket| {
        if let Some((code, reason)) = echo(&mut socket, requested).await {
            say_goodbye(&mut socket, code, reason).await;
        }
        // Dropped here: its close begins.
    })
}

/// Echoes until there is a reason to say goodbye. Returns `None` if the client has closed or is gone.
async fn echo(
    socket: &mut WebSocket,
    requested: impl Future<Output = ()>,
) -> Option<(CloseCode, &'static str)> {
    let mut requested = pin!(requested);
    loop {
        // Both steps are in the `select!`, since a `send` to a client that does not read can wait for long.
        let echoed = async {
            let message = socket.recv().await?.ok()?;
            let last = matches!(&message, Message::Text(text) if *text == "bye");
            socket.send(message).await.ok()?;
            Some(last)
        };
        tokio::select! {
            last = echoed => if last? { return Some((4001, "bye")) },
            () = &mut requested => return Some((close_code::AWAY, "the server is stopping")),
        }
    }
}

/// Sends the Close frame, and waits for the client's.
async fn say_goodbye(socket: &mut WebSocket, code: CloseCode, reason: &'static str) {
    let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
    let goodbye = async {
        socket.send(Message::Close(Some(frame))).await?;
        while let Some(Ok(_)) = socket.recv().await {}
        Ok::<_, axum::Error>(())
    };
    let _ = timeout(GOODBYE, goodbye).await;
}
