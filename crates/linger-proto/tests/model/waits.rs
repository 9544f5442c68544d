//! What ends each wait of a close.

use std::time::{Duration, Instant};

use linger_proto::{Action, CloseMachine, ClosePolicy, Event, Notified, Outcome, Phase, Requests, Start};

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

/// To the drain of a close whose peer's requests are known, by the default policy.
fn draining(requests: Requests, sent: Notified, at: Instant) -> CloseMachine {
    let mut start = Start::default();
    start.requests = requests;
    let mut machine = CloseMachine::new(ClosePolicy::default(), start, at);
    for event in [Event::Flushed, Event::Notified(sent), Event::HalfClosed] {
        machine.handle(event, at);
    }
    assert_eq!(machine.phase(), Phase::Drain);
    machine
}

/// It took 200 ms to send its request, so a pause of 400 ms is more than it has ever made.
#[test]
fn a_silent_peer_whose_request_was_read_is_released_once_it_has_everything() {
    let millis = Duration::from_millis;
    let start = Instant::now();
    let mut machine = draining(Requests::Read { sent_for_ms: 200 }, Notified::CloseNotify, start);
    assert!(!machine.wants_acknowledgement());
    assert_eq!(machine.next_timeout(), Some(start + millis(400)));
    machine.handle(Event::Tick, start + millis(399));
    assert!(!machine.wants_acknowledgement());
    machine.handle(Event::Tick, start + millis(400));
    assert!(machine.wants_acknowledgement());
    assert_eq!(machine.next_timeout(), Some(start + millis(5_000)), "nothing but the bounds, until it has");
    machine.handle(Event::Acknowledged { rtt: millis(40) }, start + millis(410));
    assert!(!machine.wants_acknowledgement());
    assert_eq!(machine.next_timeout(), Some(start + millis(530)));
    machine.handle(Event::Tick, start + millis(530));
    assert_eq!(machine.report().expect("silent for three round trips").outcome, Outcome::Acknowledged);
}

#[test]
fn a_peer_that_sends_after_all_is_waited_for_to_the_bounds() {
    let millis = Duration::from_millis;
    let start = Instant::now();
    for asked in [false, true] {
        let mut machine = draining(Requests::Read { sent_for_ms: 0 }, Notified::Nothing, start);
        if asked {
            machine.handle(Event::Tick, start + millis(300));
            machine.handle(Event::Acknowledged { rtt: millis(1) }, start + millis(300));
            assert_eq!(machine.next_timeout(), Some(start + millis(350)));
        }
        machine.handle(Event::Discarded(1), start + millis(349));
        assert!(!machine.wants_acknowledgement());
        assert_eq!(machine.next_timeout(), Some(start + millis(5_349)));
        machine.handle(Event::Tick, start + millis(5_349));
        assert_eq!(machine.report().expect("idle").outcome, Outcome::DrainIdle);
    }
}

#[test]
fn nobody_is_released_for_silence_who_may_be_sending_or_who_has_paused_for_longer() {
    let start = Instant::now();
    for requests in [Requests::Unknown, Requests::Read { sent_for_ms: u32::MAX }] {
        let mut machine = draining(requests, Notified::Nothing, start);
        assert_eq!(machine.next_timeout(), Some(start + Duration::from_secs(5)), "{requests:?}");
        machine.handle(Event::Tick, start + Duration::from_millis(4_999));
        assert!(!machine.wants_acknowledgement(), "{requests:?}");
    }
    // What it had announced does not keep its session from answering.
    let machine = draining(Requests::Over, Notified::CloseNotify, start);
    assert_eq!(machine.next_timeout(), Some(start + Duration::from_millis(300)));
}

/// The policy's own rule is for every peer, and goes on when it sends.
#[test]
fn an_early_release_by_the_policy_asks_at_once() {
    let start = Instant::now();
    let policy = ClosePolicy::builder().early_release(2).build().expect("makes sense");
    let mut known = Start::default();
    known.requests = Requests::Read { sent_for_ms: 1_000 };
    let mut machine = CloseMachine::new(policy, known, start);
    for event in [Event::Flushed, Event::Notified(Notified::Nothing), Event::HalfClosed, Event::Discarded(1)]
    {
        machine.handle(event, start);
    }
    assert!(machine.wants_acknowledgement());
}
