//! Clients that keep their connection after a response. Some stay idle, some ask again after the signal.

use std::time::Duration;

use super::http1::{Http1, head};
use super::{Case, Ready, Scene, Unready};
use crate::model::restart::{Ending, Fate};

/// Stays idle until the connection ends.
pub(super) async fn idle(scene: &Scene, case: &mut Case, ready: Ready) {
    let Some((mut http, _)) = kept(scene, case, ready).await else { return };
    http.drain().await;
    case.client.fate = case.closed();
}

/// Asks again after the signal, each client a little later than the one before. For half of the clients, the
/// time counts from the end of the command that ends the server.
pub(super) async fn request(scene: &Scene, case: &mut Case, ready: Ready) {
    let Some((mut http, request)) = kept(scene, case, ready).await else { return };
    let watch = &scene.watch;
    if case.number.is_multiple_of(2) {
        watch.until_begun().await;
    } else {
        watch.until_done().await;
    }
    tokio::time::sleep(after(case.number)).await;
    // Like connection pools, a client looks whether the connection has ended before it asks.
    if http.has_ended().await {
        case.client.fate = case.closed();
        return;
    }
    let outcome = http.ask(&request).await;
    case.client.status = outcome.status;
    let is_clean = case.seen.end().is_some_and(|end| end.ending == Ending::Fin);
    case.client.fate = if outcome.fate == Fate::Unanswered && is_clean { Fate::Closed } else { outcome.fate };
    http.drain().await;
}

/// Opens a connection and gets a response. Returns the connection, and the request that it was for.
async fn kept(scene: &Scene, case: &mut Case, ready: Ready) -> Option<(Http1, Vec<u8>)> {
    let request = head(&scene.target, &scene.options, "GET", &scene.target.path, None);
    let opened = async {
        let mut http =
            Http1::open(&scene.target).await.map_err(|error| Unready::Failed(error.to_string()))?;
        let outcome = http.ask(&request).await;
        case.seen = http.seen();
        match outcome.fate {
            Fate::Answered if outcome.is_kept => Ok(http),
            Fate::Answered => {
                Err(Unready::NotApplicable("it keeps no connection after a response".to_owned()))
            }
            Fate::Closed
            | Fate::Cut
            | Fate::Unanswered
            | Fate::Reset
            | Fate::Silent
            | Fate::Open
            | Fate::Unknown => Err(Unready::Failed("it gets no response".to_owned())),
        }
    };
    let opened = opened.await;
    let (ready_or_not, http) = match opened {
        Ok(http) => (Ok(()), Some(http)),
        Err(why) => (Err(why), None),
    };
    // If the set-up has failed, nobody receives this.
    let _ = ready.send(ready_or_not);
    http.map(|http| (http, request))
}

/// How long after the signal this client asks. The times differ, because a reload takes a while.
fn after(number: u32) -> Duration {
    const STEPS: [u32; 4] = [0, 4, 16, 64];
    let step = STEPS[number as usize % STEPS.len()];
    Duration::from_millis(u64::from(step + number / 4))
}
