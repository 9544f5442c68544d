//! Events for the machine: those that an honest driver reports, and nonsense.

use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use linger_proto::{
    Action, CloseMachine, CloseReport, Cut, CutShownBy, Event, Failure, Notified, Outcome, Phase, Release,
    Start,
};

use crate::policy::{AnyCut, AnyFailure, Known, Sent, Wishes};

/// One close, and what happens in it.
#[derive(Debug, Arbitrary)]
pub struct Case {
    wishes: Wishes,
    known: Known,
    restart: Option<(Wishes, Option<AnyCut>)>,
    tls: Sent,
    /// Whether the driver performs each action before it reports it, and never sleeps past a timeout.
    is_honest: bool,
    steps: Vec<(u16, Step)>,
}

/// What happens next.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Step {
    /// The action succeeds. Where it reads, this share of its limit is read.
    Works(u8),
    Progress,
    PeerEnds,
    Fails(AnyFailure),
    ShutdownIn(u32),
    Evicted,
    Abandoned,
    Acknowledged(u16),
    Unacked(Option<u16>),
    Silence,
    /// Bytes that arrived this many milliseconds ago, and were gathered since.
    Gathered(u8, u8),
    Stray(Stray),
}

/// An event, whether it answers the action or not.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Stray {
    Tick,
    Flushed,
    Notified(Sent),
    HalfClosed,
    Discarded(u32),
    DiscardedAll,
    CannotGather,
    PeerEnded,
    PeerFin,
    /// In seconds: up to centuries, or in the past.
    ShutdownBy(i64),
    /// At the last moment that there is.
    ShutdownNever,
}

/// Runs one close to its end, and checks what the documentation of `CloseMachine` promises.
pub fn run(case: &Case) {
    let began = Instant::now();
    let (mut policy, mut start) = (case.wishes.policy(), case.known.start());
    let mut machine = CloseMachine::new(policy, start, began);
    if let Some((wishes, cut)) = case.restart {
        (policy, start.cut) = (wishes.policy(), cut.map(AnyCut::cut));
        machine.restart(policy, start.cut, began);
    }
    assert_eq!(machine.policy(), &policy);
    let mut seen = Seen::new(start);
    let (mut now, mut steps) = (began, case.steps.iter().copied());
    // Each silent step ends a wait. While it settles, the machine asks the system twenty times a second.
    for _ in 0..case.steps.len() + 4_000 {
        let Some(action) = machine.action() else { break };
        let timeout = machine.next_timeout().expect("a close that is not over has a timeout");
        let (millis, step) = steps.next().unwrap_or((0, Step::Silence));
        let later = now + Duration::from_millis(millis.into());
        if case.is_honest {
            assert!(timeout <= began + policy.longest(), "a timeout beyond the longest close");
            now = now.max(timeout.min(later));
        } else {
            now = later;
        }
        let mut at = now;
        let event = match (step, action) {
            (Step::Silence, _) => {
                now = now.max(timeout);
                at = now;
                Event::Tick
            }
            (Step::Gathered(share, ago), Action::Discard { limit, .. }) => {
                at = now.checked_sub(Duration::from_millis(ago.into())).unwrap_or(now).max(began);
                Event::Discarded(part(limit.get(), share))
            }
            (Step::Stray(stray), _) => stray.event(began),
            (Step::Works(share), action) => works(action, share, case.tls.notified()),
            (step, action) => step.event(action, now),
        };
        let is_stray = matches!(step, Step::Stray(_));
        if case.is_honest && is_stray && (answers(event, action) || matches!(event, Event::Discarded(_))) {
            continue;
        }
        let before = (machine.phase(), machine.action());
        machine.handle(event, at);
        if case.is_honest && is_stray && now < timeout && !matches!(event, Event::ShutdownBy(_)) {
            assert_eq!(before, (machine.phase(), machine.action()), "{event:?} does not answer {action:?}");
        }
        seen.step(action, event, machine.phase(), case.is_honest);
    }
    let report = machine.report().unwrap_or_else(|| panic!("still in {} after {now:?}", machine.phase()));
    assert_eq!((machine.action(), machine.next_timeout()), (None, None));
    machine.handle(Event::Failed(AnyFailure::arbitrary_reset()), now);
    assert_eq!(machine.report(), Some(report), "a close ends once");
    assert_eq!(report.failure, seen.first_failure, "the first failure is kept");
    shown(&report);
    if case.is_honest {
        assert!(report.total_time() <= policy.longest());
        assert!(report.bytes_drained <= policy.drain_limit_bytes(), "{report}");
        assert_eq!(report.bytes_drained, seen.drained);
        check(&report, start);
    }
}

fn part(limit: usize, share: u8) -> usize {
    (limit * usize::from(share) / 255).max(1)
}

fn works(action: Action, share: u8, tls: Notified) -> Event {
    match action {
        Action::Flush => Event::Flushed,
        Action::Notify => Event::Notified(tls),
        Action::HalfClose { .. } => Event::HalfClosed,
        Action::Discard { limit, .. }
        | Action::AwaitPeer { limit }
        | Action::Settle { limit: Some(limit) } => Event::Discarded(part(limit.get(), share)),
        Action::Settle { limit: None } => Event::Unacked(Some(1)),
    }
}

impl Step {
    /// What an honest driver reports when this happens during that action.
    fn event(self, action: Action, now: Instant) -> Event {
        match self {
            Self::PeerEnds => match action {
                Action::AwaitPeer { .. } => Event::PeerEnded,
                Action::Discard { .. } | Action::Settle { .. } => Event::PeerFin,
                Action::Flush | Action::Notify | Action::HalfClose { .. } => Event::WriteProgress,
            },
            Self::Progress => Event::WriteProgress,
            Self::Fails(failure) => Event::Failed(failure.failure()),
            Self::ShutdownIn(millis) => Event::ShutdownBy(now + Duration::from_millis(millis.into())),
            Self::Evicted => Event::Evicted,
            Self::Abandoned => Event::Abandoned,
            Self::Acknowledged(millis) => Event::Acknowledged { rtt: Duration::from_millis(millis.into()) },
            Self::Unacked(bytes) => Event::Unacked(bytes.map(Into::into)),
            Self::Works(_) | Self::Silence | Self::Gathered(..) | Self::Stray(_) => Event::Tick,
        }
    }
}

impl Stray {
    fn event(self, began: Instant) -> Event {
        match self {
            Self::Tick => Event::Tick,
            Self::Flushed => Event::Flushed,
            Self::Notified(sent) => Event::Notified(sent.notified()),
            Self::HalfClosed => Event::HalfClosed,
            Self::Discarded(bytes) => Event::Discarded(bytes as usize),
            Self::DiscardedAll => Event::Discarded(usize::MAX),
            Self::CannotGather => Event::CannotGather,
            Self::PeerEnded => Event::PeerEnded,
            Self::PeerFin => Event::PeerFin,
            Self::ShutdownBy(seconds) => {
                let time = Duration::from_secs(seconds.unsigned_abs());
                let moved = if seconds < 0 { began.checked_sub(time) } else { began.checked_add(time) };
                Event::ShutdownBy(moved.unwrap_or(began))
            }
            Self::ShutdownNever => Event::ShutdownBy(last_moment(began)),
        }
    }
}

/// The last moment that the system's clock can have.
fn last_moment(from: Instant) -> Instant {
    let steps = (0..63).rev().map(|bit| Duration::from_secs(1 << bit));
    let steps = steps.chain((0..30).rev().map(|bit| Duration::from_nanos(1 << bit)));
    steps.fold(from, |at, step| at.checked_add(step).unwrap_or(at))
}

impl AnyFailure {
    fn arbitrary_reset() -> Failure {
        Failure::from_kind(std::io::ErrorKind::ConnectionReset)
    }
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

/// What is promised of the end, by what was known at the start.
fn check(report: &CloseReport, start: Start) {
    if start.fatal_alert.is_some() && start.half_closed.is_none() {
        assert!(!report.sent_close_notify, "close_notify after a fatal alert: {report}");
    }
    if let Some(Cut { shown_by, outcome }) = start.cut.filter(|_| start.half_closed.is_none()) {
        assert!(!report.sent_close_notify, "close_notify on a connection that is cut: {report}");
        let is_clean = matches!(report.outcome, Outcome::PeerClosed { .. });
        assert!(!is_clean || outcome.is_none(), "a cut connection is reported as cut: {report}");
        if Some(report.outcome) == outcome && shown_by != CutShownBy::Framing {
            assert_eq!(report.release, Release::Abort, "only a reset shows this cut: {report}");
        }
    }
    if let Some(failure) = start.failure.filter(|failure| failure.is_final()) {
        assert_eq!(report.outcome, failure.outcome(), "a failure seen before the close stays one");
    }
}

/// Whatever happened, its words are one line.
fn shown(report: &CloseReport) {
    for text in [report.to_string(), report.line().to_string()] {
        assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
    }
}

/// The wire, as the machine's driver would have written it.
struct Seen {
    phase: Phase,
    notified: u8,
    fins: u8,
    drained: u64,
    first_failure: Option<Failure>,
}

impl Seen {
    fn new(start: Start) -> Self {
        Self {
            phase: Phase::Flush,
            notified: start.half_closed.is_some_and(Notified::includes_close_notify).into(),
            fins: start.half_closed.is_some().into(),
            drained: 0,
            first_failure: start.failure,
        }
    }

    fn step(&mut self, action: Action, event: Event, phase: Phase, is_honest: bool) {
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
            ) => self.drained = self.drained.saturating_add(bytes as u64),
            _ => {}
        }
        if let Event::Failed(failure) = event {
            self.first_failure.get_or_insert(failure);
        }
        assert!(self.fins <= 1, "more than one FIN");
        assert!(self.notified <= 1, "more than one close_notify");
        if phase == Phase::Drain && is_honest {
            assert_eq!(self.fins, 1, "draining before the FIN is sent");
        }
    }
}
