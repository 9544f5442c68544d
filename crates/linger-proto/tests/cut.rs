//! Connections that are cut, and sessions that are broken: what the peer is shown, and what arrives before
//! it.

#![expect(
    clippy::disallowed_methods,
    reason = "the clock gives a point to count from, and is not read again"
)]

use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use linger_proto::{
    Action, Alert, CloseMachine, ClosePolicy, Cut, CutShownBy, Event, Failure, Notified, Outcome, Phase,
    Release, Start,
};

const SECOND: Duration = Duration::from_secs(1);

fn cut(shown_by: CutShownBy) -> Start {
    let mut start = Start::default();
    start.cut = Some(Cut { shown_by, outcome: Some(Outcome::Aborted) });
    start
}

/// The FIN follows what was flushed, below the session, so that no `close_notify` can come with it.
#[test]
fn a_cut_that_the_framing_shows_ends_in_a_fin_without_close_notify_and_is_drained() {
    let now = Instant::now();
    let mut machine = CloseMachine::new(ClosePolicy::default(), cut(CutShownBy::Framing), now);
    machine.handle(Event::Flushed, now);
    assert_eq!(machine.action(), Some(Action::HalfClose { below_session: true }));
    machine.handle(Event::HalfClosed, now);
    machine.handle(Event::Discarded(7), now);
    machine.handle(Event::PeerFin, now);
    let report = machine.report().expect("over");
    assert_eq!((report.outcome, report.release), (Outcome::Aborted, Release::Close));
    assert_eq!((report.sent_close_notify, report.bytes_drained), (false, 7));
}

/// A reset takes away what is on its way, so it waits until nothing is, and no longer than the flush may
/// take.
#[test]
fn a_cut_that_only_a_reset_shows_waits_for_the_acknowledgement_of_what_was_sent() {
    let millis = Duration::from_millis;
    let now = Instant::now();
    let mut machine = CloseMachine::new(ClosePolicy::default(), cut(CutShownBy::LateReset), now);
    machine.handle(Event::Flushed, now);
    assert_eq!(machine.phase(), Phase::Settle);
    machine.handle(Event::Unacked(Some(10)), now);
    assert_eq!(machine.next_timeout(), Some(now + millis(1)), "it asks again");
    machine.handle(Event::PeerFin, now + millis(1));
    assert_eq!(machine.action(), Some(Action::Settle { limit: None }), "the peer's FIN acknowledges nothing");
    let mut stuck = machine.clone();
    machine.handle(Event::Discarded(1), now + millis(2));
    machine.handle(Event::Unacked(Some(0)), now + millis(2));
    machine.handle(Event::Tick, now + millis(51));
    assert_eq!(machine.phase(), Phase::Settle, "the peer has sent something a moment ago");
    machine.handle(Event::Tick, now + millis(52));
    let report = machine.report().expect("over");
    assert_eq!((report.outcome, report.ended_in), (Outcome::Aborted, Phase::Settle));
    assert_eq!((report.release, report.sent_close_notify), (Release::Abort, false));

    let mut at = now;
    while stuck.action().is_some() {
        at = stuck.next_timeout().expect("bounded");
        stuck.handle(Event::Tick, at);
        stuck.handle(Event::Unacked(Some(10)), at);
    }
    assert_eq!(at, now + 10 * SECOND, "a peer that acknowledges nothing has the flush's idle timeout");
}

/// Bytes that nobody reads close the window, and then the peer's acknowledgements may not come. What is left
/// of the drain's bytes is read meanwhile.
#[test]
fn what_the_peer_sends_is_read_while_its_acknowledgement_is_awaited() {
    let now = Instant::now();
    let policy = ClosePolicy::builder().drain_limit_bytes(1_000).build().expect("makes sense");
    let mut machine = CloseMachine::new(policy, cut(CutShownBy::LateReset), now);
    machine.handle(Event::Flushed, now);
    for (read, left) in [(0, NonZeroUsize::new(1_000)), (400, NonZeroUsize::new(600)), (600, None)] {
        machine.handle(Event::Discarded(read), now);
        assert_eq!(machine.action(), Some(Action::Settle { limit: left }));
    }
}

/// The session is over with a record that makes no sense; the bytes below it are still to be drained.
#[test]
fn a_record_that_makes_no_sense_ends_the_wait_for_close_notify_and_not_the_drain() {
    let now = Instant::now();
    let policy = ClosePolicy::builder().await_close_notify(9 * SECOND, 1_000).build().expect("makes sense");
    let mut machine = CloseMachine::new(policy, Start::default(), now);
    machine.handle(Event::Flushed, now);
    machine.handle(Event::Notified(Notified::CloseNotifyAndFin), now);
    let at_the_last_moment = now + policy.drain_idle_timeout();
    machine.handle(Event::Failed(Failure::from_kind(ErrorKind::InvalidData)), at_the_last_moment);
    assert!(matches!(machine.action(), Some(Action::Discard { .. })), "the peer was not silent");
    assert_eq!(machine.next_timeout(), Some(at_the_last_moment + policy.drain_idle_timeout()));
}

/// A connection that is cut by the deadline has sent something a moment ago.
#[test]
fn what_a_shutdown_cuts_gets_half_a_second_to_arrive() {
    let now = Instant::now();
    let mut machine = CloseMachine::new(ClosePolicy::default(), cut(CutShownBy::LateReset), now);
    machine.handle(Event::Flushed, now);
    machine.handle(Event::ShutdownBy(now), now);
    assert_eq!(machine.phase(), Phase::Settle);
    machine.handle(Event::Tick, now + Duration::from_millis(500));
    assert_eq!(machine.report().expect("over").outcome, Outcome::Aborted);
}

/// A TLS session that met a fatal error refuses to flush; its alert must arrive all the same (RFC 8446
/// §6.2).
#[test]
fn a_broken_session_is_half_closed_and_drained() {
    let now = Instant::now();
    let mut start = Start::default();
    start.fatal_alert = Some(Alert::Sent);
    start.failure = Some(Failure::from_kind(ErrorKind::InvalidData));
    let mut machine = CloseMachine::new(ClosePolicy::default(), start, now);
    machine.handle(Event::Failed(Failure::from_kind(ErrorKind::InvalidData)), now);
    assert_eq!(machine.action(), Some(Action::HalfClose { below_session: false }));
    machine.handle(Event::HalfClosed, now);
    machine.handle(Event::PeerFin, now);
    let report = machine.report().expect("over");
    assert_eq!(
        (report.outcome, report.sent_close_notify),
        (Outcome::PeerClosed { close_notify: false }, false)
    );
}

/// What is cut is given a moment beyond the deadline. Beyond the last moment of the clock there is none.
#[test]
fn a_shutdown_deadline_may_be_the_last_moment_that_the_clock_has() {
    let now = Instant::now();
    let steps = (0..63).rev().map(|bit| Duration::from_secs(1 << bit));
    let steps = steps.chain((0..30).rev().map(|bit| Duration::from_nanos(1 << bit)));
    let never = steps.fold(now, |at, step| at.checked_add(step).unwrap_or(at));
    for start in [Start::default(), cut(CutShownBy::Framing)] {
        let mut machine = CloseMachine::new(ClosePolicy::default(), start, now);
        let before = machine.next_timeout();
        machine.handle(Event::ShutdownBy(never), now);
        assert_eq!((machine.phase(), machine.next_timeout()), (Phase::Flush, before));
    }
}
