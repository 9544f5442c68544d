//! Each outcome, how it releases the socket, and how it is reported.

use std::collections::HashSet;
use std::io::ErrorKind;

use linger_proto::{Alert, ClosePolicy, Cut, CutShownBy, Notified, Outcome, Phase, Release, Requests, Start};

use super::{Happening, SECOND, run, secs};

/// One script for each outcome; a new outcome without a script fails here.
#[test]
fn every_outcome_can_be_reached() {
    use Happening as H;
    let policy = ClosePolicy::builder()
        .drain_limit_bytes(2_000_000)
        .drain_min_rate(1_000, secs(25))
        .early_release(3)
        .build()
        .expect("makes sense");
    let to_drain = [(0, H::Works(0)), (0, H::Works(0)), (0, H::Works(0))];
    let drain = |rest: &[(u16, H)]| [&to_drain[..], rest].concat();
    let mut aborted = Start::default();
    aborted.cut = Some(Cut { shown_by: CutShownBy::Reset, outcome: Some(Outcome::Aborted) });
    let mut done = Start::default();
    done.requests = Requests::Over;
    let fails = |kind| drain(&[(0, H::Fails(kind))]);
    let scripts = [
        (Outcome::PeerClosed { close_notify: false }, Start::default(), drain(&[(0, H::PeerEnds)])),
        (Outcome::PeerReset, Start::default(), fails(ErrorKind::ConnectionReset)),
        (Outcome::Unreachable, Start::default(), fails(ErrorKind::NetworkUnreachable)),
        (Outcome::KernelTimeout, Start::default(), fails(ErrorKind::TimedOut)),
        (Outcome::LocalAbort, Start::default(), fails(ErrorKind::ConnectionAborted)),
        (Outcome::Failed, Start::default(), fails(ErrorKind::InvalidData)),
        (Outcome::FlushTimeout, Start::default(), vec![]),
        (Outcome::DrainIdle, Start::default(), drain(&[])),
        (Outcome::DrainDeadline, Start::default(), drain(&[(4_000, H::Works(1)); 8])),
        (Outcome::DrainLimit, Start::default(), drain(&[(0, H::Works(255)); 2])),
        (Outcome::DrainRate, Start::default(), drain(&[(4_000, H::Works(0)); 8])),
        (Outcome::Acknowledged, Start::default(), drain(&[(0, H::Acknowledged)])),
        (Outcome::Evicted, Start::default(), drain(&[(0, H::Evicted)])),
        (Outcome::ShutdownCut, Start::default(), drain(&[(0, H::ShutdownIn(SECOND))])),
        (Outcome::PeerDone, done, to_drain.to_vec()),
        (Outcome::Aborted, aborted, vec![]),
        (Outcome::Cancelled, Start::default(), vec![(0, H::Abandoned)]),
    ];
    let mut names = HashSet::new();
    let no_drain = ClosePolicy::builder().without_drain().build().expect("makes sense");
    let undrained = run(no_drain, 1 << 30, Start::default(), Notified::Nothing, &to_drain);
    assert_eq!((undrained.outcome, undrained.ended_in), (Outcome::Undrained, Phase::Drain));
    names.insert(undrained.outcome.as_str());
    let shared = ClosePolicy::builder().without_half_close().build().expect("makes sense");
    let left_open = run(shared, 1 << 30, Start::default(), Notified::Nothing, &to_drain);
    assert_eq!((left_open.outcome, left_open.sent_close_notify), (Outcome::LeftOpen, false));
    names.insert(left_open.outcome.as_str());
    for (outcome, start, script) in scripts {
        let report = run(policy, 2_000_000, start, Notified::Nothing, &script);
        assert_eq!(report.outcome, outcome, "{script:?}");
        assert!(names.insert(outcome.as_str()), "{outcome} twice");
    }
    let without: Vec<_> = Outcome::ALL.iter().filter(|outcome| !names.contains(outcome.as_str())).collect();
    assert_eq!(without, [&Outcome::HandshakeTimeout], "only a handshake has no close, so no script");
}

/// A session's peer answers with an alert of its own, and a policy without a drain has asked for none.
#[test]
fn a_peer_that_is_done_is_waited_for_where_something_may_still_come() {
    let outcome = |policy, tls, change: &dyn Fn(&mut Start)| {
        let mut start = Start::default();
        start.requests = Requests::Over;
        change(&mut start);
        run(policy, 1 << 30, start, tls, &[(0, Happening::Works(0)); 3]).outcome
    };
    let policy = ClosePolicy::default();
    assert_eq!(outcome(policy, Notified::Nothing, &|_| {}), Outcome::PeerDone);
    for notified in [Notified::CloseNotify, Notified::CloseNotifyAndFin] {
        assert_eq!(outcome(policy, notified, &|_| {}), Outcome::DrainIdle);
    }
    for (sent, expected) in
        [(Notified::Nothing, Outcome::PeerDone), (Notified::CloseNotify, Outcome::DrainIdle)]
    {
        assert_eq!(outcome(policy, sent, &|start| start.half_closed = Some(sent)), expected);
    }
    // These sessions send no close_notify.
    let alert = |start: &mut Start| start.fatal_alert = Some(Alert::Sent);
    assert_eq!(outcome(policy, Notified::CloseNotify, &alert), Outcome::DrainIdle);
    let cut = |start: &mut Start| start.cut = Some(Cut { shown_by: CutShownBy::Framing, outcome: None });
    assert_eq!(outcome(policy, Notified::CloseNotify, &cut), Outcome::DrainIdle);
    let without_drain = ClosePolicy::builder().without_drain().build().expect("makes sense");
    assert_eq!(outcome(without_drain, Notified::Nothing, &|_| {}), Outcome::Undrained);
}

/// What was left unflushed is lost, so a FIN behind it must not make the rest look whole.
#[test]
fn only_a_close_that_stops_before_its_flush_is_released_by_a_reset() {
    let policy = ClosePolicy::default();
    let unflushed = run(policy, 1 << 30, Start::default(), Notified::Nothing, &[]);
    assert_eq!((unflushed.outcome, unflushed.release), (Outcome::FlushTimeout, Release::Abort));
    let works = [(0, Happening::Works(0)); 3];
    for flushed in 1..=3 {
        let report = run(policy, 1 << 30, Start::default(), Notified::Nothing, &works[..flushed]);
        assert_eq!(report.release, Release::Close, "{report}");
    }
}

/// What our own bounds end is released as the policy says; what the network ended is only closed.
#[test]
fn the_release_at_a_limit_is_the_policys() {
    use Happening as H;
    let policy = ClosePolicy::builder().at_limit(Release::Abort).build().expect("makes sense");
    let drain = |last| [(0, H::Works(0)), (0, H::Works(0)), (0, H::Works(0)), (0, last)];
    let release = |last| run(policy, 1 << 30, Start::default(), Notified::Nothing, &drain(last)).release;
    assert_eq!(release(H::Silence), Release::Abort);
    assert_eq!(release(H::Evicted), Release::Abort);
    assert_eq!(release(H::PeerEnds), Release::Close);
}

/// The line is an interface: log parsers depend on it.
#[test]
fn the_report_line_is_stable() {
    use Happening as H;
    let drain = |last: &[(u16, H)]| [&[(0, H::Works(0)), (2, H::Works(0)), (0, H::Works(0))], last].concat();
    let line = |tls, script: &[(u16, H)]| {
        run(ClosePolicy::default(), 1 << 30, Start::default(), tls, script).line().to_string()
    };
    assert_eq!(
        line(Notified::CloseNotify, &drain(&[(3, H::Works(255)), (4, H::PeerEnds)])),
        "Pdn- drained=1048576 unacked=- flush_us=0 drain_us=7000 total_us=9000"
    );
    assert_eq!(
        line(Notified::Nothing, &drain(&[(1, H::Fails(ErrorKind::ConnectionReset))])),
        "Rd-- drained=0 unacked=- flush_us=0 drain_us=1000 total_us=3000 failure=\"connection reset\""
    );
    assert_eq!(
        line(Notified::Nothing, &[]),
        "Ff-- drained=0 unacked=- flush_us=10000000 drain_us=0 total_us=10000000"
    );
}
