//! What the server's process counts by itself, apart from the library: accepts, reports, panics, and how many
//! closes are in each phase.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::net::{TcpListener, TcpStream};
use tower_linger::Listener;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// What a panic that a test causes says. Every other panic is a fault.
pub(crate) const ON_PURPOSE: &str = "on purpose";

/// The books of this process.
pub(crate) static BOOKS: Books = Books::new();

pub(crate) struct Books {
    accepts: AtomicU64,
    reports: AtomicU64,
    /// How often a connection of the loops was reported, by its number.
    each: Mutex<BTreeMap<u64, u64>>,
    caused_panics: AtomicU64,
    other_panics: Mutex<Vec<String>>,
    phases: Mutex<BTreeMap<String, i64>>,
}

impl Books {
    const fn new() -> Self {
        Self {
            accepts: AtomicU64::new(0),
            reports: AtomicU64::new(0),
            each: Mutex::new(BTreeMap::new()),
            caused_panics: AtomicU64::new(0),
            other_panics: Mutex::new(Vec::new()),
            phases: Mutex::new(BTreeMap::new()),
        }
    }

    /// Counts an accept, and returns the number of its connection.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepts.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn reported(&self) {
        self.reports.fetch_add(1, Ordering::SeqCst);
    }

    /// Opens the account of a connection that is to be reported once.
    pub(crate) fn expect(&self, number: u64) {
        lock(&self.each).insert(number, 0);
    }

    pub(crate) fn reported_once_more(&self, number: u64) {
        self.reported();
        *lock(&self.each).entry(number).or_default() += 1;
    }

    /// The connections of the loops that were not reported exactly once.
    fn wrong(&self) -> Vec<String> {
        let each = lock(&self.each);
        let wrong = each.iter().filter(|(_, times)| **times != 1);
        wrong.map(|(number, times)| format!("connection {number}: {times} reports")).collect()
    }

    /// Everything, as the test reads it.
    pub(crate) fn tell(&self) -> serde_json::Value {
        serde_json::json!({
            "accepts": self.accepts.load(Ordering::SeqCst),
            "reports": self.reports.load(Ordering::SeqCst),
            "wrong": self.wrong(),
            "caused_panics": self.caused_panics.load(Ordering::SeqCst),
            "other_panics": *lock(&self.other_panics),
            "phases": *lock(&self.phases),
        })
    }

    /// Counts panics from now on, and reads the library's events.
    pub(crate) fn open(&'static self, subscriber_panics: bool) {
        std::panic::set_hook(Box::new(|panic| self.panicked(panic)));
        SUBSCRIBER_PANICS.store(subscriber_panics, Ordering::SeqCst);
        tracing::subscriber::set_global_default(Phases).expect("it is the only one");
    }

    fn panicked(&self, panic: &PanicHookInfo<'_>) {
        let said = panic.payload();
        let said = said.downcast_ref::<String>().map(String::as_str).or_else(|| said.downcast_ref().copied());
        if said.is_some_and(|said: &str| said.contains(ON_PURPOSE)) {
            self.caused_panics.fetch_add(1, Ordering::SeqCst);
        } else {
            eprintln!("{panic}");
            lock(&self.other_panics).push(panic.to_string());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the subscriber panics at each close.
static SUBSCRIBER_PANICS: AtomicBool = AtomicBool::new(false);

/// Counts the closes in each phase by the library's events.
struct Phases;

impl Subscriber for Phases {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tower_linger" && *metadata.level() <= Level::TRACE
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Self::panic();
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {
        Self::panic();
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut change = Change::default();
        event.record(&mut change);
        if let (Some(from), Some(to)) = (change.from, change.to) {
            let mut phases = lock(&BOOKS.phases);
            *phases.entry(from).or_default() -= 1;
            *phases.entry(to).or_default() += 1;
        }
        Self::panic();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Phases {
    fn panic() {
        assert!(!SUBSCRIBER_PANICS.load(Ordering::SeqCst), "a subscriber, {ON_PURPOSE}");
    }
}

#[derive(Default)]
struct Change {
    from: Option<String>,
    to: Option<String>,
}

impl Visit for Change {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "from" => self.from = Some(value.to_owned()),
            "to" => self.to = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Counts what a listener accepts.
pub(crate) struct Counted(pub(crate) TcpListener);

impl Listener for Counted {
    type Io = TcpStream;
    type Address = SocketAddr;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = ready!(Listener::poll_accept(&mut self.0, cx));
        if accepted.is_ok() {
            BOOKS.accepted();
        }
        Poll::Ready(accepted)
    }

    fn set_refuses_new(&mut self, refuses: bool) -> bool {
        self.0.set_refuses_new(refuses)
    }

    /// No other process has the socket: as `ExclusiveListener` does it.
    fn close(self) {}
}
