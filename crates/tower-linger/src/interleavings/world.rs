//! What scenarios have in common: a layer, a runtime, time that passes, and what must hold at the end.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use linger_proto::{CloseReport, Outcome};
use shuttle::future::block_on;
use shuttle::thread::{self, JoinHandle};
use tower::{Layer as _, Service as _, service_fn};

use super::line::{Peer, Server, line};
use crate::layer::LingerLayer;
use crate::serve::io::LingerIo;
use crate::service::LingerFuture;
use crate::sync::model::clock::Time;
use crate::sync::model::runtime::{Handle, Runtime};
use crate::sync::model::tokio_sync::switch;
use crate::tracker::state::Counts;
use crate::tracker::tracker::Tracker;

/// When time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passing {
    /// So no timer can hide that somebody was not woken.
    Never,
    /// At any moment: each thread may be as slow as it likes.
    Always,
    /// Only when nothing else can go on: everything happens at its time.
    WhenIdle,
}

/// A server without its sockets.
pub(super) struct World {
    pub(super) linger: LingerLayer,
    pub(super) runtime: Runtime,
    time: Option<Time>,
    shared: Arc<Shared>,
    peers: Vec<Peer>,
}

/// Locked and changed only where no scheduler chooses.
#[derive(Default)]
struct Shared {
    reports: Mutex<Vec<CloseReport>>,
    /// Connections that are about to be wrapped, and that were.
    begun: AtomicUsize,
    accepted: AtomicUsize,
}

impl World {
    pub(super) fn new(tracker: Tracker, passing: Passing) -> Self {
        let shared = Arc::new(Shared::default());
        let reports = shared.clone();
        let linger = LingerLayer::default().with_tracker(tracker).on_close(move |report| {
            // So that somebody can look before it is reported.
            switch();
            reports.reports.lock().expect("whole").push(*report);
        });
        let time = match passing {
            Passing::Never => None,
            Passing::Always => Some(Time::start(false)),
            Passing::WhenIdle => Some(Time::start(true)),
        };
        Self { linger, runtime: Runtime::new(true), time, shared, peers: Vec::new() }
    }

    /// A connection, before it is accepted.
    pub(super) fn line(&mut self, room: usize) -> (Server, Peer) {
        let (server, peer) = line(room);
        self.peers.push(peer.clone());
        (server, peer)
    }

    /// What accepts connections for this server, from any thread.
    pub(super) fn acceptor(&self) -> Acceptor {
        Acceptor { linger: self.linger.clone(), shared: self.shared.clone() }
    }

    /// Lends a connection as a framework with an accept loop of its own does.
    pub(super) fn wrap(&self, io: Server) -> LingerIo<Server> {
        self.acceptor().wrap(io)
    }

    /// Lends a connection to a service that is done at once, as that of an upgraded connection is. The future
    /// waits for the connection.
    pub(super) fn serve(&self, io: Server) -> (LingerIo<Server>, Serving) {
        let lent = Arc::new(Mutex::new(None));
        let slot = lent.clone();
        let service = service_fn(move |io: LingerIo<Server>| {
            *slot.lock().expect("whole") = Some(io);
            ready(Ok(()))
        });
        let serving = self.acceptor().accept(|linger| linger.layer(service).call(io));
        let io = lent.lock().expect("whole").take();
        (io.expect("the service was called"), serving)
    }

    /// A thread that has entered the runtime.
    pub(super) fn thread<R: Send + 'static>(
        &self,
        run: impl FnOnce() -> R + Send + 'static,
    ) -> JoinHandle<R> {
        inside(self.runtime.handle(), run)
    }

    /// Looks so many times whether the counts add up, while the others go on.
    pub(super) fn watch(&self, looks: usize) -> JoinHandle<()> {
        let (tracker, shared) = (self.linger.tracker().clone(), self.shared.clone());
        thread::spawn(move || {
            for _ in 0..looks {
                let least = shared.accepted.load(Ordering::SeqCst);
                let Counts { served, closing, ended, .. } = tracker.inner().counts();
                let most = shared.begun.load(Ordering::SeqCst);
                let sum = served + closing + ended;
                assert!(
                    (least..=most).contains(&sum),
                    "{served} served, {closing} closing, {ended} ended of {least} to {most}"
                );
                // Each is reported before it is counted as ended.
                assert!(shared.reports.lock().expect("whole").len() >= ended);
            }
        })
    }

    /// Waits for all connections, and looks whether everything has come to an end, once. Returns how often
    /// each outcome was reported.
    pub(super) fn end(self) -> BTreeMap<&'static str, usize> {
        let tracker = self.linger.tracker().clone();
        block_on(tracker.wait());
        // All reports are out, and all sockets are released.
        let outcomes = self.check(&tracker.inner().counts());
        self.time.into_iter().for_each(Time::stop);
        self.runtime.shut_down();
        assert_eq!(tracker.inner().counts().waiting, 0, "nobody waits any more");
        outcomes
    }

    /// As [`end`](Self::end), where all connections were taken away.
    pub(super) fn end_without_reports(self) {
        self.shared.accepted.store(0, Ordering::SeqCst);
        assert!(self.end().is_empty());
    }

    fn check(&self, counts: &Counts) -> BTreeMap<&'static str, usize> {
        let reports = self.shared.reports.lock().expect("whole");
        let mut outcomes = BTreeMap::new();
        reports.iter().for_each(|report| *outcomes.entry(report.outcome.as_str()).or_default() += 1);
        assert_eq!((counts.served, counts.closing), (0, 0));
        assert_eq!(counts.ended, reports.len(), "{outcomes:?}");
        assert_eq!(self.shared.accepted.load(Ordering::SeqCst), reports.len(), "{outcomes:?}");
        drop(reports);
        for peer in &self.peers {
            let seen = peer.seen();
            assert_eq!(seen.releases, 1, "{outcomes:?}");
            assert!(seen.fins <= 1, "{} FINs", seen.fins);
        }
        outcomes
    }
}

/// What accepts connections, and counts them.
#[derive(Clone)]
pub(super) struct Acceptor {
    linger: LingerLayer,
    shared: Arc<Shared>,
}

impl Acceptor {
    pub(super) fn wrap(&self, io: Server) -> LingerIo<Server> {
        self.accept(|linger| linger.wrap(io))
    }

    fn accept<R>(&self, accept: impl FnOnce(&LingerLayer) -> R) -> R {
        self.shared.begun.fetch_add(1, Ordering::SeqCst);
        let accepted = accept(&self.linger);
        self.shared.accepted.fetch_add(1, Ordering::SeqCst);
        accepted
    }
}

/// The future of a layered service.
pub(super) type Serving = LingerFuture<Ready<Result<(), Infallible>>, Server, (), Infallible>;

/// A thread that has entered this runtime.
pub(super) fn inside<R: Send + 'static>(
    runtime: &Handle,
    run: impl FnOnce() -> R + Send + 'static,
) -> JoinHandle<R> {
    let runtime = runtime.clone();
    thread::spawn(move || {
        let _entered = runtime.enter();
        run()
    })
}

/// Waits for these threads.
pub(super) fn join<R>(threads: impl IntoIterator<Item = JoinHandle<R>>) -> Vec<R> {
    threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
}

/// Runs a future to its end in this thread.
pub(super) fn run<F: Future>(future: F) -> F::Output {
    block_on(future)
}

/// How often this outcome was reported.
pub(super) fn count(outcomes: &BTreeMap<&'static str, usize>, outcome: Outcome) -> usize {
    outcomes.get(outcome.as_str()).copied().unwrap_or_default()
}

/// The peer's FIN ended it.
pub(super) const CLOSED: Outcome = Outcome::PeerClosed { close_notify: false };
