//! The metrics of one listener, and how a recorder is told of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::mem::discriminant;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use linger_proto::{CloseReport, Outcome, Phase};
use metrics::{Key, Label, Level, Metadata, Recorder, SharedString, with_recorder};

use crate::metrics as names;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// One for each name in the process. The recorder is asked for each metric anew, because it may be installed
/// at any time, and another one may be set for a while.
pub(super) struct ListenerMetrics {
    label: Label,
    served: Gauge,
    lingering: Gauge,
    limit: Key,
    /// Of closes without a failure, by outcome and phase, made when one of them occurs first.
    closes: Box<[[OnceLock<Key>; Phase::ALL.len()]]>,
    duration: Key,
    drained: Key,
    is_described: AtomicBool,
}

const METADATA: Metadata<'_> = Metadata::new("tower_linger", Level::INFO, Some(module_path!()));

impl ListenerMetrics {
    /// The listener of this name, the same for all layers that have it: a gauge is set, so two that count for
    /// themselves would overwrite each other.
    pub(super) fn named(name: &str) -> Arc<Self> {
        static LISTENERS: Mutex<BTreeMap<String, Arc<ListenerMetrics>>> = Mutex::new(BTreeMap::new());
        if cfg!(all(test, tower_linger_shuttle)) {
            // The atomics of a model are of one execution.
            return Arc::new(Self::new(name));
        }
        let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = listeners.get(name) {
            return known.clone();
        }
        let listener = Arc::new(Self::new(name));
        listeners.insert(name.to_owned(), listener.clone());
        listener
    }

    fn new(name: &str) -> Self {
        let label = Label::new("listener", SharedString::from_shared(name.into()));
        let key = |metric: &'static str| Key::from_parts(metric, vec![label.clone()]);
        Self {
            served: Gauge::new(key(names::SERVED)),
            lingering: Gauge::new(key(names::LINGERING)),
            limit: key(names::LINGERING_LIMIT),
            closes: Outcome::ALL.iter().map(|_| Default::default()).collect(),
            duration: key(names::CLOSE_DURATION),
            drained: key(names::DRAINED),
            is_described: AtomicBool::new(false),
            label,
        }
    }

    pub(super) fn accepted(&self) {
        if !self.is_described.swap(true, Ordering::Relaxed) {
            guard(names::describe);
        }
        self.served.add(1);
    }

    pub(super) fn taken_away(&self) {
        self.served.subtract(1);
    }

    pub(super) fn handed_back(&self, limit: Option<NonZeroUsize>) {
        self.served.value.fetch_sub(1, Ordering::Relaxed);
        self.lingering.value.fetch_add(1, Ordering::Relaxed);
        set([&self.served, &self.lingering]);
        self.tell_limit(limit);
    }

    pub(super) fn close_begins(&self, limit: Option<NonZeroUsize>) {
        self.lingering.add(1);
        self.tell_limit(limit);
    }

    fn tell_limit(&self, limit: Option<NonZeroUsize>) {
        if let Some(limit) = limit {
            tell(|recorder| recorder.register_gauge(&self.limit, &METADATA).set(float(limit.get() as u64)));
        }
    }

    pub(super) fn released(&self) {
        self.lingering.subtract(1);
    }

    pub(super) fn closed(&self, report: &CloseReport) {
        let closes = match self.known(report) {
            Some(known) => Cow::Borrowed(known.get_or_init(|| self.closes(report))),
            None => Cow::Owned(self.closes(report)),
        };
        let unacked = is_cut_short(report)
            .then(|| Key::from_parts(names::UNACKED, vec![self.label.clone(), outcome(report)]));
        tell(|recorder| {
            recorder.register_counter(&closes, &METADATA).increment(1);
            let duration = recorder.register_histogram(&self.duration, &METADATA);
            duration.record(report.total_time().as_secs_f64());
            recorder.register_histogram(&self.drained, &METADATA).record(float(report.bytes_drained));
            if let Some(unacked) = unacked {
                recorder.register_counter(&unacked, &METADATA).increment(1);
            }
        });
    }

    /// Where the key of this close is kept, if it is a usual one.
    fn known(&self, report: &CloseReport) -> Option<&OnceLock<Key>> {
        let is_this = |outcome: &Outcome| discriminant(outcome) == discriminant(&report.outcome);
        let outcome = Outcome::ALL.iter().position(is_this).filter(|_| report.failure.is_none())?;
        Some(&self.closes[outcome][report.ended_in as usize])
    }

    fn closes(&self, report: &CloseReport) -> Key {
        let labels = vec![
            self.label.clone(),
            outcome(report),
            Label::from_static_parts("phase", report.ended_in.as_str()),
            Label::from_static_parts("reason", report.failure.map_or(NONE, |failure| failure.as_str())),
        ];
        Key::from_parts(names::CLOSES, labels)
    }

    pub(super) fn handshake_failed(&self, reason: &'static str) {
        let labels = vec![self.label.clone(), Label::from_static_parts("reason", reason)];
        let failures = Key::from_parts(names::HANDSHAKE_FAILURES, labels);
        tell(|recorder| recorder.register_counter(&failures, &METADATA).increment(1));
    }
}

fn outcome(report: &CloseReport) -> Label {
    Label::from_static_parts("outcome", report.outcome.as_str())
}

/// Whether what is not acknowledged yet is no loss: the kernel brings it to a peer that has closed, or that
/// has nothing more to send, and to one that another process serves.
pub(super) fn is_on_its_way(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::PeerClosed { .. } | Outcome::PeerDone | Outcome::LeftOpen)
}

/// Whether the peer may have lost the end of what was sent. Many clients close as soon as they have the
/// response, so that nobody is left to acknowledge our `close_notify`, which is no loss.
fn is_cut_short(report: &CloseReport) -> bool {
    let needless = if report.sent_close_notify { LONGEST_CLOSE_NOTIFY } else { 0 };
    report.unacked.is_some_and(|bytes| bytes > needless) && !is_on_its_way(report.outcome)
}

/// TLS 1.2 with AES-GCM has the longest record: header 5, nonce 8, alert 2, tag 16 (RFC 5246, RFC 5288). With
/// TLS 1.3 it is 24 bytes.
const LONGEST_CLOSE_NOTIFY: u64 = 31;

/// The reason of what did not fail.
const NONE: &str = "none";

/// A gauge that a recorder always gets whole. If it were told only the changes, one that was installed after
/// the first connection would go below zero.
struct Gauge {
    key: Key,
    value: AtomicU64,
}

impl Gauge {
    const fn new(key: Key) -> Self {
        Self { key, value: AtomicU64::new(0) }
    }

    fn add(&self, count: u64) {
        self.value.fetch_add(count, Ordering::Relaxed);
        set([self]);
    }

    fn subtract(&self, count: u64) {
        self.value.fetch_sub(count, Ordering::Relaxed);
        set([self]);
    }

    fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

/// Tells the recorder what was counted. Threads may come to it in another order than they have counted. So
/// each looks at the counts once more afterwards, and the last one to set a gauge has set it to what is
/// counted. The fences put what was counted before what is set, and what was set before that look, in one
/// order for all threads.
fn set<const GAUGES: usize>(gauges: [&Gauge; GAUGES]) {
    fence(Ordering::SeqCst);
    let mut counted = gauges.map(Gauge::get);
    loop {
        tell(|recorder| {
            for (gauge, count) in gauges.iter().zip(counted) {
                recorder.register_gauge(&gauge.key, &METADATA).set(float(count));
            }
        });
        fence(Ordering::SeqCst);
        let now = gauges.map(Gauge::get);
        if now == counted {
            return;
        }
        counted = now;
    }
}

/// Tells the recorder, without holding any lock.
fn tell(what: impl FnOnce(&dyn Recorder)) {
    guard(|| with_recorder(what));
}

/// If the recorder panics, the connection and its count go on, and a process that is unwinding already does
/// not abort. The panic hook has printed the panic.
fn guard(tell: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(tell));
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and metrics are floating-point numbers")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_and_a_close_notify_that_nobody_acknowledged_are_no_loss() {
        let closed = Outcome::PeerClosed { close_notify: false };
        for (outcome, sent_close_notify, unacked, expected) in [
            (Outcome::PeerReset, true, Some(24), false),
            (Outcome::PeerReset, true, Some(32), true),
            (Outcome::PeerReset, false, Some(1), true),
            (Outcome::DrainDeadline, false, Some(0), false),
            (Outcome::DrainDeadline, false, None, false),
            (closed, false, Some(1000), false),
            (Outcome::PeerDone, false, Some(1000), false),
            (Outcome::LeftOpen, false, Some(1000), false),
            (Outcome::Undrained, false, Some(1000), true),
        ] {
            let mut report = CloseReport::without_close(outcome);
            (report.sent_close_notify, report.unacked) = (sent_close_notify, unacked);
            assert_eq!(is_cut_short(&report), expected, "{report:?}");
        }
    }
}
