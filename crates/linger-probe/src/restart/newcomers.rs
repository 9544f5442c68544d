//! Opens new connections, one after the other, while the server ends.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::Scene;
use super::http1::{Http1, head};
use crate::model::restart::{Fate, Newcomers};

/// Connects and sends requests until it is stopped.
pub(super) struct Watcher {
    found: Arc<Mutex<Found>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Found {
    newcomers: Newcomers,
    first_failed: Option<Instant>,
}

/// What became of a new connection.
enum Met {
    Answered,
    Refused,
    Reset,
    Unanswered,
}

impl Watcher {
    /// Starts the task, which waits for the signal before it connects.
    pub(super) fn start(scene: &Arc<Scene>) -> Self {
        let found = Arc::<Mutex<Found>>::default();
        let (scene, into) = (scene.clone(), found.clone());
        let task = tokio::spawn(async move {
            scene.watch.until_begun().await;
            let request = head(&scene.target, &scene.options, "GET", &scene.target.path, None);
            loop {
                let begun = Instant::now();
                let met = timeout(BOUND, meet(&scene, &request)).await.unwrap_or(Met::Unanswered);
                lock(&into).note(&met, begun);
                sleep(PAUSE).await;
            }
        });
        Self { found, task }
    }

    /// Waits until the server answers a new connection, or the time is up.
    pub(super) async fn settled(&self, settle: Duration) {
        let tried = |newcomers: &Newcomers| {
            newcomers.answered + newcomers.refused + newcomers.reset + newcomers.unanswered
        };
        let before = tried(&lock(&self.found).newcomers);
        let answered = async {
            // The request under way may have begun before the last connection ended, so one more has to
            // be answered.
            let is_settled = || {
                let found = lock(&self.found);
                found.newcomers.served_at_end && tried(&found.newcomers) > before + 1
            };
            while !is_settled() {
                sleep(PAUSE).await;
            }
        };
        let _ = timeout(settle, answered).await;
    }

    pub(super) fn stop(self) -> Newcomers {
        self.task.abort();
        lock(&self.found).newcomers.clone()
    }
}

impl Found {
    fn note(&mut self, met: &Met, begun: Instant) {
        let newcomers = &mut self.newcomers;
        *match met {
            Met::Answered => &mut newcomers.answered,
            Met::Refused => &mut newcomers.refused,
            Met::Reset => &mut newcomers.reset,
            Met::Unanswered => &mut newcomers.unanswered,
        } += 1;
        newcomers.served_at_end = matches!(met, Met::Answered);
        if !newcomers.served_at_end {
            self.first_failed.get_or_insert(begun);
        } else if newcomers.gap.is_none() {
            newcomers.gap = self.first_failed.map(|failed| failed.elapsed());
        }
    }
}

async fn meet(scene: &Scene, request: &[u8]) -> Met {
    let mut http = match Http1::open(&scene.target).await {
        Ok(http) => http,
        Err(error) => {
            return match error.kind() {
                ErrorKind::ConnectionRefused => Met::Refused,
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Met::Reset,
                _ => Met::Unanswered,
            };
        }
    };
    match http.ask(request).await.fate {
        Fate::Answered => Met::Answered,
        Fate::Reset => Met::Reset,
        Fate::Closed | Fate::Cut | Fate::Unanswered | Fate::Silent | Fate::Open | Fate::Unknown => {
            Met::Unanswered
        }
    }
}

fn lock(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pause between two connections.
const PAUSE: Duration = Duration::from_millis(20);
/// How long one connection may take.
const BOUND: Duration = Duration::from_secs(5);
