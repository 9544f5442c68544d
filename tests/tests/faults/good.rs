//! Clients that do everything right, while others do not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::interval;
use tower_linger_tests::peer::{Client, End, Manner, Seen};

use super::scene::{Doors, Target};

/// The servers of HTTP.
const TARGETS: [Target; 3] = [Target::Plain, Target::Tls, Target::Own];

/// How often each of them asks.
const PERIOD: Duration = Duration::from_millis(25);

/// Clients that ask again and again, one for each server.
pub(crate) struct Good {
    clients: JoinSet<()>,
    seen: Arc<Mutex<Tally>>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    pub(crate) served: u64,
    pub(crate) failed: Vec<String>,
}

impl Good {
    pub(crate) fn start(doors: &Doors) -> Self {
        let (mut clients, seen) = (JoinSet::new(), Arc::new(Mutex::new(Tally::default())));
        for target in TARGETS {
            let (doors, seen) = (doors.clone(), seen.clone());
            clients.spawn(async move {
                let mut period = interval(PERIOD);
                loop {
                    period.tick().await;
                    let ended = ask(&doors, target).await;
                    let mut tally = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    match ended {
                        Ok(()) => tally.served += 1,
                        Err(how) => tally.failed.push(how),
                    }
                }
            });
        }
        Self { clients, seen }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until they have been served this many times more.
    pub(crate) async fn served_more(&self, times: u64) {
        let begun = self.tally().served;
        tower_linger_tests::until::until("good clients are served", || self.tally().served >= begun + times)
            .await;
    }

    /// Ends them, and returns what they saw.
    pub(crate) async fn stop(mut self) -> Tally {
        self.clients.shutdown().await;
        self.tally()
    }

    /// Ends them, whom the fault should not have concerned.
    pub(crate) async fn assert_all_served(self) {
        let tally = self.stop().await;
        assert!(tally.served > 0 && tally.failed.is_empty(), "{tally:?}");
    }
}

/// One request to each server.
pub(crate) async fn serve_each(doors: &Doors) {
    for target in TARGETS {
        ask(doors, target).await.unwrap_or_else(|how| panic!("{how}"));
    }
}

/// One request, whole from the connection to its end.
async fn ask(doors: &Doors, target: Target) -> Result<(), String> {
    let tls = doors.tls(target);
    let clean = if tls.is_some() { End::CloseNotify } else { End::Fin };
    let client = Client::connect(doors.address(target), None, tls).await;
    let client = client.map_err(|error| format!("{target:?} does not connect: {error}"))?;
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let seen = client.exchange(request, 0, Manner::ReadsWhileWriting).await;
    let expected = Seen { status: Some(200), body: 5, complete: true, end: clean };
    if seen == expected { Ok(()) } else { Err(format!("{target:?}: {seen:?}")) }
}
