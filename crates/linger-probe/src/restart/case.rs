//! One client of a restart: what it does, and what became of it.

use std::sync::Arc;

use tokio::time::Instant;

use super::stream::Seen;
use super::{Ready, Scene, http2, idle, in_flight, upload, websocket};
use crate::model::restart::{Client, Ending, Fate, Kind};

/// One client, while it is running.
pub(super) struct Case {
    pub(super) kind: Kind,
    pub(super) number: u32,
    pub(super) client: Client,
    pub(super) seen: Seen,
    /// Why it could not be tried, if that was found only after it was under way.
    pub(super) skipped: Option<String>,
}

impl Case {
    pub(super) fn new(kind: Kind, number: u32) -> Self {
        let client = Client {
            fate: Fate::Unknown,
            status: None,
            sent_bytes: 0,
            ending: Ending::Open,
            ended: None,
            close_notify: None,
            goaway: None,
            close_frame: (kind == Kind::WebSocket).then_some(false),
            close_code: None,
        };
        Self { kind, number, client, seen: Seen::default(), skipped: None }
    }

    /// Runs until its connection has ended, or until the run is over.
    pub(super) async fn run(mut self, scene: Arc<Scene>, ready: Ready) -> Self {
        let over = scene.watch.until_over();
        let client = async {
            match self.kind {
                Kind::Idle => idle::idle(&scene, &mut self, ready).await,
                Kind::IdleRequest => idle::request(&scene, &mut self, ready).await,
                Kind::InFlight => in_flight::run(&scene, &mut self, ready).await,
                Kind::Upload => upload::run(&scene, &mut self, ready).await,
                Kind::WebSocket => websocket::run(&scene, &mut self, ready).await,
                Kind::Http2 => http2::run(&scene, &mut self, ready).await,
            }
        };
        tokio::select! {
            () = client => {}
            () = over => {}
        }
        self
    }

    /// The fate of a client without a request under way, once its connection has ended.
    pub(super) fn closed(&self) -> Fate {
        match self.seen.end().map(|end| end.ending) {
            Some(Ending::Reset) => Fate::Reset,
            Some(Ending::Fin | Ending::Client | Ending::Failed | Ending::Open) | None => Fate::Closed,
        }
    }

    /// What the report says of it.
    pub(super) fn told(self, begun: Instant, interrupted: bool) -> Client {
        let mut client = self.client;
        if let Some(end) = self.seen.end() {
            client.ending = end.ending;
            client.ended = Some(end.at.saturating_duration_since(begun));
            client.close_notify = end.close_notify;
        }
        if client.fate == Fate::Unknown && !interrupted {
            client.fate = if self.kind.has_request() { Fate::Silent } else { Fate::Open };
        }
        client
    }
}
