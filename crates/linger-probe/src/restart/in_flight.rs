//! Clients that wait for a response when the signal comes.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::http1::{Http1, Outcome, head};
use super::{Case, Ready, Scene, UNREAD, Unready, bounded};
use crate::model::restart::{Ending, Fate};

/// Sends one request after the other. Only the request that is under way at the signal is judged and, without
/// a slow path, those shortly after it.
pub(super) async fn run(scene: &Scene, case: &mut Case, ready: Ready) {
    let plan = &scene.plan;
    let path = plan.slow_path.as_ref().unwrap_or(&scene.target.path);
    let after = if plan.slow_path.is_some() { Duration::ZERO } else { SHORTLY_AFTER };
    let request = head(&scene.target, &scene.options, "GET", path, None);
    let mut http = match Http1::open(&scene.target).await {
        Ok(http) => http,
        Err(error) => return drop(ready.send(Err(Unready::Failed(error.to_string())))),
    };
    let _ = ready.send(Ok(()));
    scene.watch.until_ready().await;
    loop {
        case.seen = http.seen();
        let sent = Instant::now();
        let outcome = http.ask(&request).await;
        if scene.watch.begun().is_some() {
            let before = case.client.fate;
            case.client.status = outcome.status.or(case.client.status);
            let fate = judge(case, outcome, sent);
            // An answer after the signal is not undone by a clean end that follows it.
            let stays = before == Fate::Answered && fate == Fate::Closed;
            case.client.fate = if stays { before } else { fate };
            if outcome.is_kept && !scene.watch.is_done_since(after) {
                continue;
            }
            return http.drain().await;
        }
        if !outcome.is_kept {
            sleep(PAUSE).await;
            match bounded(scene, Http1::open(&scene.target)).await {
                Some(Ok(again)) => http = again,
                // The server was ended meanwhile, and had no request of this client.
                _ if scene.watch.begun().is_some() => {
                    case.client.fate = Fate::Closed;
                    return;
                }
                _ => {
                    case.skipped = Some("it takes no second connection".to_owned());
                    return;
                }
            }
        }
    }
}

/// The outcome's fate. A clean end without a response just after the request is no loss, because clients send
/// such a request again (RFC 9112 §9.3.1).
fn judge(case: &Case, outcome: Outcome, sent: Instant) -> Fate {
    let end = case.seen.end();
    let is_unread = end.is_some_and(|end| end.ending == Ending::Fin && end.at < sent + UNREAD);
    if outcome.fate == Fate::Unanswered && is_unread { Fate::Closed } else { outcome.fate }
}

/// How long requests continue after the signal, without a slow path.
const SHORTLY_AFTER: Duration = Duration::from_millis(200);
/// The pause before a connection that replaces one that has ended.
const PAUSE: Duration = Duration::from_millis(5);
