//! What is told to others, and what is remembered between threads: gauges, spans, wakers.

use std::cell::Cell;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use linger_proto::Outcome;
use metrics::{Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::sync::mpsc;
use shuttle::thread;

use super::line::End;
use super::world::{CLOSED, Passing, Serving, World, count, join, run};
use super::{exhaust, explore};
use crate::clock::now;
use crate::layer::LingerLayer;
use crate::tracker::tracker::Tracker;

thread_local! {
    /// What the gauge of lingering connections was set to last.
    static LINGERING: Cell<Option<f64>> = const { Cell::new(None) };
}

/// A recorder of gauges that lets others go on right before it sets one.
struct Slow;

struct SlowGauge(AtomicUsize);

impl GaugeFn for SlowGauge {
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, value: f64) {
        self.0.fetch_add(1, Ordering::SeqCst);
        LINGERING.set(Some(value));
    }
}

impl Recorder for Slow {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(SlowGauge(AtomicUsize::new(0))))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn a_gauge_shows_what_is_counted_once_nobody_changes_it() {
    metrics::with_local_recorder(&Slow, || {
        exhaust(|| {
            let linger = LingerLayer::default();
            let meters = [linger.settings().meter.clone(), linger.settings().meter.clone()];
            join(meters.map(|meter| thread::spawn(move || meter.close_begins(None))));
            assert_eq!(LINGERING.get(), Some(2.0));
        });
        explore(|| {
            let linger = LingerLayer::default();
            let meter = || linger.settings().meter.clone();
            let meters = [meter(), meter(), meter()];
            join(meters.map(|meter| {
                thread::spawn(move || {
                    meter.close_begins(None);
                    meter.released();
                })
            }));
            assert_eq!(LINGERING.get(), Some(0.0));
        });
    });
}

#[test]
fn a_gauge_is_zero_when_the_tracker_is_empty() {
    metrics::with_local_recorder(&Slow, || {
        explore(|| {
            LINGERING.set(None);
            let mut world = World::new(Tracker::unlimited(), Passing::Always);
            let acceptor = world.acceptor();
            let engines = [world.line(0), world.line(0)].map(|(server, peer)| {
                let acceptor = acceptor.clone();
                world.thread(move || {
                    drop(acceptor.wrap(server));
                    peer.end(End::Fin);
                })
            });
            join(engines);
            run(world.linger.tracker().wait());
            // Serving and lingering alike: the last to set either has set it to zero.
            assert_eq!(LINGERING.get(), Some(0.0));
            world.end();
        });
    });
}

#[cfg(feature = "tracing")]
#[test]
fn a_second_has_so_many_spans_and_every_other_close_is_counted() {
    exhaust(|| {
        let (sampler, at) = (LingerLayer::default().settings().sampler.clone(), now());
        // All but the last one.
        let taken = (0..99).filter(|_| sampler.take(at).is_some()).count();
        let tries = [sampler.clone(), sampler.clone()]
            .map(|sampler| thread::spawn(move || [sampler.take(at), sampler.take(at)]));
        let taken_late: Vec<u64> = join(tries).into_iter().flatten().flatten().collect();
        assert_eq!(taken + taken_late.len(), 100);
        let later = sampler.take(at + Duration::from_secs(1)).expect("another second");
        assert_eq!(taken_late.iter().sum::<u64>() + later, 3, "each that had no span is told of once");
    });
}

#[test]
fn a_close_that_waits_to_flush_wakes_whoever_polls_it_now() {
    explore(|| {
        // No time passes, so that no limit hides that nobody was woken.
        let mut world = World::new(Tracker::unlimited(), Passing::Never);
        let (server, peer) = world.line(0);
        peer.stop_taking();
        let (io, mut serving) = world.serve(server);
        drop(io);
        let (hand_over, taken) = mpsc::channel::<Serving>();
        let first = world.thread(move || {
            let polled = run(poll_fn(|cx| Poll::Ready(Pin::new(&mut serving).poll(cx))));
            if polled.is_pending() {
                hand_over.send(serving).expect("it is taken");
            }
        });
        let second = world.thread(move || {
            if let Ok(serving) = taken.recv() {
                assert_eq!(run(serving), Ok(()));
            }
        });
        let peer = thread::spawn(move || {
            peer.take();
            peer.end(End::Fin);
        });
        join([first, second, peer]);
        assert_eq!(count(&world.end(), CLOSED), 1);
    });
}

#[test]
fn a_policy_that_is_swapped_holds_from_then_on_and_never_in_part() {
    explore(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Never);
        let (server, peer) = world.line(0);
        let io = world.wrap(server);
        let linger = world.linger.clone();
        let undrained = linger.policy().to_builder().without_drain().build().expect("valid");
        let swaps = thread::spawn(move || linger.set_policy(undrained));
        let engine = world.thread(move || drop(io));
        let peer = thread::spawn(move || peer.end(End::Fin));
        join([swaps, engine, peer]);
        let outcomes = world.end();
        assert_eq!(count(&outcomes, CLOSED) + count(&outcomes, Outcome::Undrained), 1, "{outcomes:?}");
    });
}
