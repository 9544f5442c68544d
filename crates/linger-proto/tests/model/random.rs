//! Random sequences of what may happen.

use std::io::ErrorKind;
use std::time::Instant;

use linger_proto::{
    Alert, CloseMachine, ClosePolicy, Cut, CutShownBy, Event, Failure, Notified, Outcome, Release, Requests,
    Start,
};
use proptest::prelude::*;

use super::{Happening, run, secs};

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        30 => any::<u8>().prop_map(Happening::Works),
        6 => Just(Happening::Progress),
        4 => Just(Happening::PeerEnds),
        2 => prop::sample::select(vec![
            ErrorKind::ConnectionReset,
            ErrorKind::BrokenPipe,
            ErrorKind::ConnectionAborted,
            ErrorKind::HostUnreachable,
            ErrorKind::TimedOut,
            ErrorKind::InvalidData,
        ]).prop_map(Happening::Fails),
        1 => (0u64..20).prop_map(|count| Happening::ShutdownIn(secs(count))),
        1 => Just(Happening::Abandoned),
        4 => Just(Happening::Acknowledged),
        1 => Just(Happening::Evicted),
        4 => prop::option::of(0u64..3).prop_map(Happening::Unacked),
        4 => prop::sample::select(vec![
            Event::Flushed,
            Event::Notified(Notified::CloseNotifyAndFin),
            Event::HalfClosed,
            Event::PeerEnded,
            Event::PeerFin,
            Event::CannotGather,
        ]).prop_map(Happening::Stray),
        3 => Just(Happening::Silence),
    ]
}

fn policy() -> impl Strategy<Value = ClosePolicy> {
    (
        1u64..20,
        1u64..40,
        1u64..20,
        1u64..40,
        1u64..5_000_000,
        prop::option::of((1u64..40, 1u64..100_000)),
        prop::option::of((1u64..1_000_000, 1u64..40)),
        prop::option::of(1u64..40),
        prop::option::of(1u32..100),
    )
        .prop_map(
            |(flush_idle, flush, drain_idle, drain, bytes, await_notify, rate, peer_first, early)| {
                let mut builder = ClosePolicy::builder()
                    .flush_idle_timeout(secs(flush_idle.min(flush)))
                    .flush_limit(secs(flush))
                    .drain_idle_timeout(secs(drain_idle.min(drain)))
                    .drain_limit(secs(drain))
                    .drain_limit_bytes(bytes);
                if let Some((limit, bytes)) = await_notify {
                    builder = builder.await_close_notify(secs(limit.min(drain)), bytes);
                }
                if let Some((rate, grace)) = rate {
                    builder = builder.drain_min_rate(rate, secs(grace.min(drain)));
                }
                if let Some(grace) = peer_first {
                    builder = builder.peer_closes_first(secs(grace.min(drain)));
                }
                if let Some(round_trips) = early {
                    builder = builder.early_release(round_trips);
                }
                builder.build().expect("in bounds by construction")
            },
        )
}

fn start() -> impl Strategy<Value = Start> {
    let failure = prop::option::weighted(
        0.2,
        prop::sample::select(vec![ErrorKind::ConnectionReset, ErrorKind::InvalidData]),
    );
    let half_closed = prop::option::weighted(
        0.2,
        prop::sample::select(vec![Notified::Nothing, Notified::CloseNotifyAndFin]),
    );
    let fatal_alert = prop::option::weighted(0.2, prop::sample::select(vec![Alert::Sent, Alert::Received]));
    let shown_by = prop::sample::select(vec![CutShownBy::Framing, CutShownBy::LateReset, CutShownBy::Reset]);
    let outcome = prop::sample::select(vec![Outcome::Aborted, Outcome::ShutdownCut]);
    let cut = prop::option::weighted(0.3, (shown_by, outcome));
    let is_reset = prop::bool::weighted(0.2);
    let requests = prop_oneof![
        4 => Just(Requests::Unknown),
        1 => Just(Requests::Over),
        2 => (0..9_000u32).prop_map(|sent_for_ms| Requests::Read { sent_for_ms }),
    ];
    (failure, is_reset, any::<bool>(), requests, fatal_alert, half_closed, cut).prop_map(
        |(failure, is_reset, peer_ended, requests, fatal_alert, half_closed, cut)| {
            let mut start = Start::default();
            start.failure = failure.map(Failure::from_kind);
            let goes_on = start.failure.is_some_and(|failure| !failure.is_final());
            start.ended_by = (goes_on && is_reset).then_some(Outcome::PeerReset);
            start.peer_ended = peer_ended;
            start.requests = requests;
            start.fatal_alert = fatal_alert;
            start.half_closed = half_closed;
            start.cut = cut.map(|(shown_by, outcome)| Cut { shown_by, outcome: Some(outcome) });
            start
        },
    )
}

fn tls() -> impl Strategy<Value = Notified> {
    prop::sample::select(vec![Notified::Nothing, Notified::CloseNotify, Notified::CloseNotifyAndFin])
}

/// `make mutants` runs them very often, so it asks for fewer. Miri is slow.
fn cases() -> u32 {
    let usual = if cfg!(miri) { 4 } else { 4_000 };
    std::env::var("PROPTEST_CASES").map_or(usual, |cases| cases.parse().expect("a number of cases"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn every_sequence_ends_in_order_and_within_its_bounds(
        policy in policy(),
        start in start(),
        tls in tls(),
        script in prop::collection::vec((0u16..9_000, happening()), 0..40),
    ) {
        let limit = CloseMachine::new(policy, Start::default(), Instant::now()).bytes_left();
        let report = run(policy, limit, start, tls, &script);
        if start.fatal_alert.is_some() && start.half_closed.is_none() {
            prop_assert!(!report.sent_close_notify, "close_notify after a fatal alert");
        }
        if let Some(cut) = start.cut.filter(|_| start.half_closed.is_none()) {
            prop_assert!(!report.sent_close_notify, "close_notify on a connection that is cut");
            let clean = matches!(report.outcome, Outcome::PeerClosed { .. });
            prop_assert!(!clean, "a cut connection is reported as cut");
            let told = Some(report.outcome) == cut.outcome;
            if told && cut.shown_by != CutShownBy::Framing {
                prop_assert_eq!(report.release, Release::Abort, "only a reset shows this cut");
            }
        }
        if let Some(failure) = start.failure.filter(|failure| failure.is_final()) {
            prop_assert_eq!(report.outcome, failure.outcome(), "a reset seen before the close stays one");
        }
        if let Some(outcome) = start.ended_by {
            prop_assert_eq!(report.outcome, outcome, "also one that was not the first failure");
        }
    }
}
