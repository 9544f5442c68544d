use std::mem::size_of;

use tokio::runtime::Builder;

use super::*;

struct Connection;

impl Tracked for Connection {
    fn cut(&self) -> [Option<Waker>; 2] {
        [None, None]
    }
}

fn tracker() -> Inner {
    Inner::new(Limits { all: None, per_peer: None })
}

/// A close that is dropped outside of any runtime goes on where a connection began last: another may have
/// ended since.
#[test]
fn the_runtime_of_the_last_connection_is_known_until_all_are_gone() {
    let tracker = tracker();
    let [old, young] = [(); 2].map(|()| Builder::new_current_thread().build().expect("a runtime"));
    let runtime = || tracker.runtime().map(|runtime| runtime.id());
    let serve = |inside: &tokio::runtime::Runtime| {
        let _inside = inside.enter();
        tracker.serve(&Arc::new(Connection))
    };
    assert_eq!(runtime(), None);
    let first = serve(&old);
    assert_eq!(runtime(), Some(old.handle().id()));
    let second = serve(&young);
    assert_eq!(runtime(), Some(young.handle().id()));
    let outside = tracker.serve(&Arc::new(Connection));
    assert_eq!(runtime(), Some(young.handle().id()));
    tracker.forget_served(first);
    tracker.forget_served(outside);
    assert_eq!(runtime(), Some(young.handle().id()));
    tracker.begin_close(second);
    assert_eq!(runtime(), Some(young.handle().id()));
    tracker.end_close(&mut Place::default(), None);
    assert_eq!(runtime(), None, "its handle would keep the descriptors of an ended runtime");
    let last = serve(&old);
    tracker.forget_served(last);
    assert_eq!(runtime(), None);
}

/// A server's task may be polled for other reasons while it waits, for as long as no connection ends.
#[cfg(feature = "serve")]
#[test]
fn who_waits_for_room_stands_in_line_once() {
    struct Task;

    impl std::task::Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    let tracker = tracker();
    let served = tracker.serve(&Arc::new(Connection));
    let [one, two] = [1, 2].map(|most| NonZeroUsize::new(most).expect("more than none"));
    let waker = Waker::from(Arc::new(Task));
    let cx = Context::from_waker(&waker);
    assert!(tracker.poll_room(two, &cx).is_ready());
    let other = tracker.serve(&Arc::new(Connection));
    for most in [one, two, one, two] {
        assert!(tracker.poll_room(most, &cx).is_pending());
    }
    assert_eq!(tracker.lock().room.len(), 2, "one for each bound");
    tracker.forget_served(other);
    assert_eq!(tracker.lock().room.len(), 1, "there is room for the second");
    tracker.forget_served(served);
    assert!(tracker.lock().room.is_empty());
}

/// Like the entry of a [`Slab`], which is private.
#[expect(dead_code, reason = "only its size is of interest")]
enum SlabEntry<T> {
    Vacant(usize),
    Occupied(T),
}

/// What a served connection costs the tracker. A vacant entry has its number in the room of the vtable,
/// so that the trait object costs as much as a thin pointer.
#[test]
fn a_served_connection_costs_the_tracker_two_words() {
    let words = [size_of::<SlabEntry<Arc<dyn Tracked>>>(), size_of::<SlabEntry<Arc<()>>>()];
    assert_eq!(words, [2 * size_of::<usize>(); 2]);
}
