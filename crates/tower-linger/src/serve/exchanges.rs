//! What is known about a connection's HTTP/1 requests and responses. The layers of `http` write it, the close
//! reads it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash as _, Hasher};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use tokio::task;

use crate::serve::framing::Framing;
use crate::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// The exchanges of one connection. HTTP/1 has one at a time, so this is about the last one.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    progress: AtomicU8,
    requests: AtomicU8,
    upgraded: AtomicBool,
    framing: AtomicU8,
}

/// How far the last exchange is: complete (or there was none), unanswered, or failed for good.
const COMPLETE: u8 = 0;
const BUSY: u8 = 1;
const FAILED: u8 = 2;

/// How far the client is with its requests: there was none, there may be more, it has announced that this is the
/// last, or the last was read to its end.
const NONE: u8 = 0;
const MORE: u8 = 1;
const LAST: u8 = 2;
const LAST_READ: u8 = 3;

impl Exchanges {
    /// To be called when a request has arrived; `is_last` if the client has announced no other.
    pub(crate) fn begin(&self, is_last: bool) {
        // The next response may be framed differently from the last.
        self.set_framing(Framing::Unknown);
        self.progress.store(BUSY, Ordering::Release);
        self.requests.store(if is_last { LAST } else { MORE }, Ordering::Release);
    }

    /// To be called when a response is complete.
    pub(crate) fn complete(&self) {
        self.progress.store(COMPLETE, Ordering::Release);
    }

    /// To be called when the body of a response has failed: it will never be complete.
    pub(crate) fn fail(&self) {
        self.progress.store(FAILED, Ordering::Release);
    }

    /// To be called when a request was read to its end.
    pub(crate) fn end_request(&self) {
        // The body of an earlier request may outlive it.
        let _ = self.requests.compare_exchange(LAST, LAST_READ, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether the client must not send anything more: its last request was read to its end (RFC 9112 §9.6).
    pub(crate) fn is_client_done(&self) -> bool {
        self.requests.load(Ordering::Acquire) == LAST_READ && !self.is_upgraded()
    }

    /// Whether the last response has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.progress.load(Ordering::Acquire) == FAILED
    }

    /// Whether there is a request whose response is not complete.
    pub(crate) fn is_busy(&self) -> bool {
        self.progress.load(Ordering::Acquire) != COMPLETE
    }

    /// Whether any request was seen at all.
    pub(crate) fn is_known(&self) -> bool {
        self.requests.load(Ordering::Acquire) != NONE
    }

    pub(crate) fn set_framing(&self, framing: Framing) {
        self.framing.store(framing as u8, Ordering::Release);
    }

    /// How the last response is framed; unknown until its head is ready.
    pub(crate) fn framing(&self) -> Framing {
        match self.framing.load(Ordering::Acquire) {
            1 => Framing::Framed,
            2 => Framing::UntilClose,
            _ => Framing::Unknown,
        }
    }

    /// To be called when the connection goes on in another protocol, of which only the framing is known.
    pub(crate) fn upgrade(&self, framing: Framing) {
        self.set_framing(framing);
        self.upgraded.store(true, Ordering::Release);
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Acquire)
    }
}

/// Connections by the task that serves them: hyper calls the service of an HTTP/1 connection in that task.
/// Each request looks its connection up here. One lock for all of them would be contended, so there are many.
static BY_TASK: [LazyLock<Mutex<Shard>>; SHARDS] = [const { LazyLock::new(Mutex::default) }; SHARDS];

type Shard = HashMap<task::Id, Entry, BuildHasherDefault<IdHasher>>;

const SHARDS: usize = 32;

/// For ids that count up, which nobody can choose: one multiplication spreads them over all bits.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming, 6.4).
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

struct Entry {
    exchanges: Weak<Exchanges>,
    live: usize,
    /// A second connection was registered while the first was alive, so nobody can know which of them a
    /// request belongs to.
    ambiguous: bool,
}

/// The part of the registry for this task.
fn shard(id: task::Id) -> MutexGuard<'static, Shard> {
    let mut hasher = IdHasher::default();
    id.hash(&mut hasher);
    // The map takes the first and the last bits.
    let index = usize::try_from((hasher.finish() >> 32) % SHARDS as u64).unwrap_or(0);
    BY_TASK[index].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the request layers find a connection by the current task, until the registration is dropped. Does
/// nothing outside of a task.
pub(crate) fn register(exchanges: &Arc<Exchanges>) -> Registration {
    let task = task::try_id();
    if let Some(id) = task {
        shard(id)
            .entry(id)
            .and_modify(|entry| {
                entry.live += 1;
                entry.ambiguous = true;
            })
            .or_insert_with(|| Entry { exchanges: Arc::downgrade(exchanges), live: 1, ambiguous: false });
    }
    Registration { task }
}

/// The connection that this task serves, if it serves exactly one.
pub(crate) fn current() -> Option<Arc<Exchanges>> {
    let id = task::try_id()?;
    shard(id).get(&id).filter(|entry| !entry.ambiguous)?.exchanges.upgrade()
}

/// Keeps a connection in the registry until it is dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    task: Option<task::Id>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Some(id) = self.task else { return };
        let mut by_task = shard(id);
        if let Some(entry) = by_task.get_mut(&id) {
            entry.live -= 1;
            if entry.live == 0 {
                by_task.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_a_task_nothing_is_found() {
        let _registration = register(&Arc::default());
        assert!(current().is_none());
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test needs a task of its own")]
    async fn a_task_finds_its_one_connection_until_it_is_gone() {
        let served = task::spawn(async {
            let exchanges = Arc::default();
            let registration = register(&exchanges);
            assert!(Arc::ptr_eq(&current().expect("registered"), &exchanges));
            let second = register(&Arc::default());
            assert!(current().is_none(), "two connections in one task");
            drop(registration);
            let third = register(&exchanges);
            assert!(current().is_none(), "the second one and the third");
            drop((second, third));
            assert!(current().is_none());
            let _registration = register(&exchanges);
            assert!(current().is_some(), "the next one after all are gone");
        });
        served.await.expect("no panic");
    }
}
