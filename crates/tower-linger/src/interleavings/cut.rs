//! A shutdown's deadline cuts what is served: whoever reads or writes then is woken, and nobody else's.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use linger_proto::Outcome;
use shuttle::sync::{Mutex, mpsc};
use shuttle::thread;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::line::{End, Server};
use super::world::{CLOSED, Passing, World, count, join, run};
use super::{exhaust, explore};
use crate::serve::connection::{Connection, Side};
use crate::serve::io::LingerIo;
use crate::tracker::state::Tracked as _;
use crate::tracker::tracker::Tracker;

const LIMIT: Duration = Duration::from_secs(2);

/// One half of a connection. Tokio's `split` has a lock that would block the one thread that all run on.
#[derive(Clone)]
struct Half(Arc<Mutex<LingerIo<Server>>>);

impl Half {
    /// Reads until that fails or comes to the end.
    fn read(self) -> io::Result<()> {
        let mut bytes = [0; 8];
        run(poll_fn(|cx| {
            let mut io = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Pin::new(&mut *io).poll_read(cx, &mut ReadBuf::new(&mut bytes))
        }))
    }

    /// Writes until that fails.
    fn write(self) -> io::Result<()> {
        loop {
            run(poll_fn(|cx| {
                let mut io = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                Pin::new(&mut *io).poll_write(cx, b"response")
            }))?;
        }
    }
}

fn is_cut(result: &io::Result<()>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionAborted)
}

#[test]
fn both_halves_of_a_connection_are_woken_when_a_shutdown_cuts_it() {
    explore(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Always);
        let (server, _silent) = world.line(12);
        let half = Half(Arc::new(Mutex::new(world.wrap(server))));
        let other = half.clone();
        let halves = [world.thread(move || half.read()), world.thread(move || other.write())];
        let tracker = world.linger.tracker().clone();
        let shutdown = world.thread(move || run(tracker.shutdown(LIMIT)));
        assert!(join(halves).iter().all(is_cut), "neither end waits for ever");
        join([shutdown]);
        assert_eq!(count(&world.end(), Outcome::ShutdownCut), 1);
    });
}

#[test]
fn a_connection_that_another_task_reads_now_wakes_that_task_when_it_is_cut() {
    explore(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Always);
        let (server, _silent) = world.line(0);
        let half = Half(Arc::new(Mutex::new(world.wrap(server))));
        let (hand_over, taken) = mpsc::channel::<Half>();
        let first = world.thread(move || {
            let mut bytes = [0; 8];
            let _polled = run(poll_fn(|cx| {
                let mut io = half.0.lock().unwrap_or_else(PoisonError::into_inner);
                Poll::Ready(Pin::new(&mut *io).poll_read(cx, &mut ReadBuf::new(&mut bytes)))
            }));
            hand_over.send(half).expect("it is taken");
            Ok(())
        });
        let second = world.thread(move || taken.recv().expect("it is handed over").read());
        let tracker = world.linger.tracker().clone();
        let shutdown = world.thread(move || run(tracker.shutdown(LIMIT)));
        assert!(is_cut(&join([first, second])[1]));
        join([shutdown]);
        assert_eq!(world.end().values().sum::<usize>(), 1);
    });
}

#[test]
fn connections_that_come_around_the_deadline_are_cut_too() {
    explore(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Always);
        // As long as this one is served, the shutdown has something to wait for.
        let (server, _silent) = world.line(0);
        let first = Half(Arc::new(Mutex::new(world.wrap(server))));
        let first = world.thread(move || first.read());
        let acceptor = world.acceptor();
        let (server, _silent) = world.line(0);
        let second = world.thread(move || Half(Arc::new(Mutex::new(acceptor.wrap(server)))).read());
        let tracker = world.linger.tracker().clone();
        let shutdown = world.thread(move || run(tracker.shutdown(LIMIT)));
        let watch = world.watch(3);
        // Also where the second comes when the shutdown has returned.
        assert!(join([first, second]).iter().all(is_cut));
        join([shutdown]);
        join([watch]);
        let outcomes = world.end();
        assert_eq!(outcomes.values().sum::<usize>(), 2, "{outcomes:?}");
    });
}

#[test]
fn a_task_that_begins_to_wait_while_it_is_cut_sees_that_or_is_woken() {
    exhaust(|| {
        let connection = Arc::new(Connection::new());
        let cut = connection.clone();
        let cut = thread::spawn(move || cut.cut().into_iter().flatten().for_each(Waker::wake));
        run(poll_fn(|cx| {
            connection.register(Side::Read, cx.waker());
            if connection.is_cut() { Poll::Ready(()) } else { Poll::Pending }
        }));
        join([cut]);
    });
}

#[test]
fn a_read_that_begins_to_wait_while_the_connection_is_cut_fails() {
    exhaust(|| {
        let mut world = World::new(Tracker::unlimited(), Passing::Never);
        let (server, _silent) = world.line(0);
        let mut io = world.wrap(server);
        let tracker = world.linger.tracker().clone();
        let cut = thread::spawn(move || tracker.cut_served());
        let mut bytes = [0; 8];
        let read = run(poll_fn(|cx| Pin::new(&mut io).poll_read(cx, &mut ReadBuf::new(&mut bytes))));
        assert!(is_cut(&read));
        join([cut]);
        drop(io.into_inner());
        world.end_without_reports();
    });
}

#[test]
fn a_connection_that_ends_while_it_is_cut_ends_once() {
    for end in [End::Fin, End::Reset] {
        explore(move || {
            let mut world = World::new(Tracker::unlimited(), Passing::Never);
            let (server, peer) = world.line(0);
            let io = world.wrap(server);
            let tracker = world.linger.tracker().clone();
            let cut = thread::spawn(move || tracker.cut_served());
            let peer = thread::spawn(move || peer.end(end));
            let engine = world.thread(move || drop(Half(Arc::new(Mutex::new(io))).read()));
            let watch = world.watch(2);
            join([cut, engine, peer, watch]);
            let outcomes = world.end();
            let possible = [CLOSED, Outcome::PeerReset, Outcome::ShutdownCut];
            let ended: usize = possible.iter().map(|outcome| count(&outcomes, *outcome)).sum();
            assert_eq!(ended, 1, "{outcomes:?}");
        });
    }
}
