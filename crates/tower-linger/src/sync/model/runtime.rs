//! Runtimes as far as this crate sees them: they have tasks, they can end, and some have no timers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::task::{Context, Poll, Waker};

use shuttle::current::{TaskId, get_current_task};
use shuttle::sync::Mutex;

thread_local! {
    /// The runtimes that each thread or task has entered. Never borrowed where a scheduler could choose
    /// another one.
    static ENTERED: RefCell<Entered> = RefCell::default();
}

#[derive(Default)]
struct Entered {
    by_task: HashMap<TaskId, Vec<Handle>>,
    next_id: u64,
}

pub(super) fn begin() {
    drop(ENTERED.take());
}

/// As tokio's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(u64);

/// As tokio's.
#[derive(Clone)]
pub(crate) struct Handle(Arc<Shared>);

struct Shared {
    id: Id,
    has_timers: bool,
    /// Never held where a scheduler could choose another thread.
    tasks: StdMutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    has_ended: bool,
    live: Vec<Arc<Task>>,
}

struct Task {
    /// Held while it is polled: an end of the runtime waits for that, as tokio's does.
    future: Mutex<Option<BoxedFuture>>,
    waker: StdMutex<Option<Waker>>,
}

type BoxedFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What `spawn` returns. Nobody waits for it.
pub(crate) struct Spawned;

/// A runtime; it ends when its owner says so.
pub(crate) struct Runtime(Handle);

/// As tokio's, until it is dropped.
pub(crate) struct EnterGuard(());

impl Runtime {
    pub(crate) fn new(has_timers: bool) -> Self {
        let id = ENTERED.with_borrow_mut(|entered| {
            entered.next_id += 1;
            Id(entered.next_id)
        });
        Self(Handle(Arc::new(Shared { id, has_timers, tasks: StdMutex::default() })))
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.0
    }

    /// Drops all tasks, one after the other, in the runtime; takes no others any more.
    pub(crate) fn shut_down(self) {
        let tasks = self.0.tasks(|tasks| {
            tasks.has_ended = true;
            mem::take(&mut tasks.live)
        });
        let _entered = self.0.enter();
        for task in tasks {
            let future = task.lock().take();
            drop(future);
            let waker = task.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

impl Handle {
    pub(crate) fn try_current() -> Result<Self, ()> {
        let task = get_current_task();
        ENTERED.with_borrow(|entered| {
            task.and_then(|task| entered.by_task.get(&task)?.last().cloned()).ok_or(())
        })
    }

    pub(crate) fn id(&self) -> Id {
        self.0.id
    }

    pub(super) fn has_timers(&self) -> bool {
        self.0.has_timers
    }

    pub(crate) fn enter(&self) -> EnterGuard {
        let task = get_current_task().expect("a thread of the test");
        ENTERED.with_borrow_mut(|entered| entered.by_task.entry(task).or_default().push(self.clone()));
        EnterGuard(())
    }

    pub(crate) fn spawn<F: Future + Send + 'static>(&self, future: F) -> Spawned {
        let future: BoxedFuture = Box::pin(async move { drop(future.await) });
        let task = Arc::new(Task { future: Mutex::new(Some(future)), waker: StdMutex::default() });
        let is_refused = self.tasks(|tasks| {
            if !tasks.has_ended {
                tasks.live.push(task.clone());
            }
            tasks.has_ended
        });
        if is_refused {
            let _entered = self.enter();
            drop(task);
        } else {
            drop(shuttle::future::spawn(Running { runtime: self.clone(), task }));
        }
        Spawned
    }

    fn tasks<R>(&self, act: impl FnOnce(&mut Tasks) -> R) -> R {
        act(&mut self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        let left = get_current_task()
            .and_then(|task| ENTERED.with_borrow_mut(|entered| entered.by_task.get_mut(&task)?.pop()));
        drop(left);
    }
}

impl Task {
    fn lock(&self) -> shuttle::sync::MutexGuard<'_, Option<BoxedFuture>> {
        self.future.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task of a runtime, as the scheduler runs it.
struct Running {
    runtime: Handle,
    task: Arc<Task>,
}

impl Future for Running {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _entered = self.runtime.enter();
        *self.task.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        let mut future = self.task.lock();
        let is_over = future.as_mut().is_none_or(|future| future.as_mut().poll(cx).is_ready());
        if is_over {
            let ended = future.take();
            drop(future);
            drop(ended);
            self.runtime.tasks(|tasks| tasks.live.retain(|task| !Arc::ptr_eq(task, &self.task)));
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
