//! A clock that stands still until a thread of the test moves it on to the next time that somebody waits for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use shuttle::current::{TaskId, get_current_task};
use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread::{self, JoinHandle, Thread};

use super::runtime::Handle;

/// Time does not pass further. Whoever waits for longer waits for something else than the clock, and is found
/// to be stuck if that does not come.
const HORIZON: Duration = Duration::from_secs(60 * 60);

/// Never borrowed where a scheduler could choose another thread.
struct Clock {
    began: Instant,
    passed: Duration,
    sleepers: BTreeMap<u64, (Instant, Waker)>,
    next_id: u64,
    /// Wakes the thread that lets the time pass.
    passing: Option<Waker>,
    /// That thread, if it is to go on only when nobody else can.
    patient: Option<TaskId>,
}

thread_local! {
    static CLOCK: RefCell<Clock> = RefCell::new(Clock {
        began: began(),
        passed: Duration::ZERO,
        sleepers: BTreeMap::new(),
        next_id: 0,
        passing: None,
        patient: None,
    });
}

#[expect(clippy::disallowed_methods, reason = "some instant to count from")]
fn began() -> Instant {
    Instant::now()
}

pub(super) fn begin() {
    let forgotten = with(|clock| {
        clock.passed = Duration::ZERO;
        clock.passing = None;
        clock.patient = None;
        mem::take(&mut clock.sleepers)
    });
    drop(forgotten);
}

fn with<R>(act: impl FnOnce(&mut Clock) -> R) -> R {
    CLOCK.with_borrow_mut(act)
}

pub(crate) fn now() -> Instant {
    with(|clock| clock.began + clock.passed)
}

/// The thread that is to go on only when nobody else can.
pub(crate) fn patient() -> Option<TaskId> {
    with(|clock| clock.patient)
}

/// Lets the time pass until it is stopped, to the next time that somebody sleeps until: at any moment,
/// whatever else could go on, or only when nothing else can.
pub(crate) struct Time {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Time {
    pub(crate) fn start(is_patient: bool) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = is_over.clone();
        let thread = thread::spawn(move || {
            with(|clock| clock.patient = get_current_task().filter(|_| is_patient));
            block_on(poll_fn(|cx| {
                with(|clock| clock.passing = Some(cx.waker().clone()));
                while !seen.load(Ordering::SeqCst) {
                    let due = with(Clock::pass);
                    if due.is_empty() {
                        return Poll::Pending;
                    }
                    due.into_iter().for_each(Waker::wake);
                }
                Poll::Ready(())
            }));
        });
        Self { is_over, thread }
    }

    pub(crate) fn stop(self) {
        self.is_over.store(true, Ordering::SeqCst);
        wake_time();
        self.thread.join().expect("time does not panic");
    }
}

impl Clock {
    /// Comes to the next time that somebody sleeps until. Returns who is to be woken for it.
    fn pass(&mut self) -> Vec<Waker> {
        let next = self.sleepers.values().map(|(deadline, _)| *deadline).min();
        let Some(next) = next.filter(|next| *next <= self.began + HORIZON) else { return Vec::new() };
        self.passed = self.passed.max(next - self.began);
        let (due, later) =
            mem::take(&mut self.sleepers).into_iter().partition(|(_, (deadline, _))| *deadline <= next);
        self.sleepers = later;
        BTreeMap::into_values(due).map(|(_, waker)| waker).collect()
    }
}

/// As tokio's: a future that completes at its time.
#[derive(Debug)]
pub(crate) struct Sleep {
    id: u64,
    deadline: Instant,
}

/// As tokio's, it panics in a runtime without timers.
pub(crate) fn sleep_until(deadline: Instant) -> Sleep {
    let has_timers = Handle::try_current().is_ok_and(|runtime| runtime.has_timers());
    assert!(has_timers, "there is no runtime with timers");
    Sleep { id: new_id(), deadline }
}

fn new_id() -> u64 {
    with(|clock| {
        clock.next_id += 1;
        clock.next_id
    })
}

impl Sleep {
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(crate) fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        forget(self.id);
        self.deadline = deadline;
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline <= now() {
            forget(self.id);
            return Poll::Ready(());
        }
        sleep(self.id, self.deadline, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        forget(self.id);
    }
}

fn sleep(id: u64, deadline: Instant, waker: Waker) {
    let replaced = with(|clock| clock.sleepers.insert(id, (deadline, waker)));
    drop(replaced);
    wake_time();
}

fn wake_time() {
    let passing = with(|clock| clock.passing.clone());
    passing.into_iter().for_each(Waker::wake);
}

fn forget(id: u64) {
    let forgotten = with(|clock| clock.sleepers.remove(&id));
    drop(forgotten);
}

/// Blocks the thread until it is unparked or the time has come.
pub(crate) fn park_until(deadline: Instant) {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    if deadline > now() {
        let id = new_id();
        sleep(id, deadline, Waker::from(Arc::new(Unpark(thread::current()))));
        thread::park();
        forget(id);
    }
}
