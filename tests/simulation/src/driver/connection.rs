//! One connection of a run, from its accept to its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tower::{Layer as _, Service as _, service_fn};
use tower_linger::{AlwaysGraceful, ClosePolicy, Ending, LingerIo, LingerLayer, Tracker};

use crate::Choices;
use crate::driver::Sabotage;
use crate::driver::content::Content;
use crate::driver::faults::Faults;
use crate::driver::held::{Held, Record};
use crate::driver::link::{Buffers, Link};
use crate::driver::peer::{Peer, SMALLEST_ROOM};
use crate::driver::policy;
use crate::driver::service::{Served, Shelf, serve};
use crate::driver::session::{Session, Style};
use crate::driver::transport::Scripted;
use crate::driver::world::World;

#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) begins: Duration,
    pub(crate) policy: ClosePolicy,
    pub(crate) session: Option<Style>,
    pub(crate) faults: Faults,
    pub(crate) peer: Peer,
    pub(crate) host: Host,
    pub(crate) detaches_upgrades: bool,
    /// How long its owner waits for its future.
    pub(crate) patience: Duration,
    is_vectored: bool,
}

/// How the crate gets the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Host {
    /// As a service in the layer, with one of its classifiers.
    Layer(Classifier),
    /// By `LingerLayer::wrap`.
    Wrapped,
    /// By `LingerLayer::close`: awaited, dropped or detached.
    Unserved(Waits),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Classifier {
    BySight,
    AlwaysGraceful,
    By(Ending),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    Awaited,
    Dropped,
    Detached,
}

const REQUESTS: [&[u8]; 5] = [
    b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    b"",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"EHLO a\r\n",
    b"PUT /upload HTTP/1.0\r\ncontent-length: 100000\r\n\r\n",
];

const RESPONSES: [&[u8]; 5] = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n",
    b"",
    b"HTTP/1.0 200 OK\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: other\r\n\r\n",
];

impl Connection {
    pub(crate) fn draw(world: &Arc<World>, id: usize) -> (Self, Arc<Record>) {
        let connection = world.draw(Self::draw_one);
        let (contents, buffers) = world.draw(|choices| {
            let contents = [&REQUESTS, &RESPONSES].map(|heads| Content { head: choices.one_of(heads) });
            let mut size = || choices.one_of(&[16 << 10, 300, 1_000, 64 << 10, 1 << 20]);
            (contents, Buffers { to_peer: size(), to_server: size().max(SMALLEST_ROOM) })
        });
        world.note(Some(id), || format!("{connection:?} {buffers:?}"));
        let link = Link::new(world.clone(), id, buffers, contents);
        let record = Record::new(link, connection.policy);
        if let Host::Layer(Classifier::By(Ending::GracefulBy(policy))) = connection.host {
            record.may_go_by(policy);
        }
        record.facts().may_reset = matches!(connection.host, Host::Layer(Classifier::By(Ending::Reset)));
        (connection, record)
    }

    fn draw_one(choices: &mut Choices) -> Self {
        let session = choices.percent(50).then(|| Style::draw(choices));
        Self {
            begins: Duration::from_millis(choices.one_of(&[0, 1, 50, 1_000])),
            policy: policy::draw(choices),
            session,
            faults: Faults::draw(choices),
            peer: Peer::draw(choices, session.is_some()),
            host: Host::draw(choices),
            detaches_upgrades: choices.percent(20),
            patience: Duration::from_millis(choices.one_of(&[100_000, 200_000, 1, 50, 2_000])),
            is_vectored: choices.percent(50),
        }
    }

    /// Accepts, serves and closes it.
    pub(crate) async fn live(self, record: Arc<Record>, tracker: Tracker, shelf: Shelf) {
        sleep(self.begins).await;
        record.facts().is_accepted = true;
        let io = Scripted::new(
            record.link.clone(),
            self.faults.clone(),
            self.session.map(Session::new),
            self.is_vectored,
        );
        let layer = self.layer(&record, tracker);
        record.link.note(|| "is accepted".to_owned());
        match self.host {
            Host::Layer(classifier) => self.serve_in(layer, classifier, io, record, shelf).await,
            Host::Wrapped => {
                let held = Held::new(layer.wrap(io), record.clone());
                let _ = timeout(self.patience, serve(held, shelf, 0)).await;
                record.served();
            }
            Host::Unserved(waits) => close(layer, waits, io, &record).await,
        }
    }

    fn layer(&self, record: &Arc<Record>, tracker: Tracker) -> LingerLayer {
        let policy = match record.link.world.sabotage {
            Sabotage::LateEnd => later(self.policy),
            _ => self.policy,
        };
        let reported = record.clone();
        let layer = LingerLayer::new(policy).with_tracker(tracker).on_close(move |report| {
            reported.link.note(|| format!("report: {}", report.line()));
            let at = reported.link.world.elapsed();
            if reported.link.world.sabotage != Sabotage::LostReport {
                reported.facts().reports.push((*report, at));
            }
            if !reported.link.seen().is_closed {
                reported.link.broken("it is reported before its transport is dropped");
            }
        });
        if self.detaches_upgrades { layer.detach_upgrades() } else { layer }
    }

    async fn serve_in(
        &self,
        layer: LingerLayer,
        classifier: Classifier,
        io: Scripted,
        record: Arc<Record>,
        shelf: Shelf,
    ) {
        let number = 100 + u32::try_from(record.link.id).unwrap_or(0);
        let service = {
            let record = record.clone();
            service_fn(move |io: LingerIo<Scripted>| {
                let held = Held::new(io, record.clone());
                let (record, shelf) = (record.clone(), shelf.clone());
                async move {
                    let guard = record.clone().until_dropped();
                    let result = serve(held, shelf, number).await;
                    drop(guard);
                    record.facts().returned = Some(result);
                    result
                }
            })
        };
        let result = match classifier {
            Classifier::BySight => timeout(self.patience, layer.layer(service).call(io)).await,
            Classifier::AlwaysGraceful => {
                timeout(self.patience, layer.classify(AlwaysGraceful).layer(service).call(io)).await
            }
            Classifier::By(ending) => {
                let classified = layer.classify(move |_: &Served| ending);
                timeout(self.patience, classified.layer(service).call(io)).await
            }
        };
        let returned = record.facts().returned;
        record.facts().has_returned = result.is_ok();
        let result = match record.link.world.sabotage {
            Sabotage::OtherResult => result.map(|_| Ok(0)),
            _ => result,
        };
        match result {
            Ok(result) if Some(result) != returned => {
                record.link.broken("the layer returns another result than its service");
            }
            Ok(result) => record.link.note(|| format!("the layer returns {result:?}")),
            Err(_) => record.link.note(|| "its owner waits no longer".to_owned()),
        }
    }
}

async fn close(layer: LingerLayer, waits: Waits, io: Scripted, record: &Arc<Record>) {
    record.hand_back();
    record.served();
    let close = layer.close(io);
    match waits {
        Waits::Awaited => {
            let report = close.await;
            let reported = record.facts().reports.first().map(|(report, _)| *report);
            if reported.is_some_and(|reported| reported != report) {
                record.link.broken("the close returns another report than its observer got");
            }
        }
        Waits::Dropped => drop(close),
        Waits::Detached => close.detach(),
    }
}

/// A policy that is slower than the rules expect, as if a bound did not hold.
fn later(policy: ClosePolicy) -> ClosePolicy {
    let much = policy.longest() + Duration::from_secs(1);
    let builder = policy.to_builder().flush_limit(much).drain_limit(much);
    builder.flush_idle_timeout(much).drain_idle_timeout(much).build().unwrap_or(policy)
}

impl Host {
    fn draw(choices: &mut Choices) -> Self {
        match choices.below(10) {
            0..=4 => Self::Layer(Classifier::draw(choices)),
            5..=7 => Self::Wrapped,
            _ => {
                let waits = [Waits::Awaited, Waits::Dropped, Waits::Detached];
                Self::Unserved(choices.one_of(&waits))
            }
        }
    }
}

impl Classifier {
    fn draw(choices: &mut Choices) -> Self {
        match choices.below(8) {
            0..=3 => Self::BySight,
            4 => Self::AlwaysGraceful,
            5 => Self::By(Ending::Abort),
            6 => Self::By(Ending::GracefulBy(policy::draw(choices))),
            _ => Self::By(Ending::Reset),
        }
    }
}

impl Record {
    /// The service is done.
    pub(crate) fn served(&self) {
        let at = self.link.world.elapsed();
        self.facts().served_until.get_or_insert(at);
    }

    /// The service is done when this is dropped: also by a panic, or with its future.
    fn until_dropped(self: Arc<Self>) -> impl Drop {
        struct Guard(Arc<Record>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.served();
            }
        }
        Guard(self)
    }
}
