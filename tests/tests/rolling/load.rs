//! An open loop: requests are begun at their time, whether or not earlier ones are answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::client::Door;
use super::socket;
use super::tally::{Tally, Traffic};

/// Runs until [`finish`](Self::finish).
#[derive(Debug)]
pub(super) struct Load {
    streams: JoinSet<()>,
    stop: watch::Sender<bool>,
    pub(super) tally: Tally,
}

/// So many requests per second through a door. For messages, so many `WebSocket`s: see [`socket`].
pub(super) type Rate = (Arc<Door>, Traffic, u32);

impl Load {
    pub(super) fn start(rates: &[Rate]) -> Self {
        let (stop, tally) = (watch::Sender::new(false), Tally::default());
        let mut streams = JoinSet::new();
        for (door, traffic, rate) in rates.iter().cloned() {
            let (tally, stopped) = (tally.clone(), stop.subscribe());
            if traffic == Traffic::Message {
                for _ in 0..rate {
                    streams.spawn(socket::keep(door.clone(), tally.clone(), stopped.clone()));
                }
            } else {
                streams.spawn(requests(door, traffic, rate, tally, stopped));
            }
        }
        Self { streams, stop, tally }
    }

    /// Begins nothing more, and waits for what has been begun.
    pub(super) async fn finish(self) -> Tally {
        self.stop.send_replace(true);
        self.streams.join_all().await;
        self.tally
    }
}

async fn requests(
    door: Arc<Door>,
    traffic: Traffic,
    rate: u32,
    tally: Tally,
    mut stop: watch::Receiver<bool>,
) {
    let mut due = interval(Duration::from_secs(1) / rate);
    // What this machine was too busy for is begun as soon as it can be.
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut unanswered = JoinSet::new();
    for number in 0.. {
        tokio::select! {
            _ = due.tick() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        let (door, tally) = (door.clone(), tally.clone());
        unanswered.spawn(async move { door.ask(traffic, number, &tally).await });
        while unanswered.try_join_next().is_some() {}
    }
    unanswered.join_all().await;
}
