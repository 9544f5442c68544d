//! The counts add up whenever somebody looks, and the limits hold, while connections come, close and end.

use std::num::NonZeroUsize;
use std::time::Duration;

use linger_proto::Outcome;
use shuttle::thread;

use super::explore;
use super::line::End;
use super::world::{CLOSED, Passing, World, count, join, run};
use crate::tracker::tracker::Tracker;

#[test]
fn counts_add_up_while_connections_come_and_go() {
    explore(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Always);
        let acceptor = world.acceptor();
        let engines = [world.line(0), world.line(0)].map(|(server, peer)| {
            let acceptor = acceptor.clone();
            let engine = world.thread(move || drop(acceptor.wrap(server)));
            [engine, thread::spawn(move || peer.end(End::Fin))]
        });
        let watches = [world.watch(3), world.watch(2)];
        join(engines.into_iter().flatten().chain(watches));
        assert_eq!(world.end().values().sum::<usize>(), 2);
    });
}

#[test]
fn one_more_than_may_linger_evicts_one() {
    explore(|| {
        // No time passes, so that nothing but an eviction or the peer ends a close.
        let mut world = World::new(Tracker::with_limit(NonZeroUsize::MIN), Passing::Never);
        let acceptor = world.acceptor();
        let lines = [world.line(0), world.line(0), world.line(0)];
        let peers = lines.each_ref().map(|(_, peer)| peer.clone());
        let engines = lines.map(|(server, _)| {
            let acceptor = acceptor.clone();
            world.thread(move || drop(acceptor.wrap(server)))
        });
        let watch = world.watch(2);
        let tracker = world.linger.tracker().clone();
        join(engines.into_iter().chain([watch]));
        // Of three that have come to wait, two were evicted. The last one waits for its peer.
        let ends = thread::spawn(move || {
            while tracker.closing() > 1 {
                thread::yield_now();
            }
            for peer in peers {
                peer.end(End::Fin);
            }
        });
        join([ends]);
        let outcomes = world.end();
        assert_eq!((count(&outcomes, Outcome::Evicted), count(&outcomes, CLOSED)), (2, 1), "{outcomes:?}");
    });
}

#[test]
fn a_close_is_evicted_cut_or_ended_by_its_peer_and_only_one_of_these() {
    explore(|| {
        let mut world = World::new(Tracker::with_limit(NonZeroUsize::MIN), Passing::Always);
        let acceptor = world.acceptor();
        let lines = [world.line(0), world.line(0)];
        let peer = lines[0].1.clone();
        let engines = lines.map(|(server, _)| {
            let acceptor = acceptor.clone();
            world.thread(move || drop(acceptor.wrap(server)))
        });
        let peer = thread::spawn(move || peer.end(End::Reset));
        let tracker = world.linger.tracker().clone();
        let shutdown = world.thread(move || drop(run(tracker.shutdown(Duration::from_secs(1)))));
        let watch = world.watch(3);
        join(engines.into_iter().chain([peer, shutdown, watch]));
        assert_eq!(world.end().values().sum::<usize>(), 2);
    });
}
