//! Each close is one count, with the labels of its report.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::duplex;
use tokio::sync::mpsc::UnboundedReceiver;
use tower_linger::{ClosePolicy, ClosePolicyBuilder, CloseReport, LingerLayer, Phase, metrics};
use tower_linger_tests::scripted::Script;
use tower_linger_tests::server::reporting;

use crate::scrape::{Scrape, install, text};

const SECOND: Duration = Duration::from_secs(1);

/// The layer of a listener, by a policy, and its reports.
fn layer(
    name: &'static str,
    set: impl FnOnce(ClosePolicyBuilder) -> ClosePolicyBuilder,
) -> (LingerLayer, UnboundedReceiver<CloseReport>) {
    let (linger, reports) = reporting(set(ClosePolicy::builder()).build().expect("a policy"));
    (linger.named(name), reports)
}

/// Closes a connection whose peer ends in this way.
async fn close_with(linger: &LingerLayer, end: impl FnOnce(&Script)) {
    let (script, io) = Script::new();
    end(&script);
    let _report = linger.close(io).await;
}

/// A peer that sends a byte each second.
async fn close_trickling(linger: &LingerLayer) {
    let (script, io) = Script::new();
    let trickle = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(SECOND);
        loop {
            ticks.tick().await;
            script.send(1);
        }
    });
    let _report = linger.close(io).await;
    trickle.abort();
}

#[tokio::test(start_paused = true)]
async fn each_close_is_counted_once_by_the_outcome_phase_and_failure_of_its_report() {
    const NAME: &str = "outcomes";
    install();
    let mut reports = Vec::new();
    let mut totals = BTreeMap::new();

    let (linger, mut told) = layer(NAME, |policy| policy);
    let (peer, io) = duplex(16);
    drop(peer);
    let _report = linger.close(io).await;
    for kind in [
        ErrorKind::ConnectionReset,
        ErrorKind::HostUnreachable,
        ErrorKind::TimedOut,
        ErrorKind::ConnectionAborted,
        ErrorKind::StorageFull,
    ] {
        close_with(&linger, |script| script.fail(Phase::Drain, kind)).await;
    }
    close_with(&linger, |script| script.fail(Phase::Flush, ErrorKind::BrokenPipe)).await;
    close_with(&linger, |script| script.stick(Phase::Flush)).await;
    close_with(&linger, |_| {}).await;
    close_with(&linger, |script| script.send(u64::MAX)).await;
    close_trickling(&linger).await;
    let (_peer, io) = duplex(16);
    linger.wrap(io).abort();
    linger.tracker().wait().await;
    let (_peer, io) = duplex(16);
    drop(linger.wrap(io));
    linger.tracker().shutdown(Duration::ZERO).await;
    let mut collect = |linger: &LingerLayer, told: &mut UnboundedReceiver<CloseReport>| {
        reports.extend(std::iter::from_fn(|| told.try_recv().ok()));
        for (outcome, count) in linger.tracker().summary().iter() {
            *totals.entry(outcome.to_owned()).or_insert(0.0) += f64::from(u32::try_from(count).expect("few"));
        }
    };
    collect(&linger, &mut told);
    for set in [
        ClosePolicyBuilder::without_drain as fn(ClosePolicyBuilder) -> ClosePolicyBuilder,
        ClosePolicyBuilder::without_half_close,
        |policy| policy.drain_min_rate(1000, SECOND),
    ] {
        let (linger, mut told) = layer(NAME, set);
        close_trickling(&linger).await;
        collect(&linger, &mut told);
    }

    let scrape = Scrape::of(NAME);
    assert_eq!(scrape.by(metrics::CLOSES, "outcome"), totals);
    assert!(totals.len() >= 14, "this many outcomes are tried: {totals:?}");
    assert_eq!(scrape.gauges(), (Some(0.0), Some(0.0)));
    let mut expected = BTreeMap::new();
    for report in &reports {
        let reason = report.failure.map_or("none", |failure| failure.as_str());
        let labels =
            format!("outcome=\"{}\",phase=\"{}\",reason=\"{reason}\"", report.outcome, report.ended_in);
        *expected.entry(format!("{}{{{labels}}}", metrics::CLOSES)).or_insert(0.0) += 1.0;
    }
    for (series, count) in &expected {
        assert_eq!(scrape.get(series), Some(*count), "{series}: {scrape:?}");
    }
    let seconds: f64 = reports.iter().map(|report| report.total_time().as_secs_f64()).sum();
    let recorded = scrape.get(&format!("{}_sum", metrics::CLOSE_DURATION)).expect("a histogram");
    assert!((recorded - seconds).abs() < 1e-6 && seconds > 40.0, "{recorded} and {seconds} seconds");
    let drained: u64 = reports.iter().map(|report| report.bytes_drained).sum();
    let recorded = scrape.get(&format!("{}_sum", metrics::DRAINED)).expect("a histogram");
    assert_eq!(format!("{recorded}"), format!("{drained}"));
}

/// The documentation's table has each metric that a recorder gets, with the right kind, and no other.
#[tokio::test(start_paused = true)]
async fn every_metric_is_described_and_in_the_table_of_the_documentation() {
    install();
    let (linger, _reports) = layer("described", |policy| policy);
    let (peer, io) = duplex(16);
    drop(peer);
    drop(linger.wrap(io));
    linger.tracker().wait().await;
    let page = include_str!("../../../crates/tower-linger/src/metrics.rs");
    let rows = page.lines().filter_map(|line| line.strip_prefix("//! | `tower_linger_"));
    let documented: BTreeMap<String, &str> = rows
        .map(|row| {
            let (name, rest) = row.split_once("` | ").expect("a table");
            (format!("tower_linger_{name}"), rest.split([' ', ',']).next().expect("a kind"))
        })
        .collect();
    let constants = [
        metrics::SERVED,
        metrics::LINGERING,
        metrics::LINGERING_LIMIT,
        metrics::CLOSES,
        metrics::CLOSE_DURATION,
        metrics::DRAINED,
        metrics::UNACKED,
        metrics::HANDSHAKE_FAILURES,
    ];
    assert_eq!(documented.keys().collect::<Vec<_>>(), {
        let mut names = constants.to_vec();
        names.sort_unstable();
        names
    });
    // A metric is described in what is scraped once it has a value.
    let scraped = text();
    for name in Scrape::of("described").names() {
        let kind = documented.get(name).unwrap_or_else(|| panic!("{name} is not documented"));
        assert!(scraped.contains(&format!("# TYPE {name} {kind}\n")), "{name}: {scraped}");
        assert!(scraped.contains(&format!("# HELP {name} ")), "{name}: {scraped}");
    }
    assert!(Scrape::of("described").names().len() >= 5);
}
