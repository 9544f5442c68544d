//! What the machine makes of each answer, where a slip would show nowhere else: each of these was a change
//! of the code that no other test noticed (`make mutants`).

#![expect(
    clippy::disallowed_methods,
    reason = "the clock gives a point to count from, and is not read again"
)]

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use linger_proto::{
    Action, Alert, CloseMachine, ClosePolicy, ClosePolicyBuilder, Cut, CutShownBy, Event, Failure, Notified,
    Outcome, Phase, Release, Start,
};

const SECOND: Duration = Duration::from_secs(1);
const FLUSHED: &[Event] = &[Event::Flushed];
const PLAIN_DRAIN: &[Event] = &[Event::Flushed, Event::Notified(Notified::Nothing), Event::HalfClosed];
const TLS_DRAIN: &[Event] = &[Event::Flushed, Event::Notified(Notified::CloseNotifyAndFin)];

fn built(builder: ClosePolicyBuilder) -> ClosePolicy {
    builder.build().expect("makes sense")
}

/// A close to which all of this has happened at once.
fn after(policy: ClosePolicy, start: Start, events: &[Event]) -> (CloseMachine, Instant) {
    let now = Instant::now();
    let mut machine = CloseMachine::new(policy, start, now);
    for event in events {
        machine.handle(*event, now);
    }
    (machine, now)
}

/// How a close ends if this failure follows, and how it is released; `None` if it goes on.
fn ends(policy: ClosePolicy, start: Start, events: &[Event], kind: ErrorKind) -> Option<(Outcome, Release)> {
    let (mut machine, now) = after(policy, start, events);
    machine.handle(Event::Failed(Failure::from_kind(kind)), now);
    machine.report().map(|report| (report.outcome, report.release))
}

fn cut(shown_by: CutShownBy) -> Cut {
    Cut { shown_by, outcome: Some(Outcome::Aborted) }
}

#[test]
fn a_close_that_begins_again_has_the_new_policy_the_new_cut_and_all_its_time() {
    let now = Instant::now();
    let mut start = Start::default();
    start.cut = Some(cut(CutShownBy::Reset));
    let mut machine = CloseMachine::new(ClosePolicy::default(), start, now);
    assert_eq!(machine.report().map(|report| report.outcome), Some(Outcome::Aborted));
    let policy = built(ClosePolicy::builder().flush_idle_timeout(3 * SECOND));
    machine.restart(policy, None, now + SECOND);
    assert_eq!((machine.action(), machine.policy()), (Some(Action::Flush), &policy));
    assert_eq!(machine.next_timeout(), Some(now + 4 * SECOND));
    machine.restart(machine.shared_policy(), Some(cut(CutShownBy::Framing)), now + SECOND);
    assert_eq!(machine.shared_policy(), Arc::new(policy));
    machine.handle(Event::Flushed, now + SECOND);
    assert_eq!(machine.action(), Some(Action::HalfClose { below_session: true }));
}

/// What the session has not written is lost. A FIN would make the rest look whole, where the connection
/// lives.
#[test]
fn a_failed_flush_is_released_by_a_reset_unless_the_connection_is_over() {
    let flush = |start, kind| ends(ClosePolicy::default(), start, &[], kind);
    let plain = Start::default();
    assert_eq!(flush(plain, ErrorKind::InvalidData), Some((Outcome::Failed, Release::Abort)));
    assert_eq!(flush(plain, ErrorKind::BrokenPipe), Some((Outcome::PeerReset, Release::Close)));
    let mut alert = Start::default();
    alert.fatal_alert = Some(Alert::Sent);
    assert_eq!(flush(alert, ErrorKind::InvalidData), None, "the alert has still to arrive");
    assert_eq!(flush(alert, ErrorKind::BrokenPipe), Some((Outcome::PeerReset, Release::Close)));
}

#[test]
fn a_failure_after_the_flush_ends_the_close_except_for_a_sessions_while_it_is_read() {
    let default = ClosePolicy::default();
    let awaits = built(ClosePolicy::builder().await_close_notify(SECOND, 1_000));
    let first = built(ClosePolicy::builder().peer_closes_first(SECOND));
    let plain = Start::default();
    let failed = Some((Outcome::Failed, Release::Close));
    let reset = Some((Outcome::PeerReset, Release::Close));
    assert_eq!(ends(default, plain, FLUSHED, ErrorKind::InvalidData), failed, "in notify");
    assert_eq!(ends(default, plain, TLS_DRAIN, ErrorKind::InvalidData), failed, "below the session");
    assert_eq!(ends(awaits, plain, TLS_DRAIN, ErrorKind::InvalidData), None);
    assert_eq!(ends(awaits, plain, TLS_DRAIN, ErrorKind::ConnectionReset), reset);
    assert_eq!(ends(first, plain, FLUSHED, ErrorKind::InvalidData), None);
    assert_eq!(ends(first, plain, FLUSHED, ErrorKind::ConnectionReset), reset);
    let (mut machine, now) = after(first, plain, FLUSHED);
    machine.handle(Event::Failed(Failure::from_kind(ErrorKind::InvalidData)), now);
    assert_eq!(machine.action(), Some(Action::HalfClose { below_session: true }), "the session has ended");
}

/// The kernel's errors end the connection, of whatever kind they are.
#[test]
fn each_error_of_the_kernel_is_final_and_means_what_it_says() {
    let errors = [
        (ErrorKind::HostUnreachable, Outcome::Unreachable),
        (ErrorKind::ConnectionRefused, Outcome::Unreachable),
        (ErrorKind::TimedOut, Outcome::KernelTimeout),
        (ErrorKind::NotConnected, Outcome::PeerReset),
        (ErrorKind::OutOfMemory, Outcome::Failed),
    ];
    for (kind, outcome) in errors {
        let failure = Failure::from(&io::Error::from(kind));
        assert_eq!((failure.outcome(), failure.kind(), failure.os_code()), (outcome, kind, None));
    }
    // No kernel has this number, so it has no kind.
    let unknown = Failure::from(&io::Error::from_raw_os_error(9_999));
    assert_eq!((unknown.outcome(), unknown.os_code()), (Outcome::Failed, Some(9_999)));
    assert!(unknown.is_final() && !Failure::from_kind(ErrorKind::TimedOut).is_final());
    let reset = Failure::from_kind(ErrorKind::ConnectionReset);
    assert!(reset.is_final() && reset.to_string() == "connection reset", "{reset}");
    if cfg!(target_os = "linux") {
        let protocol = Failure::from(&io::Error::from_raw_os_error(92));
        assert_eq!(protocol.outcome(), Outcome::Unreachable, "ICMP: protocol unreachable");
    }
}

#[test]
fn only_what_the_network_did_is_the_end_of_the_connection_and_only_our_bounds_are_limits() {
    let named = |is: fn(Outcome) -> bool| {
        let outcomes = Outcome::ALL.iter().filter(|outcome| is(**outcome));
        outcomes.map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        named(Outcome::is_connection_over),
        "peer_closed peer_reset unreachable kernel_timeout local_abort failed"
    );
    assert_eq!(
        named(Outcome::is_limit),
        "flush_timeout drain_idle drain_deadline drain_limit drain_rate evicted shutdown_cut"
    );
}

#[test]
fn what_is_read_in_the_peers_turn_is_counted_and_its_limit_ends_the_turn_and_then_the_close() {
    let policy = built(ClosePolicy::builder().peer_closes_first(SECOND).drain_limit_bytes(10));
    let (mut machine, now) = after(policy, Start::default(), FLUSHED);
    machine.handle(Event::Discarded(7), now);
    assert_eq!((machine.phase(), machine.bytes_drained(), machine.bytes_left()), (Phase::PeerFirst, 7, 3));
    machine.handle(Event::Discarded(3), now);
    assert_eq!(machine.action(), Some(Action::Notify));
    machine.handle(Event::Notified(Notified::Nothing), now);
    machine.handle(Event::HalfClosed, now);
    let report = machine.report().expect("nothing more may be read");
    assert_eq!((report.outcome, report.bytes_drained), (Outcome::DrainLimit, 10));
}

#[test]
fn what_the_peer_sends_before_its_turn_or_the_drain_is_not_counted() {
    let (mut machine, now) = after(ClosePolicy::default(), Start::default(), &[Event::Discarded(7)]);
    assert_eq!(machine.bytes_drained(), 0);
    machine.handle(Event::Flushed, now);
    machine.handle(Event::Discarded(7), now);
    assert_eq!((machine.phase(), machine.bytes_drained()), (Phase::Notify, 0));
}

#[test]
fn a_peer_that_has_ended_its_data_has_had_its_turn() {
    let policy = built(ClosePolicy::builder().peer_closes_first(SECOND));
    let mut ended = Start::default();
    ended.peer_ended = true;
    assert_eq!(after(policy, ended, FLUSHED).0.phase(), Phase::Notify);
    assert_eq!(after(ClosePolicy::default(), Start::default(), FLUSHED).0.phase(), Phase::Notify);
    assert_eq!(after(policy, Start::default(), FLUSHED).0.phase(), Phase::PeerFirst);
}

/// A plain connection has no alert, and some sessions cannot be read after their own.
#[test]
fn the_peers_close_notify_is_awaited_only_where_it_can_be_read() {
    let policy = built(ClosePolicy::builder().await_close_notify(SECOND, 1_000));
    let awaits =
        |start, events| matches!(after(policy, start, events).0.action(), Some(Action::AwaitPeer { .. }));
    let mut ends = Start::default();
    ends.ends_with_notify = true;
    assert!(awaits(Start::default(), TLS_DRAIN));
    assert!(!awaits(Start::default(), PLAIN_DRAIN));
    assert!(!awaits(ends, TLS_DRAIN));
}

/// The kernel gathers below the session only. While that is read, nothing is asked for before a deadline
/// counts.
#[test]
fn what_is_read_through_the_session_is_not_gathered() {
    let policy = built(ClosePolicy::builder().await_close_notify(9 * SECOND, 8 << 20));
    let (mut machine, now) = after(policy, Start::default(), TLS_DRAIN);
    machine.handle(Event::Discarded(2 << 20), now);
    machine.handle(Event::Tick, now + policy.drain_idle_timeout());
    assert_eq!(machine.report().map(|report| report.outcome), Some(Outcome::DrainIdle));
}

#[test]
fn an_acknowledgement_ends_nothing_without_early_release_and_counts_once_with_it() {
    let acknowledged = Event::Acknowledged { rtt: Duration::from_millis(20) };
    let (mut machine, now) = after(ClosePolicy::default(), Start::default(), PLAIN_DRAIN);
    assert!(!machine.wants_acknowledgement());
    machine.handle(acknowledged, now);
    machine.handle(Event::Tick, now + SECOND);
    assert_eq!(machine.phase(), Phase::Drain);
    if cfg!(target_os = "linux") {
        let (mut machine, now) =
            after(built(ClosePolicy::builder().early_release(5)), Start::default(), PLAIN_DRAIN);
        assert!(machine.wants_acknowledgement());
        machine.handle(acknowledged, now);
        assert!(!machine.wants_acknowledgement());
        machine.handle(acknowledged, now + Duration::from_millis(60));
        assert_eq!(machine.next_timeout(), Some(now + Duration::from_millis(100)), "since the first");
    }
}

/// A late reset waits for acknowledgements, and asks for them: soon at first, then every 50 ms.
#[test]
fn what_settles_is_asked_for_less_and_less_often_and_progress_restarts_its_idle_timeout() {
    let mut start = Start::default();
    start.cut = Some(cut(CutShownBy::LateReset));
    let (mut machine, began) = after(ClosePolicy::default(), start, FLUSHED);
    let idle = ClosePolicy::default().flush_idle_timeout();
    let mut asked = Vec::new();
    for _ in 0..9 {
        let at = machine.next_timeout().expect("it settles");
        asked.push((at - began).as_millis());
        machine.handle(Event::Unacked(Some(10)), at);
        machine.handle(Event::Tick, at);
    }
    assert_eq!(asked, [1, 3, 7, 15, 31, 63, 113, 163, 213]);
    let runs_until = |machine: &CloseMachine, after: Duration| {
        let mut machine = machine.clone();
        machine.handle(Event::Tick, began + after.saturating_sub(Duration::from_millis(1)));
        assert_eq!(machine.phase(), Phase::Settle);
        machine.handle(Event::Tick, began + after);
        machine.phase() == Phase::Done
    };
    assert!(runs_until(&machine, idle), "the first answer is no progress");
    machine.handle(Event::Unacked(Some(5)), began + 3 * SECOND);
    machine.handle(Event::Unacked(Some(5)), began + 4 * SECOND);
    machine.handle(Event::Unacked(Some(6)), began + 5 * SECOND);
    assert!(runs_until(&machine, 3 * SECOND + idle), "only less than before is progress");
}

/// Where the system cannot tell, a second has to do.
#[test]
fn a_late_reset_waits_for_a_second_where_nobody_knows_what_is_acknowledged() {
    let mut start = Start::default();
    start.cut = Some(cut(CutShownBy::LateReset));
    let (mut machine, now) = after(ClosePolicy::default(), start, FLUSHED);
    for millis in [0, 500, 999] {
        machine.handle(Event::Unacked(None), now + Duration::from_millis(millis));
    }
    machine.handle(Event::Unacked(None), now + SECOND);
    machine.handle(Event::Tick, now + Duration::from_millis(1_049));
    assert_eq!(machine.phase(), Phase::Settle, "and then 50 ms of silence");
    machine.handle(Event::Tick, now + Duration::from_millis(1_050));
    assert_eq!(machine.report().map(|report| report.outcome), Some(Outcome::Aborted));
}

#[test]
fn a_shutdowns_deadline_ends_a_close_when_it_comes_and_not_before() {
    let (mut machine, now) = after(ClosePolicy::default(), Start::default(), PLAIN_DRAIN);
    machine.handle(Event::ShutdownBy(now + 2 * SECOND), now);
    machine.handle(Event::ShutdownBy(now + 3 * SECOND), now);
    assert_eq!((machine.phase(), machine.next_timeout()), (Phase::Drain, Some(now + 2 * SECOND)));
    machine.handle(Event::Tick, now + 2 * SECOND);
    assert_eq!(machine.report().map(|report| report.outcome), Some(Outcome::ShutdownCut));
}

#[test]
fn a_report_is_one_sentence_with_what_was_lost_and_why() {
    let (mut machine, now) = after(ClosePolicy::default(), Start::default(), PLAIN_DRAIN);
    machine.handle(Event::Discarded(7), now + SECOND);
    machine.handle(Event::Failed(Failure::from_kind(ErrorKind::ConnectionReset)), now + SECOND);
    let mut report = machine.report().expect("reset");
    assert_eq!(report.to_string(), "peer_reset in drain after 1s, 7 bytes drained (connection reset)");
    report.unacked = Some(9);
    report.failure = None;
    assert_eq!(report.to_string(), "peer_reset in drain after 1s, 7 bytes drained, 9 bytes unacknowledged");
    report.unacked = Some(0);
    assert!(!report.to_string().contains("unacknowledged"));
}
