//! Random event sequences against what always holds. A failing case is printed, minimised, and kept beside
//! this file.

#![expect(
    clippy::disallowed_methods,
    reason = "the clock gives a point to count from, and is not read again"
)]

use std::collections::HashSet;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use linger_proto::{
    Action, Alert, CloseMachine, ClosePolicy, CloseReport, Cut, CutShownBy, Event, Failure, Notified,
    Outcome, Phase, Release, Start,
};
use proptest::prelude::*;

const SECOND: Duration = secs(1);

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// What may happen next; what it comes to depends on what the machine asked for.
#[derive(Debug, Clone, Copy)]
enum Happening {
    /// The action succeeds; a read takes this share (of 255) of what it may.
    Works(u8),
    /// A write makes progress, without being done.
    Progress,
    /// The peer ends its data: `close_notify` where that can be seen, FIN otherwise.
    PeerEnds,
    Fails(ErrorKind),
    ShutdownIn(Duration),
    Acknowledged,
    /// So many bytes are not acknowledged, as far as the system can tell.
    Unacked(Option<u64>),
    Evicted,
    Abandoned,
    /// An event that does not answer the action: it must change nothing.
    Stray(Event),
    /// Nothing, until the machine's next timeout.
    Silence,
}

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
    (failure, any::<bool>(), fatal_alert, half_closed, cut).prop_map(
        |(failure, peer_ended, fatal_alert, half_closed, cut)| {
            let mut start = Start::default();
            start.failure = failure.map(Failure::from_kind);
            start.peer_ended = peer_ended;
            start.fatal_alert = fatal_alert;
            start.half_closed = half_closed;
            start.cut = cut.map(|(shown_by, outcome)| Cut { shown_by, outcome: Some(outcome) });
            start
        },
    )
}

/// Drives one close through `script`, then through silence, and checks every step.
fn run(
    policy: ClosePolicy,
    limit_bytes: u64,
    start: Start,
    tls: Notified,
    script: &[(u16, Happening)],
) -> CloseReport {
    let began = Instant::now();
    let mut now = began;
    let mut machine = CloseMachine::new(policy, start, now);
    let mut seen = Seen::new(start);
    let mut script = script.iter();
    // A silent step ends a stretch of the close or a wait, and there are few of them: the loop is bounded.
    // While it settles, it also wakes up to ask the system, for as long as the flush may take.
    for _ in 0..script.len() + 2_000 {
        let Some(action) = machine.action() else { break };
        let timeout = machine.next_timeout().expect("a close that is not over has a timeout");
        assert!(timeout <= began + policy.longest(), "a timeout later than the longest close");
        let (millis, what) = script.next().copied().unwrap_or((0, Happening::Silence));
        // A driver never sleeps past the timeout.
        now = timeout.min(now + Duration::from_millis(millis.into()));
        let event = match (what, action) {
            (Happening::Silence, _) => {
                now = timeout;
                Event::Tick
            }
            (Happening::Works(_), Action::Flush) => Event::Flushed,
            (Happening::Works(_), Action::Notify) => Event::Notified(tls),
            (Happening::Works(_), Action::HalfClose { .. }) => Event::HalfClosed,
            (
                Happening::Works(share),
                Action::Discard { limit, .. }
                | Action::AwaitPeer { limit }
                | Action::Settle { limit: Some(limit) },
            ) => Event::Discarded((limit.get() * usize::from(share) / 255).max(1)),
            (Happening::Works(_), Action::Settle { limit: None }) => Event::Unacked(Some(1)),
            (Happening::PeerEnds, Action::AwaitPeer { .. }) => Event::PeerEnded,
            (Happening::PeerEnds, Action::Discard { .. } | Action::Settle { .. }) => Event::PeerFin,
            (Happening::PeerEnds | Happening::Progress, _) => Event::WriteProgress,
            (Happening::Fails(kind), _) => Event::Failed(Failure::from_kind(kind)),
            (Happening::ShutdownIn(time), _) => Event::ShutdownBy(now + time),
            (Happening::Abandoned, _) => Event::Abandoned,
            (Happening::Acknowledged, _) => Event::Acknowledged { rtt: Duration::from_millis(40) },
            (Happening::Evicted, _) => Event::Evicted,
            (Happening::Unacked(bytes), _) => Event::Unacked(bytes),
            (Happening::Stray(event), _) if answers(event, action) => Event::Tick,
            (Happening::Stray(event), _) => event,
        };
        let before = (machine.phase(), machine.action());
        machine.handle(event, now);
        if matches!(what, Happening::Stray(_)) && now < timeout {
            assert_eq!(before, (machine.phase(), machine.action()), "{event:?} does not answer {action:?}");
        }
        seen.step(action, event, machine.phase());
        seen.gathering(action, event, machine.action());
    }
    let report =
        machine.report().unwrap_or_else(|| panic!("still in {} after {:?}", machine.phase(), now - began));
    assert_eq!((machine.action(), machine.next_timeout()), (None, None));
    assert!(report.total_time() <= now - began);
    assert!(report.bytes_drained <= limit_bytes, "{} of {limit_bytes} bytes drained", report.bytes_drained);
    assert_eq!(report.bytes_drained, seen.drained);
    assert_eq!(report.failure, seen.first_failure, "the first failure is kept");
    report
}

fn answers(event: Event, action: Action) -> bool {
    matches!(
        (event, action),
        (Event::Flushed, Action::Flush)
            | (Event::CannotGather, Action::Discard { .. })
            | (Event::Notified(_), Action::Notify)
            | (Event::HalfClosed, Action::HalfClose { .. })
            | (Event::PeerEnded, Action::AwaitPeer { .. })
            | (Event::PeerFin, Action::Discard { .. } | Action::AwaitPeer { .. } | Action::Settle { .. })
    )
}

/// The wire, as the machine's driver would have written it.
struct Seen {
    phase: Phase,
    notified: u8,
    fins: u8,
    drained: u64,
    first_failure: Option<Failure>,
    gathers_no_more: bool,
}

impl Seen {
    fn new(start: Start) -> Self {
        Self {
            phase: Phase::Flush,
            notified: start.half_closed.is_some_and(Notified::includes_close_notify).into(),
            fins: start.half_closed.is_some().into(),
            drained: 0,
            first_failure: start.failure,
            gathers_no_more: false,
        }
    }

    fn step(&mut self, action: Action, event: Event, phase: Phase) {
        assert!(phase >= self.phase, "from {} back to {phase}", self.phase);
        self.phase = phase;
        match (action, event) {
            (Action::Notify, Event::Notified(sent)) => {
                assert_eq!(self.fins, 0, "close_notify after FIN");
                self.notified += u8::from(sent.includes_close_notify());
                self.fins += u8::from(sent == Notified::CloseNotifyAndFin);
            }
            (Action::HalfClose { .. }, Event::HalfClosed) => self.fins += 1,
            (
                Action::Discard { .. } | Action::AwaitPeer { .. } | Action::Settle { .. },
                Event::Discarded(bytes),
            ) => self.drained += bytes as u64,
            _ => {}
        }
        if let Event::Failed(failure) = event {
            self.first_failure.get_or_insert(failure);
        }
        assert!(self.fins <= 1, "more than one FIN");
        assert!(self.notified <= 1, "more than one close_notify");
        if phase == Phase::Drain {
            assert_eq!(self.fins, 1, "draining before the FIN is sent");
        }
    }

    /// Gathering begins after a MiB and never begins again. What was gathered is asked for before a timeout
    /// ends the close.
    fn gathering(&mut self, before: Action, event: Event, after: Option<Action>) {
        let wake_at = |action| match action {
            Some(Action::Discard { wake_at, .. }) => Some(wake_at.get()),
            _ => None,
        };
        let was_gathering = wake_at(Some(before)).is_some_and(|bytes| bytes > 1);
        match wake_at(after) {
            Some(1) => self.gathers_no_more |= was_gathering,
            Some(_) => {
                assert!(self.drained >= 1 << 20, "gathers after {} bytes", self.drained);
                assert!(!self.gathers_no_more, "gathers again");
            }
            None => assert!(!was_gathering || event != Event::Tick, "what was gathered is not counted"),
        }
    }
}

fn tls() -> impl Strategy<Value = Notified> {
    prop::sample::select(vec![Notified::Nothing, Notified::CloseNotify, Notified::CloseNotifyAndFin])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

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
    }
}

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
