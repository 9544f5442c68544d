//! An app of `WebSocket`s whose handlers say goodbye and are gone: they do not wait for the client's answer.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseCode, CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use axum::routing::{any, get};
use tokio::sync::watch;

const LARGEST_MESSAGE: usize = 64 << 10;

pub(super) fn app() -> Router {
    let stop = watch::Sender::new(false);
    Router::new()
        .route("/echo", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)))
        .route("/enough", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(enough)))
        .route("/small", any(small))
        .route("/until-stop", any(until_stop))
        .route(
            "/stop",
            get(async |State(stop): State<watch::Sender<bool>>| {
                stop.send_replace(true);
            }),
        )
        .with_state(stop)
}

async fn small(upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(LARGEST_MESSAGE).max_frame_size(LARGEST_MESSAGE).on_upgrade(only_small)
}

async fn until_stop(upgrade: WebSocketUpgrade, State(stop): State<watch::Sender<bool>>) -> Response {
    upgrade.on_upgrade(async move |socket| stopped(socket, stop.subscribe()).await)
}

/// Until the client has closed; axum answers its Close frame.
async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, Message::Text(_) | Message::Binary(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn enough(mut socket: WebSocket) {
    let _first = socket.recv().await;
    say(socket, close_code::POLICY, "enough").await;
}

async fn only_small(mut socket: WebSocket) {
    while let Some(Ok(_)) = socket.recv().await {}
    say(socket, close_code::SIZE, "too large").await;
}

async fn stopped(mut socket: WebSocket, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            received = socket.recv() => match received {
                Some(Ok(_)) => {}
                _ => return,
            },
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    say(socket, close_code::AWAY, "stopping").await;
}

/// The client may be gone.
async fn say(mut socket: WebSocket, code: CloseCode, reason: &'static str) {
    let _ = socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
}
