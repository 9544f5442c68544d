//! A `WebSocket` that is kept through restarts. Its client numbers its messages, and each comes back once. A
//! client that is told 1001 (Going Away) connects again, and sends again what has not come back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_stream::StreamExt as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::client::{Door, Wire};
use super::tally::{Tally, Traffic};

const BETWEEN_MESSAGES: Duration = Duration::from_millis(40);
/// No answer takes as long, unless it is lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// The messages of one client: those that were begun, and those that have not come back.
#[derive(Debug, Default)]
struct Messages {
    begun: u64,
    unanswered: VecDeque<(u64, Instant)>,
}

/// Why a connection ended.
enum End {
    /// By the server, with 1001.
    GoingAway,
    /// By this client, when everything had come back.
    Stopped,
}

/// Sends until it is to stop, and then waits for what has not come back.
pub(super) async fn keep(door: Arc<Door>, tally: Tally, mut stop: watch::Receiver<bool>) {
    let mut messages = Messages::default();
    loop {
        match connection(&door, &tally, &mut messages, &mut stop).await {
            Ok(End::Stopped) => return,
            Ok(End::GoingAway) => tally.moved(door.name, Traffic::Message),
            Err(how) => {
                let is_stopped = *stop.borrow();
                tally.lost(door.name, Traffic::Message, how);
                // A server that answers nothing more must not keep the test for ever.
                if is_stopped {
                    return;
                }
            }
        }
    }
}

async fn connection(
    door: &Door,
    tally: &Tally,
    messages: &mut Messages,
    stop: &mut watch::Receiver<bool>,
) -> Result<End, String> {
    let wire = timeout(PATIENCE, door.connect()).await.map_err(|_| "no connection".to_owned())?;
    let wire = wire.map_err(|error| format!("no connection: {error}"))?;
    let upgraded = timeout(PATIENCE, client_async("ws://localhost/socket", wire)).await;
    let upgraded = upgraded.map_err(|_| "no upgrade".to_owned())?;
    let (mut socket, _) = upgraded.map_err(|error| format!("no upgrade: {error}"))?;
    for (number, _) in &messages.unanswered {
        send(&mut socket, *number).await?;
    }
    let mut due = interval(BETWEEN_MESSAGES);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        let is_stopped = *stop.borrow();
        if is_stopped && messages.unanswered.is_empty() {
            return leave(socket).await;
        }
        tokio::select! {
            received = timeout(PATIENCE, socket.next()) => match received {
                Ok(Some(Ok(Message::Text(text)))) => {
                    match messages.unanswered.pop_front() {
                        Some((number, begun)) if number.to_string() == text.as_str() => {
                            tally.came_back(door.name, Traffic::Message, begun);
                        }
                        expected => return Err(format!("{text} came back instead of {expected:?}")),
                    }
                }
                Ok(Some(Ok(Message::Close(Some(frame))))) if frame.code == CloseCode::Away => {
                    return gone(socket).await;
                }
                Ok(Some(Err(error))) => return Err(format!("cut: {error}")),
                Ok(ended) => return Err(format!("ended: {ended:?}")),
                Err(_) => return Err(format!("silence for {PATIENCE:?}")),
            },
            _ = due.tick(), if !is_stopped => {
                messages.begun += 1;
                messages.unanswered.push_back((messages.begun, Instant::now()));
                tally.begin(door.name, Traffic::Message);
                send(&mut socket, messages.begun).await?;
            }
            _ = stop.changed(), if !is_stopped => {}
        }
    }
}

async fn send(socket: &mut WebSocketStream<Wire>, number: u64) -> Result<(), String> {
    match socket.send(Message::text(number.to_string())).await {
        // The Close frame has come, and the next read shows it.
        Err(tungstenite::Error::AlreadyClosed | tungstenite::Error::ConnectionClosed) => Ok(()),
        sent => sent.map_err(|error| format!("cut: {error}")),
    }
}

/// The Close frame was read. The answer to it is sent by reading on, to the end of the connection.
async fn gone(mut socket: WebSocketStream<Wire>) -> Result<End, String> {
    let ended = async {
        loop {
            match socket.next().await {
                None => return Ok(End::GoingAway),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(format!("cut after 1001: {error}")),
            }
        }
    };
    timeout(PATIENCE, ended).await.unwrap_or_else(|_| Err("1001, and then no end".to_owned()))
}

async fn leave(mut socket: WebSocketStream<Wire>) -> Result<End, String> {
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: "done".into() };
    let left = async {
        socket.close(Some(goodbye)).await.map_err(|error| format!("cut at its end: {error}"))?;
        loop {
            match socket.next().await {
                None => return Ok(End::Stopped),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(format!("cut at its end: {error}")),
            }
        }
    };
    timeout(PATIENCE, left).await.unwrap_or_else(|_| Err("no end".to_owned()))
}
