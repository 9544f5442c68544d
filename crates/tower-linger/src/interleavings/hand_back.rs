//! A connection comes back from its service to a future that somebody polls, or drops.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use linger_proto::Outcome;
use shuttle::thread;

use super::explore;
use super::line::End;
use super::world::{CLOSED, Passing, Serving, World, count, inside, join, run};
use crate::sync::model::runtime::Runtime;
use crate::tracker::tracker::Tracker;

/// Polls it once, as a task does that is woken for something else.
fn poll_once(serving: &mut Serving) -> Poll<()> {
    run(poll_fn(|cx| Poll::Ready(Pin::new(&mut *serving).poll(cx).map(drop))))
}

#[test]
fn a_connection_that_is_dropped_while_its_future_is_dropped_is_closed_once() {
    for polls in [0, 1, 2] {
        explore(move || {
            let mut world = World::new(Tracker::unlimited(), Passing::Never);
            let (server, peer) = world.line(0);
            let (io, mut serving) = world.serve(server);
            let engine = world.thread(move || drop(io));
            let owner = world.thread(move || {
                let is_over = (0..polls).any(|_| poll_once(&mut serving).is_ready());
                drop((serving, is_over));
            });
            let peer = thread::spawn(move || peer.end(End::Fin));
            join([engine, owner, peer]);
            assert_eq!(count(&world.end(), CLOSED), 1);
        });
    }
}

#[test]
fn a_future_that_is_polled_elsewhere_completes_once_the_socket_is_released() {
    explore(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Never);
        let (server, peer) = world.line(0);
        let (io, serving) = world.serve(server);
        let (looks, ends) = (peer.clone(), peer);
        let engine = thread::spawn(move || drop(io));
        let owner = world.thread(move || {
            assert_eq!(run(serving), Ok(()));
            assert_eq!(looks.seen().releases, 1);
        });
        let peer = thread::spawn(move || ends.end(End::Reset));
        join([engine, owner, peer]);
        assert_eq!(count(&world.end(), Outcome::PeerReset), 1);
    });
}

#[test]
fn a_connection_that_is_taken_away_completes_its_future_and_leaves_the_tracker() {
    explore(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Never);
        let (server, _peer) = world.line(0);
        let (io, serving) = world.serve(server);
        let tracker = world.linger.tracker().clone();
        let idle = thread::spawn(move || run(tracker.wait()));
        let owner = world.thread(move || assert_eq!(run(serving), Ok(())));
        let taken = thread::spawn(move || drop(io.into_inner()));
        join([idle, owner, taken]);
        world.end_without_reports();
    });
}

#[test]
fn a_close_goes_on_when_its_future_is_dropped_and_its_runtime_ends() {
    for outside in [false, true] {
        explore(move || {
            let mut world = World::new(Tracker::unlimited(), Passing::Never);
            let (server, peer) = world.line(0);
            let (io, mut serving) = world.serve(server);
            let ending = Runtime::new(true);
            let runtime = ending.handle().clone();
            drop(io);
            let owner = move || {
                let is_over = poll_once(&mut serving).is_ready();
                drop((serving, is_over));
            };
            let owner = if outside { thread::spawn(owner) } else { inside(&runtime, owner) };
            let ends = thread::spawn(move || ending.shut_down());
            let peer = thread::spawn(move || peer.end(End::Fin));
            join([owner, ends, peer]);
            let outcomes = world.end();
            // Without a runtime it makes one best effort.
            assert_eq!(count(&outcomes, CLOSED) + count(&outcomes, Outcome::Cancelled), 1, "{outcomes:?}");
        });
    }
}

#[test]
fn a_close_whose_future_was_dropped_may_lose_its_runtime_at_any_time() {
    explore(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Always);
        let ending = Runtime::new(true);
        let (server, _silent) = world.line(0);
        let io = {
            let _entered = ending.handle().enter();
            world.wrap(server)
        };
        let engine = inside(&ending.handle().clone(), move || drop(io));
        let ends = thread::spawn(move || ending.shut_down());
        join([engine, ends]);
        let outcomes = world.end();
        assert_eq!(outcomes.values().sum::<usize>(), 1);
        assert_eq!(count(&outcomes, CLOSED), 0, "its peer is silent");
    });
}

#[test]
fn what_a_handler_wants_holds_if_it_said_so_before_the_connection_came_back() {
    explore(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Never);
        let (server, peer) = world.line(0);
        let (io, serving) = world.serve(server);
        let handle = io.close_handle();
        let said = Arc::new(AtomicBool::new(false));
        let heard = said.clone();
        let handler = thread::spawn(move || {
            handle.reset();
            said.store(true, Ordering::SeqCst);
            false
        });
        let engine = thread::spawn(move || {
            let must_reset = heard.load(Ordering::SeqCst);
            drop(io);
            must_reset
        });
        let owner = world.thread(move || run(serving).is_err());
        let peer = thread::spawn(move || {
            peer.end(End::Fin);
            false
        });
        let must_reset = join([handler, engine, owner, peer])[1];
        let outcomes = world.end();
        let resets = count(&outcomes, Outcome::Aborted);
        assert!(resets == 1 || !must_reset, "{outcomes:?}");
        assert_eq!(resets + count(&outcomes, CLOSED), 1, "{outcomes:?}");
    });
}
