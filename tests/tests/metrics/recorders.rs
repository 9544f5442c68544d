//! Recorders that come late, and recorders that panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::duplex;
use tower_linger::{ClosePolicy, LingerLayer, metrics as names};
use tower_linger_tests::server::reporting;
use tower_linger_tests::until::until;

use crate::scrape::Scrape;

/// One that was installed after the first connection has the right gauges with the next one.
#[tokio::test]
async fn a_recorder_that_comes_late_gets_the_gauges_whole() {
    let linger = LingerLayer::default().named("late");
    let (peers, mut lent): (Vec<_>, Vec<_>) =
        (0..3).map(|_| duplex(16)).map(|(peer, io)| (peer, linger.wrap(io))).unzip();

    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _installed = metrics::set_default_local_recorder(&recorder);
    names::describe();
    drop(peers);
    lent.pop();
    until("it is closed", || linger.tracker().summary().total() == 1).await;
    let scrape = Scrape::read(&handle.render(), "late");
    assert_eq!(scrape.gauges(), (Some(2.0), Some(0.0)), "{scrape:?}");
    drop(lent);
    linger.tracker().wait().await;
    handle.run_upkeep();
    Scrape::read(&handle.render(), "late").assert_agrees("late", linger.tracker());
}

/// It panics whenever it is asked for a metric.
struct Panics(Arc<AtomicUsize>);

impl Panics {
    fn panic(&self) -> ! {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("a recorder, on purpose")
    }
}

impl Recorder for Panics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.panic()
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.panic()
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.panic()
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        self.panic()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        self.panic()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        self.panic()
    }
}

#[tokio::test]
async fn a_recorder_that_panics_takes_no_connection_and_no_count() {
    let panics = Arc::new(AtomicUsize::new(0));
    let (linger, mut reports) = reporting(ClosePolicy::default());
    let linger = linger.named("panicking");
    {
        let recorder = Panics(panics.clone());
        let _installed = metrics::set_default_local_recorder(&recorder);
        let (peer, io) = duplex(16);
        drop(peer);
        drop(linger.wrap(io));
        linger.tracker().wait().await;
        let _ = reports.recv().await.expect("it is reported");
        assert_eq!((linger.tracker().len(), linger.tracker().summary().total()), (0, 1));
        assert!(panics.load(Ordering::SeqCst) >= 6, "it is asked at each turn");
        // Also while a handler panics.
        let (_peer, io) = duplex(16);
        let lent = linger.wrap(io);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _lent = lent;
            panic!("a handler, on purpose")
        }));
        assert!(panicked.is_err());
        linger.tracker().wait().await;
        assert_eq!(linger.tracker().summary().total(), 2);
    }
    // What it did not take is not lost: the next recorder has the gauges.
    let recorder = PrometheusBuilder::new().build_recorder();
    let _installed = metrics::set_default_local_recorder(&recorder);
    let (peer, io) = duplex(16);
    let lent = linger.wrap(io);
    let scrape = Scrape::read(&recorder.handle().render(), "panicking");
    assert_eq!(scrape.get(names::SERVED), Some(1.0), "{scrape:?}");
    drop((peer, lent));
    linger.tracker().wait().await;
    let scrape = Scrape::read(&recorder.handle().render(), "panicking");
    assert_eq!(scrape.gauges(), (Some(0.0), Some(0.0)), "{scrape:?}");
}
