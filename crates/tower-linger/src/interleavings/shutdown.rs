//! The end of a server: who asks for it, who waits for it, and who hears of it.

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::time::Duration;

use linger_proto::Outcome;
use shuttle::thread;
use tokio::io::{AsyncRead as _, ReadBuf};

use super::line::{End, Server};
use super::world::{CLOSED, Passing, World, count, join, run};
use super::{exhaust, explore};
use crate::clock::now;
use crate::serve::io::LingerIo;
use crate::tracker::shutdown::Shutdown;
use crate::tracker::tracker::Tracker;

const NOTICE: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(10);

/// Reads until that fails or comes to the end, as an engine does that waits for a request.
fn serve(mut io: LingerIo<Server>) {
    let mut bytes = [0; 8];
    let _end = run(poll_fn(|cx| Pin::new(&mut io).poll_read(cx, &mut ReadBuf::new(&mut bytes))));
}

#[test]
fn of_two_requests_at_the_same_time_the_second_ends_it_at_once() {
    explore(|| {
        let world = World::new(Tracker::unlimited(), Passing::Always);
        let shutdown = Shutdown::new(world.linger.tracker().clone(), LIMIT).with_notice(NOTICE);
        let (handle, began) = (shutdown.handle(), now());
        let heard = world.thread({
            let requested = shutdown.requested();
            move || {
                run(requested);
                now()
            }
        });
        let requests = [handle.clone(), handle.clone()].map(|handle| {
            thread::spawn(move || {
                handle.request();
                now()
            })
        });
        let asked = join(requests).into_iter().max().expect("two");
        assert!(world.linger.tracker().deadline().is_some_and(|deadline| deadline <= asked), "it is over");
        let heard_at = join([heard])[0];
        assert!(heard_at <= asked.max(began + NOTICE), "the server hears of the second request");
        assert!(handle.is_noticed());
        world.end();
    });
}

#[test]
fn everyone_hears_of_one_request_and_the_server_finishes() {
    explore(|| {
        // No time passes, so that no deadline hides that somebody was not woken.
        let mut world = World::new(Tracker::unlimited(), Passing::Never);
        let shutdown = Shutdown::new(world.linger.tracker().clone(), LIMIT);
        let handle = shutdown.handle();
        let (server, peer) = world.line(0);
        let io = world.wrap(server);
        let engine = world.thread(move || serve(io));
        let noticed = thread::spawn({
            let noticed = handle.noticed();
            move || run(noticed)
        });
        let finish = world.thread(move || {
            let requested = shutdown.requested();
            let (returned, summary) = run(shutdown.finish(requested));
            assert_eq!((returned, summary.total()), (Some(()), 1));
        });
        let request = thread::spawn(move || handle.request());
        let peer = thread::spawn(move || peer.end(End::Fin));
        join([engine, noticed, finish, request, peer]);
        assert_eq!(count(&world.end(), CLOSED), 1);
    });
}

#[test]
fn two_shutdowns_of_a_tracker_end_both_and_everything_once() {
    explore(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Always);
        let (served, _silent) = world.line(0);
        let (closing, _silent) = world.line(0);
        let (served, closing) = (world.wrap(served), world.wrap(closing));
        let engines = [world.thread(move || serve(served)), world.thread(move || drop(closing))];
        let shutdowns = [LIMIT, Duration::ZERO].map(|limit| {
            let tracker = world.linger.tracker().clone();
            world.thread(move || drop(run(tracker.shutdown(limit))))
        });
        join(engines);
        join(shutdowns);
        let outcomes = world.end();
        // A runtime that stands still for longer than a limit ends its closes by that.
        let limits = [Outcome::FlushTimeout, Outcome::DrainIdle, Outcome::DrainDeadline];
        let limits: usize = limits.iter().map(|outcome| count(&outcomes, *outcome)).sum();
        assert_eq!(limits + count(&outcomes, Outcome::ShutdownCut), 2, "{outcomes:?}");
    });
}

#[test]
fn who_waits_until_nothing_is_left_is_woken_by_the_last() {
    explore(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Never);
        let tracker = world.linger.tracker().clone();
        let idle = thread::spawn(move || run(tracker.wait()));
        let acceptor = world.acceptor();
        let engines = [world.line(0), world.line(0)].map(|(server, peer)| {
            let acceptor = acceptor.clone();
            world.thread(move || {
                peer.end(End::Fin);
                drop(acceptor.wrap(server));
            })
        });
        let watch = world.watch(3);
        join(engines);
        join([idle, watch]);
        assert_eq!(count(&world.end(), CLOSED), 2);
    });
}

#[test]
fn a_connection_that_is_taken_away_while_somebody_waits_wakes_him() {
    exhaust(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Never);
        let (server, _peer) = world.line(0);
        let io = world.wrap(server);
        let tracker = world.linger.tracker().clone();
        let taken = thread::spawn(move || io.into_inner());
        run(tracker.wait());
        drop(join([taken]));
        world.end_without_reports();
    });
}

#[test]
fn who_waits_for_room_gets_it_when_a_connection_leaves() {
    exhaust(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Never);
        let (server, peer) = world.line(0);
        peer.end(End::Fin);
        let io = world.wrap(server);
        let tracker = world.linger.tracker().clone();
        let engine = thread::spawn(move || io.into_inner());
        run(poll_fn(|cx| tracker.poll_room(NonZeroUsize::MIN, cx)));
        assert_eq!(tracker.served(), 0);
        drop(join([engine]));
        world.end_without_reports();
    });
}
