//! What ends each wait of a close.

use std::time::{Duration, Instant};

use linger_proto::{Action, CloseMachine, ClosePolicy, Event, Notified, Outcome, Phase, Start};

use super::{Happening, SECOND, run, secs};

/// CONFORMANCE 23, below the sockets: the wait ends at the peer's alert, and neither silence nor data
/// prolongs it.
#[test]
fn the_wait_for_the_peers_close_notify_is_bounded_in_time_and_bytes() {
    use Happening as H;
    let policy = ClosePolicy::builder().await_close_notify(SECOND, 1_000).build().expect("makes sense");
    let tls = Notified::CloseNotifyAndFin;
    let closed =
        run(policy, 1 << 30, Start::default(), tls, &[(0, H::Works(0)), (0, H::Works(0)), (0, H::PeerEnds)]);
    assert_eq!(closed.outcome, Outcome::PeerClosed { close_notify: true });

    let mut now = Instant::now();
    let mut machine = CloseMachine::new(policy, Start::default(), now);
    machine.handle(Event::Flushed, now);
    machine.handle(Event::Notified(tls), now);
    let Some(Action::AwaitPeer { limit }) = machine.action() else { panic!("{:?}", machine.action()) };
    assert_eq!(limit.get(), 1_000);
    let mut by_bytes = machine.clone();
    by_bytes.handle(Event::Discarded(1_000), now);
    assert!(
        matches!(by_bytes.action(), Some(Action::Discard { .. })),
        "the session is dropped at its byte limit"
    );
    now += SECOND;
    machine.handle(Event::Tick, now);
    assert!(
        matches!(machine.action(), Some(Action::Discard { .. })),
        "the session is dropped at its time limit"
    );
}

/// A peer that takes the last bytes at the last moment has made progress: what follows them is not cut off.
#[test]
fn a_write_that_ends_is_progress_and_the_next_one_has_the_whole_idle_timeout() {
    let policy = ClosePolicy::default();
    let idle = policy.flush_idle_timeout();
    let steps = [(Event::Flushed, Phase::Notify), (Event::Notified(Notified::CloseNotify), Phase::HalfClose)];
    let mut now = Instant::now();
    let mut machine = CloseMachine::new(policy, Start::default(), now);
    for (event, phase) in steps {
        now += idle;
        machine.handle(event, now);
        assert_eq!((machine.phase(), machine.next_timeout()), (phase, Some(now + idle)));
    }
    machine.handle(Event::WriteProgress, now + SECOND);
    assert_eq!(machine.next_timeout(), Some(now + SECOND + idle));
    machine.handle(Event::Tick, now + SECOND + idle);
    let report = machine.report().expect("no progress for the idle timeout");
    assert_eq!((report.outcome, report.ended_in), (Outcome::FlushTimeout, Phase::HalfClose));
}

/// The peer's turn ends with its FIN, and then nothing is left to drain; or with its time, and then we close
/// first.
#[test]
fn a_peer_that_closes_first_is_waited_for_and_no_longer_than_its_grace() {
    use Happening as H;
    let policy = ClosePolicy::builder().peer_closes_first(SECOND).build().expect("makes sense");
    let now = Instant::now();
    let mut machine = CloseMachine::new(policy, Start::default(), now);
    machine.handle(Event::Flushed, now);
    assert_eq!(machine.phase(), Phase::PeerFirst);
    let mut late = machine.clone();
    machine.handle(Event::PeerFin, now);
    assert_eq!(machine.action(), Some(Action::Notify));
    machine.handle(Event::Notified(Notified::Nothing), now);
    machine.handle(Event::HalfClosed, now);
    assert_eq!(
        machine.report().expect("nothing is left to read").outcome,
        Outcome::PeerClosed { close_notify: false }
    );

    late.handle(Event::Tick, now + SECOND);
    assert_eq!(late.action(), Some(Action::Notify), "its turn is over");
    let silent =
        run(policy, 1 << 30, Start::default(), Notified::Nothing, &[(0, H::Works(0)), (0, H::Silence)]);
    assert_eq!(silent.time_in(Phase::PeerFirst), SECOND);
}

/// Deadline = start + grace + bytes ÷ rate.
#[test]
fn a_peer_below_the_minimum_rate_is_let_go_when_its_bytes_are_used_up() {
    let policy = ClosePolicy::builder().drain_min_rate(100, secs(2)).build().expect("makes sense");
    let now = Instant::now();
    let mut machine = CloseMachine::new(policy, Start::default(), now);
    for event in
        [Event::Flushed, Event::Notified(Notified::Nothing), Event::HalfClosed, Event::Discarded(150)]
    {
        machine.handle(event, now);
    }
    assert_eq!(machine.next_timeout(), Some(now + Duration::from_millis(3_500)));
    machine.handle(Event::Tick, now + Duration::from_millis(3_500));
    assert_eq!(machine.report().expect("too slow").outcome, Outcome::DrainRate);
}

/// Acknowledged alone is not enough, and neither is quiet: the release comes when both have held for long
/// enough.
#[test]
fn an_early_release_waits_for_acknowledgement_and_for_silence() {
    let millis = Duration::from_millis;
    let policy = ClosePolicy::builder().early_release(4).build().expect("makes sense");
    let start = Instant::now();
    let mut machine = CloseMachine::new(policy, Start::default(), start);
    assert!(!machine.wants_acknowledgement(), "not before the FIN");
    for event in [Event::Flushed, Event::Notified(Notified::Nothing), Event::HalfClosed] {
        machine.handle(event, start);
    }
    machine.handle(Event::Acknowledged { rtt: millis(20) }, start);
    assert_eq!(machine.next_timeout(), Some(start + millis(80)));
    // Still uploading.
    machine.handle(Event::Discarded(1), start + millis(79));
    machine.handle(Event::Tick, start + millis(80));
    assert_eq!(machine.phase(), Phase::Drain);
    assert_eq!(machine.next_timeout(), Some(start + millis(159)));
    machine.handle(Event::Tick, start + millis(159));
    assert_eq!(machine.report().expect("quiet for four round trips").outcome, Outcome::Acknowledged);
}
