//! One run: a few connections, what happens to all of them, and their end.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower_linger::{Summary, Tracker};

use crate::Choices;
use crate::driver::connection::Connection;
use crate::driver::held::Record;
use crate::driver::service::Shelf;
use crate::driver::world::World;

/// What happens to all connections of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Events {
    /// How many closes may wait at once.
    pub(crate) limit: Option<u32>,
    /// When the server is shut down, and how long it then has.
    pub(crate) shutdown: Option<(Duration, Duration)>,
    /// When the runtime ends, whatever goes on in it.
    pub(crate) runtime_ends: Option<Duration>,
}

/// All that is left when the runtime is gone.
pub(crate) struct Scene {
    pub(crate) events: Events,
    pub(crate) tracker: Tracker,
    pub(crate) connections: Vec<(Connection, Arc<Record>)>,
    /// When the shutdown cut what was served, if it came to that.
    pub(crate) cut_at: OnceLock<Duration>,
    pub(crate) shelf: Shelf,
}

/// All that a run may take: every wait in it is bounded by far less.
const LONGEST_RUN: Duration = Duration::from_secs(48 * 60 * 60);

impl Events {
    fn draw(choices: &mut Choices) -> Self {
        let none = Self::default();
        let millis = |choices: &mut Choices, most| Duration::from_millis(choices.below(most).into());
        match choices.below(10) {
            0..=4 => none,
            5 => Self { limit: Some(choices.between(1, 3)), ..none },
            6 | 7 => {
                let at = millis(choices, 3_000);
                let limit = choices.one_of(&[1_000, 0, 1, 50, 20_000]);
                Self { shutdown: Some((at, Duration::from_millis(limit))), ..none }
            }
            8 => Self { runtime_ends: Some(millis(choices, 3_000)), ..none },
            _ => Self {
                limit: choices.percent(50).then_some(1),
                shutdown: Some((millis(choices, 500), millis(choices, 500))),
                runtime_ends: Some(millis(choices, 1_500)),
            },
        }
    }

    pub(crate) fn are_none(&self) -> bool {
        self.limit.is_none() && self.shutdown.is_none() && self.runtime_ends.is_none()
    }
}

impl Scene {
    pub(crate) fn draw(world: &Arc<World>) -> Self {
        let events = world.draw(Events::draw);
        let tracker = match events.limit.and_then(|limit| usize::try_from(limit).ok()?.try_into().ok()) {
            Some(limit) => Tracker::with_limit(limit),
            None => Tracker::unlimited(),
        };
        let count = world.draw(|choices| choices.between(1, if events.are_none() { 3 } else { 5 }));
        let connections = (0..count as usize).map(|id| Connection::draw(world, id)).collect();
        world.note(None, || format!("{events:?}"));
        Self { events, tracker, connections, cut_at: OnceLock::new(), shelf: Arc::new(Mutex::default()) }
    }

    /// Lives until everything has ended, or until the runtime is to end.
    pub(crate) async fn play(&self, world: &Arc<World>) {
        let all = self.play_all(world);
        let is_over = timeout(self.events.runtime_ends.unwrap_or(LONGEST_RUN), all).await.is_ok();
        if self.events.runtime_ends.is_some() {
            world.note(None, || "the runtime ends");
        } else if !is_over {
            world.broken(None, "it does not end: a connection is lost to everyone who waits for it");
        }
    }

    async fn play_all(&self, world: &Arc<World>) {
        let (mut tasks, mut peers) = (JoinSet::new(), JoinSet::new());
        for (connection, record) in &self.connections {
            let (begins, peer, link) = (connection.begins, connection.peer, record.link.clone());
            peers.spawn(async move {
                sleep(begins).await;
                peer.act(link).await;
            });
            tasks.spawn(connection.clone().live(record.clone(), self.tracker.clone(), self.shelf.clone()));
        }
        if let Some((at, limit)) = self.events.shutdown {
            sleep(at).await;
            let _summary = self.shut_down(world, limit).await;
        }
        // What is on the shelf is left by its owner, too, unless the runtime ends first.
        sleep(Duration::from_secs(60)).await;
        self.clear_shelf();
        while tasks.join_next().await.is_some() {}
        self.clear_shelf();
        self.tracker.wait().await;
        world.note(None, || "nobody is left");
        // What has left has yet to arrive.
        let _ = timeout(Duration::from_secs(10), async { while peers.join_next().await.is_some() {} }).await;
    }

    async fn shut_down(&self, world: &World, limit: Duration) -> Summary {
        world.note(None, || format!("the server shuts down within {limit:?}"));
        let before = world.elapsed();
        let summary = self.tracker.shutdown(limit).await;
        let took = world.elapsed().saturating_sub(before);
        world.note(None, || format!("the shutdown is over: {summary}"));
        if took > limit + LONGEST_CUT + ROUNDED {
            world.broken(None, format!("the shutdown took {took:?}, and its limit is {limit:?}"));
        }
        if took > limit {
            self.cut_at.get_or_init(|| before + limit);
        }
        summary
    }

    pub(crate) fn clear_shelf(&self) {
        let held = std::mem::take(&mut *self.shelf.lock().unwrap_or_else(PoisonError::into_inner));
        drop(held);
    }
}

/// What a shutdown takes at most beyond its limit.
const LONGEST_CUT: Duration = Duration::from_secs(1);

/// Timers count in milliseconds, tokio's and the tracker's.
pub(crate) const ROUNDED: Duration = Duration::from_millis(3);
