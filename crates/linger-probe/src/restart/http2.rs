//! Clients that have an HTTP/2 stream open when the signal comes.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use h2::{Error, Reason};
use http::Request;
use tokio::time::{Instant, sleep};

use super::stream::Stream;
use super::{Case, Ready, Scene, UNREAD, Unready};
use crate::model::restart::{Ending, Fate};

/// Opens one stream after the other. Only the stream that is open at the signal is judged and, without a slow
/// path, those shortly after it.
pub(super) async fn run(scene: &Scene, case: &mut Case, ready: Ready) {
    let opened = async {
        let stream = Stream::open(&scene.target, true).await.map_err(|error| error.to_string())?;
        case.seen = stream.seen();
        let (sender, connection) = h2::client::handshake(stream).await.map_err(|error| error.to_string())?;
        Ok::<_, String>((sender, connection))
    };
    let (sender, connection) = match opened.await {
        Ok(opened) => opened,
        Err(why) => return drop(ready.send(Err(Unready::NotApplicable(why)))),
    };
    let mut goaway = None;
    {
        let watched = watch(connection, sender.clone(), &mut goaway);
        tokio::pin!(watched);
        let streams = streams(scene, &mut *case, sender, ready);
        tokio::pin!(streams);
        // Both have to complete, in whatever order.
        tokio::select! {
            () = &mut streams => watched.await,
            () = &mut watched => streams.await,
        }
    }
    case.client.goaway = goaway;
}

/// Drives the connection to its end, and looks for a GOAWAY frame in the error that `h2` reports.
async fn watch(connection: Connection<Stream>, mut sender: SendRequest<Bytes>, goaway: &mut Option<u32>) {
    tokio::pin!(connection);
    loop {
        let ended = tokio::select! {
            _ = &mut connection => true,
            () = sleep(LOOK) => false,
        };
        let state = poll_fn(|cx| Poll::Ready(sender.poll_ready(cx))).await;
        if let Poll::Ready(Err(error)) = state
            && error.is_go_away()
            && error.is_remote()
        {
            *goaway = error.reason().map(u32::from);
        }
        if ended {
            return;
        }
    }
}

async fn streams(scene: &Scene, case: &mut Case, mut sender: SendRequest<Bytes>, ready: Ready) {
    let mut ready = Some(ready);
    let plan = &scene.plan;
    let path = plan.slow_path.as_ref().unwrap_or(&scene.target.path);
    let after = if plan.slow_path.is_some() { Duration::ZERO } else { SHORTLY_AFTER };
    // The first request is an ordinary one, which shows whether the server speaks HTTP/2.
    let first = ask(scene, &mut sender, &scene.target.path).await;
    let is_spoken = first.fate == Fate::Answered;
    let not_spoken = || Unready::NotApplicable("it does not speak HTTP/2".to_owned());
    let spoken = is_spoken.then_some(()).ok_or_else(not_spoken);
    if let Some(ready) = ready.take() {
        let _ = ready.send(spoken);
    }
    if !is_spoken {
        return;
    }
    scene.watch.until_ready().await;
    loop {
        let sent = Instant::now();
        let answer = ask(scene, &mut sender, path).await;
        if scene.watch.begun().is_none() {
            if answer.fate != Fate::Answered {
                case.skipped = Some("its streams fail before the signal".to_owned());
                return;
            }
            continue;
        }
        let end = case.seen.end();
        let is_unread = end.is_some_and(|end| end.ending == Ending::Fin && end.at < sent + UNREAD);
        let was_reset = end.is_some_and(|end| end.ending == Ending::Reset);
        let before = case.client.fate;
        case.client.status = answer.status.or(case.client.status);
        let fate = match answer.fate {
            Fate::Unanswered if is_unread => Fate::Closed,
            Fate::Unanswered | Fate::Cut if was_reset => Fate::Reset,
            Fate::Answered
            | Fate::Closed
            | Fate::Cut
            | Fate::Unanswered
            | Fate::Reset
            | Fate::Silent
            | Fate::Open
            | Fate::Unknown => answer.fate,
        };
        // An answer after the signal is not undone by a clean end that follows it.
        let stays = before == Fate::Answered && fate == Fate::Closed;
        case.client.fate = if stays { before } else { fate };
        if answer.fate != Fate::Answered || scene.watch.is_done_since(after) {
            return;
        }
    }
}

struct Answer {
    fate: Fate,
    status: Option<u16>,
}

async fn ask(scene: &Scene, sender: &mut SendRequest<Bytes>, path: &str) -> Answer {
    let target = &scene.target;
    let scheme = if target.tls.is_some() { "https" } else { "http" };
    let mut request = Request::get(format!("{scheme}://{}{path}", target.authority));
    for field in target.header_fields(&scene.options) {
        let (name, value) = field.split_once(':').unwrap_or((field, ""));
        request = request.header(name.trim(), value.trim());
    }
    let mut status = None;
    let exchange = async {
        poll_fn(|cx| sender.poll_ready(cx)).await?;
        let request = request.body(()).map_err(|_| Error::from(Reason::INTERNAL_ERROR))?;
        let (response, _) = sender.send_request(request, true)?;
        let response = response.await?;
        status = Some(response.status().as_u16());
        let mut body = response.into_body();
        while let Some(data) = body.data().await {
            let bytes = data?.len();
            body.flow_control().release_capacity(bytes)?;
        }
        Ok::<_, Error>(())
    };
    let fate = match exchange.await {
        Ok(()) => Fate::Answered,
        Err(error) if is_retried(&error) => Fate::Closed,
        Err(error) if error.is_reset() => Fate::Reset,
        Err(_) if status.is_some() => Fate::Cut,
        Err(_) => Fate::Unanswered,
    };
    Answer { fate, status }
}

/// Whether the server has said that it did nothing with this stream, so that the client can send the request
/// again (RFC 9113 §8.7).
fn is_retried(error: &Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
}

/// The time between two looks at the connection's state.
const LOOK: Duration = Duration::from_millis(5);
/// How long streams continue after the signal, without a slow path.
const SHORTLY_AFTER: Duration = Duration::from_millis(200);
