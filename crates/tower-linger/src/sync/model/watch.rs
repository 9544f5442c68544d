//! Tokio's `watch`. Its own lock would block the one thread that all run on: `send_modify` calls us under it.

use std::ops::Deref;
use std::sync::{Arc, PoisonError};

use shuttle::sync::RwLock;
use tokio::sync::Notify;

#[derive(Debug)]
struct Shared<T> {
    /// The value, and how often it was changed.
    value: RwLock<(T, usize)>,
    changed: Notify,
}

impl<T: Copy> Shared<T> {
    fn get(&self) -> (T, usize) {
        *self.value.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a value that a test keeps until its end.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Shared<T>>);

#[derive(Debug)]
pub(crate) struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: usize,
}

/// A copy of the value, where tokio lends it.
pub(crate) struct Ref<T>(T);

/// No sender ends before its receivers here.
#[derive(Debug)]
pub(crate) enum RecvError {}

impl<T: Copy> Sender<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(Shared { value: RwLock::new((value, 0)), changed: Notify::new() }))
    }

    pub(crate) fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        let mut value = self.0.value.write().unwrap_or_else(PoisonError::into_inner);
        modify(&mut value.0);
        value.1 += 1;
        drop(value);
        self.0.changed.notify_waiters();
    }

    pub(crate) fn borrow(&self) -> Ref<T> {
        Ref(self.0.get().0)
    }

    pub(crate) fn subscribe(&self) -> Receiver<T> {
        Receiver { shared: self.0.clone(), seen: self.0.get().1 }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Copy> Receiver<T> {
    pub(crate) async fn wait_for(&mut self, is_wanted: impl Fn(&T) -> bool) -> Result<Ref<T>, RecvError> {
        loop {
            let changed = self.shared.changed.notified();
            let (value, version) = self.shared.get();
            self.seen = version;
            if is_wanted(&value) {
                return Ok(Ref(value));
            }
            changed.await;
        }
    }

    pub(crate) async fn changed(&mut self) -> Result<(), RecvError> {
        loop {
            let changed = self.shared.changed.notified();
            let (_, version) = self.shared.get();
            if version != self.seen {
                self.seen = version;
                return Ok(());
            }
            changed.await;
        }
    }
}

impl<T> Deref for Ref<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
