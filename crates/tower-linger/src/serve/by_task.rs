//! In which task each connection is served: so the request layers find it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash as _, Hasher};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use tokio::task;

use crate::serve::connection::Connection;

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
            self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming, 6.4).
        self.0 = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl IdHasher {
    /// Of the bits between those that a map takes, the first and the last.
    fn shard(&self) -> usize {
        usize::try_from((self.0 >> 32) % SHARDS as u64).unwrap_or(0)
    }
}

struct Entry {
    connection: Weak<Connection>,
    live: usize,
    /// A second connection was registered while the first was alive, so nobody can know which of them a
    /// request belongs to.
    ambiguous: bool,
}

/// The part of the registry for this task.
fn shard(id: task::Id) -> MutexGuard<'static, Shard> {
    let mut hasher = IdHasher::default();
    id.hash(&mut hasher);
    BY_TASK[hasher.shard()].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the request layers find a connection by the current task, until the registration is dropped. Does
/// nothing outside of a task.
pub(crate) fn register(connection: &Arc<Connection>) -> Registration {
    let task = task::try_id();
    if let Some(id) = task {
        shard(id)
            .entry(id)
            .and_modify(|entry| {
                entry.live += 1;
                entry.ambiguous = true;
            })
            .or_insert_with(|| Entry { connection: Arc::downgrade(connection), live: 1, ambiguous: false });
    }
    Registration { task }
}

/// The connection that this task serves, if it serves exactly one.
pub(crate) fn current() -> Option<Arc<Connection>> {
    let id = task::try_id()?;
    shard(id).get(&id).filter(|entry| !entry.ambiguous)?.connection.upgrade()
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
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_that_count_up_are_spread_over_the_shards() {
        let hashed = |number| {
            let mut hasher = IdHasher::default();
            hasher.write_u64(number);
            hasher
        };
        let mut counts = [0; SHARDS];
        for number in 1..=100 * SHARDS as u64 {
            counts[hashed(number).shard()] += 1;
        }
        assert!(counts.iter().all(|count| (90..=110).contains(count)), "{counts:?}");
        let different: HashSet<_> = (0..1_000).map(|number| hashed(number).finish()).collect();
        assert_eq!(different.len(), 1_000);
    }

    #[test]
    fn other_bytes_have_another_hash() {
        let hashes: HashSet<_> = (0..=u16::MAX)
            .map(|number| {
                let mut hasher = IdHasher::default();
                hasher.write(&number.to_le_bytes());
                hasher.finish()
            })
            .collect();
        assert_eq!(hashes.len(), 1 << 16);
    }

    #[test]
    fn outside_of_a_task_nothing_is_found() {
        let _registration = register(&Arc::default());
        assert!(current().is_none());
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test needs a task of its own")]
    async fn a_task_finds_its_one_connection_until_it_is_gone() {
        let served = task::spawn(async {
            let connection = Arc::default();
            let registration = register(&connection);
            assert!(Arc::ptr_eq(&current().expect("registered"), &connection));
            let second = register(&Arc::default());
            assert!(current().is_none(), "two connections in one task");
            drop(registration);
            let third = register(&connection);
            assert!(current().is_none(), "the second one and the third");
            drop((second, third));
            assert!(current().is_none());
            let _registration = register(&connection);
            assert!(current().is_some(), "the next one after all are gone");
        });
        served.await.expect("no panic");
    }
}
