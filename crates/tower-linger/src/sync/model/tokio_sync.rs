//! Tokio's `Notify` and `oneshot`, which never block: the scheduler has a choice before each use of them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

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

pub(crate) mod oneshot {
    use super::{Context, Future, Pin, Poll, switch};

    pub(crate) struct Sender<T>(tokio::sync::oneshot::Sender<T>);

    pub(crate) struct Receiver<T>(tokio::sync::oneshot::Receiver<T>);

    pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        (Sender(sender), Receiver(receiver))
    }

    impl<T> Sender<T> {
        pub(crate) fn send(self, value: T) -> Result<(), T> {
            switch();
            self.0.send(value)
        }
    }

    impl<T> Future for Receiver<T> {
        type Output = Result<T, tokio::sync::oneshot::error::RecvError>;

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            switch();
            Pin::new(&mut self.0).poll(cx)
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            switch();
        }
    }
}
