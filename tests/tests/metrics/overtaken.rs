//! Threads may come to the recorder in another order than they have counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tokio::io::duplex;
use tower_linger::{LingerLayer, metrics as names};

/// Keeps the gauges. The first time that one is set, it is overtaken: something else happens before it is.
#[derive(Clone, Default)]
struct Overtaken(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    gauges: BTreeMap<String, f64>,
    meanwhile: Option<Box<dyn FnOnce() + Send>>,
}

struct OneGauge(Overtaken, String);

impl GaugeFn for OneGauge {
    fn increment(&self, _: f64) {
        unreachable!("gauges are set")
    }

    fn decrement(&self, _: f64) {
        unreachable!("gauges are set")
    }

    fn set(&self, value: f64) {
        let meanwhile = self.0.lock().meanwhile.take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        self.0.lock().gauges.insert(self.1.clone(), value);
    }
}

impl Overtaken {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder for Overtaken {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(OneGauge(self.clone(), key.name().to_owned())))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn a_gauge_that_was_overtaken_is_set_once_more() {
    let recorder = Overtaken::default();
    let _installed = metrics::set_default_local_recorder(&recorder);
    let linger = LingerLayer::default().named("overtaken");
    let (_peer, first) = duplex(16);
    let (_peer, second) = duplex(16);
    // The second connection is counted, and told, while the first one is being told.
    let held = Arc::new(Mutex::new(None));
    let (kept, other) = (held.clone(), linger.clone());
    recorder.lock().meanwhile = Some(Box::new(move || {
        *kept.lock().expect("no panic") = Some(other.wrap(second));
    }));
    let first = linger.wrap(first);
    assert!(held.lock().expect("no panic").is_some());
    assert_eq!(recorder.lock().gauges[names::SERVED], 2.0);
    drop(first.into_inner());
    assert_eq!(recorder.lock().gauges[names::SERVED], 1.0);
    drop(held.lock().expect("no panic").take().map(tower_linger::LingerIo::into_inner));
    assert_eq!(recorder.lock().gauges[names::SERVED], 0.0);
}
