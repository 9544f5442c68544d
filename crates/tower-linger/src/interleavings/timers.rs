//! Everyone who waits is woken at his time, whichever runtime's timer does it, and when that runtime ends.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use linger_proto::Outcome;
use shuttle::sync::mpsc;
use shuttle::thread;

use super::explore;
use super::line::End;
use super::world::{CLOSED, Passing, World, count, inside, join, run};
use crate::clock::now;
use crate::sync::model::runtime::Runtime;
use crate::tracker::state::Inner;
use crate::tracker::timer_task::LockTimers as _;
use crate::tracker::tracker::Tracker;
use crate::tracker::wakeup::Wakeup;

/// Waits until this time by the tracker's timers.
fn wait_until(inner: &Arc<Inner>, at: Instant) {
    let mut wakeup = Wakeup::new(inner.clone());
    run(poll_fn(|cx| wakeup.poll_at(cx, at, now())));
    assert!(now() >= at, "not before");
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn everyone_is_woken_at_his_time() {
    for passing in [Passing::Always, Passing::WhenIdle] {
        explore(move || wait_in_threads(passing));
    }
}

fn wait_in_threads(passing: Passing) {
    let world = World::new(Tracker::unlimited(), passing);
    let threads = [[3, 4], [1, 6], [2, 2]].map(|waits| {
        let inner = world.linger.tracker().inner().clone();
        world.thread(move || {
            for wait in waits {
                let at = now() + seconds(wait);
                wait_until(&inner, at);
                assert!(passing == Passing::Always || now() == at, "neither later");
            }
        })
    });
    join(threads);
    world.end();
}

#[test]
fn a_timer_that_ends_leaves_nobody_behind_who_begins_to_wait() {
    explore(|| {
        let world = World::new(Tracker::unlimited(), Passing::Always);
        let others = Runtime::new(true);
        let at = now() + seconds(1);
        // The timer of the first ends when it has woken it, which is when the second begins.
        let threads = [world.runtime.handle(), world.runtime.handle(), others.handle()].map(|runtime| {
            let inner = world.linger.tracker().inner().clone();
            inside(runtime, move || {
                wait_until(&inner, at);
                wait_until(&inner, at + seconds(1));
            })
        });
        join(threads);
        others.shut_down();
        world.end();
    });
}

#[test]
fn who_stops_waiting_while_he_is_woken_leaves_the_others_their_time() {
    explore(|| {
        let world = World::new(Tracker::unlimited(), Passing::Always);
        let inner = world.linger.tracker().inner().clone();
        let stops = world.thread(move || {
            for wait in 1..4 {
                let mut wakeup = Wakeup::new(inner.clone());
                let at = now() + seconds(wait);
                let _polled = run(poll_fn(|cx| Poll::Ready(wakeup.poll_at(cx, at, now()))));
            }
        });
        let inner = world.linger.tracker().inner().clone();
        let waits = world.thread(move || wait_until(&inner, now() + seconds(2)));
        join([stops, waits]);
        world.end();
    });
}

#[test]
fn a_runtime_without_timers_has_a_thread_that_wakes() {
    explore(|| {
        let world = World::new(Tracker::unlimited(), Passing::Always);
        let timeless = Runtime::new(false);
        let inner = world.linger.tracker().inner().clone();
        // Otherwise it would find that out by a panic, which would be printed.
        inner.with_timers(|timers| timers.set_timeless(timeless.handle().id()));
        let threads = [[1, 2], [2, 1]].map(|waits| {
            let inner = inner.clone();
            inside(timeless.handle(), move || {
                for wait in waits {
                    wait_until(&inner, now() + seconds(wait));
                }
            })
        });
        join(threads);
        world.end();
    });
}

#[test]
fn a_close_that_relied_on_a_runtime_that_ends_goes_on_in_another() {
    explore(|| {
        // No time passes, so that only the end of the runtime wakes the close.
        let mut world = World::new(Tracker::unlimited(), Passing::Never);
        let ending = Runtime::new(true);
        let (server, peer) = world.line(0);
        let (io, mut serving) = world.serve(server);
        drop(io);
        let mut first = Some(ending.handle().clone());
        let (goes_on, waits) = mpsc::channel();
        let owner = world.thread(move || {
            let result = run(poll_fn(|cx| {
                let entered = first.take().map(|first| first.enter());
                if entered.is_none() {
                    let _known = goes_on.send(());
                }
                Pin::new(&mut serving).poll(cx)
            }));
            assert_eq!(result, Ok(()));
        });
        let ends = thread::spawn(move || ending.shut_down());
        let peer = thread::spawn(move || {
            if waits.recv().is_ok() {
                peer.end(End::Fin);
            }
        });
        join([owner, ends, peer]);
        let outcomes = world.end();
        // It makes one best effort if it is polled where its runtime has ended.
        assert_eq!(count(&outcomes, CLOSED) + count(&outcomes, Outcome::Cancelled), 1, "{outcomes:?}");
    });
}

#[test]
fn closes_whose_runtime_ends_while_it_wakes_them_end_once() {
    explore(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Always);
        let ending = Runtime::new(true);
        let lines = [world.line(0), world.line(0)];
        let peer = lines[0].1.clone();
        let acceptor = world.acceptor();
        let engines = lines.map(|(server, _)| {
            let acceptor = acceptor.clone();
            inside(ending.handle(), move || drop(acceptor.wrap(server)))
        });
        let watch = world.watch(2);
        let peer = thread::spawn(move || peer.end(End::Fin));
        let ends = thread::spawn(move || ending.shut_down());
        join(engines.into_iter().chain([watch, peer, ends]));
        assert_eq!(world.end().values().sum::<usize>(), 2);
    });
}
