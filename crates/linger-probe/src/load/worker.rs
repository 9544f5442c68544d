//! The threads that a load's clients run on, one for each core. The clients of a thread share one set of
//! tallies, because a set takes more memory than a hundred clients.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, available_parallelism};

use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::client::{Client, Openings, Requests};
use super::mix::Kind;
use super::tally::Tally;

/// What a worker's clients found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) kinds: [Tally; Kind::ALL.len()],
    pub(super) openings: Openings,
}

impl Default for Found {
    fn default() -> Self {
        Self { kinds: Kind::ALL.map(Tally::new), openings: Openings::default() }
    }
}

impl Found {
    pub(super) fn merge(&mut self, other: Self) {
        for (sum, more) in self.kinds.iter_mut().zip(&other.kinds) {
            sum.merge(more);
        }
        self.openings.merge(other.openings);
    }
}

/// Running workers. Dropping this stops them, too.
#[derive(Debug)]
pub(super) struct Workers {
    results: mpsc::UnboundedReceiver<Found>,
    stop: watch::Sender<()>,
}

impl Workers {
    pub(super) fn start(shared: &Arc<Shared>, requests: &Arc<Requests>) -> Self {
        let number = available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
        let number = number.min(shared.connections);
        let ((result, results), (stop, stopped)) = (mpsc::unbounded_channel(), watch::channel(()));
        for first in 0..number {
            let (shared, requests) = (shared.clone(), requests.clone());
            let (own_result, mut stopped) = (result.clone(), stopped.clone());
            let clients = (first..shared.connections).step_by(number as usize);
            let work = move || {
                let found = Arc::new(Mutex::new(Found::default()));
                match runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime.block_on(async {
                        tokio::select! {
                            () = run(&shared, &requests, &found, clients) => {}
                            _ = stopped.changed() => {}
                        }
                    }),
                    Err(error) => lock(&found).openings.fail(&error),
                }
                // If the load was dropped, nobody receives this.
                let _ = own_result.send(std::mem::take(&mut *lock(&found)));
            };
            if let Err(error) = thread::Builder::new().name("load".to_owned()).spawn(work) {
                let _ = result.send(failed(&error));
            }
        }
        Self { results, stop }
    }

    /// Ends all clients. What they have found so far is still reported; requests under way are not.
    pub(super) fn stop(&self) {
        // An error means that all workers have ended already.
        let _ = self.stop.send(());
    }

    /// What the next worker that ends has found. `None` after the last one.
    pub(super) async fn next(&mut self) -> Option<Found> {
        self.results.recv().await
    }
}

fn failed(error: &io::Error) -> Found {
    let mut found = Found::default();
    found.openings.fail(error);
    found
}

/// Runs the clients of these numbers until each has ended.
async fn run(
    shared: &Arc<Shared>,
    requests: &Arc<Requests>,
    found: &Arc<Mutex<Found>>,
    numbers: impl Iterator<Item = u32>,
) {
    let mut clients = JoinSet::new();
    for number in numbers {
        let client = Client::new(requests.clone(), shared.cut);
        clients.spawn(drive(shared.clone(), found.clone(), client, number));
    }
    while let Some(joined) = clients.join_next().await {
        if let Err(panic) = joined {
            lock(found).openings.fail(&panic);
        }
    }
}

/// Runs one client until the time is up.
async fn drive(shared: Arc<Shared>, found: Arc<Mutex<Found>>, mut client: Client, number: u32) {
    sleep_until(shared.beginning(number)).await;
    while let Some((kind, due)) = shared.next().await {
        let exchange = client.exchange(kind, due).await;
        shared.note(kind, exchange.came);
        {
            let mut found = lock(&found);
            found.kinds[kind as usize].add(exchange);
            found.openings.merge(std::mem::take(&mut client.openings));
        }
        if exchange.came.is_unopened() {
            // Without a pause, a server that accepts no connections would be asked as fast as possible.
            sleep_until((Instant::now() + super::UNOPENED_PAUSE).min(shared.end)).await;
        }
    }
}

/// Only the worker's own thread locks this, and never across an await, so it never blocks.
fn lock(found: &Mutex<Found>) -> std::sync::MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}
