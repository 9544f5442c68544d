//! Clients that had a response and keep their connection: some stay quiet, some ask again after the signal.

use std::time::Duration;

use super::http1::{Http1, head};
use super::{Case, Ready, Scene, Unready};
use crate::model::restart::{Ending, Fate};

/// Stays quiet until the connection ends.
pub(super) async fn idle(scene: &Scene, case: &mut Case, ready: Ready) {
    let Some((mut http, _)) = kept(scene, case, ready).await else { return };
    http.drain().await;
    case.client.fate = case.closed();
}

/// Asks again after the signal; each client a little later than the one before it, half of them counting from
/// the moment when the command has ended.
pub(super) async fn request(scene: &Scene, case: &mut Case, ready: Ready) {
    let Some((mut http, request)) = kept(scene, case, ready).await else { return };
    let watch = &scene.watch;
    if case.number.is_multiple_of(2) {
        watch.until_begun().await;
    } else {
        watch.until_done().await;
    }
    tokio::time::sleep(after(case.number)).await;
    // A client looks before it asks, as all pools do.
    if http.has_ended().await {
        case.client.fate = case.closed();
        return;
    }
    let outcome = http.ask(&request).await;
    case.client.status = outcome.status;
    case.client.fate = match outcome.fate {
        Fate::Unanswered if case.seen.end().is_some_and(|end| end.ending == Ending::Fin) => Fate::Closed,
        fate => fate,
    };
    http.drain().await;
}

/// A connection that had a response, and the request for it.
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
            _ => Err(Unready::Failed("it gets no response".to_owned())),
        }
    };
    let opened = opened.await;
    let (ready_or_not, http) = match opened {
        Ok(http) => (Ok(()), Some(http)),
        Err(why) => (Err(why), None),
    };
    // Nobody listens where the set-up has failed.
    let _ = ready.send(ready_or_not);
    http.map(|http| (http, request))
}

/// Soon, and later: a server that is told to reload takes some time to do so.
fn after(number: u32) -> Duration {
    const STEPS: [u32; 4] = [0, 4, 16, 64];
    let step = STEPS[number as usize % STEPS.len()];
    Duration::from_millis(u64::from(step + number / 4))
}
