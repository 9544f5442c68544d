//! Tokio's `Notify`, which never blocks: the scheduler has a choice before each use of it.

/// Lets the scheduler choose who goes on.
pub(crate) fn switch() {
    shuttle::thread::sleep(std::time::Duration::ZERO);
}

#[derive(Debug)]
pub(crate) struct Notify(tokio::sync::Notify);

impl Notify {
    pub(crate) fn new() -> Self {
        Self(tokio::sync::Notify::new())
    }

    pub(crate) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        switch();
        self.0.notified()
    }

    pub(crate) fn notify_waiters(&self) {
        switch();
        self.0.notify_waiters();
    }
}
