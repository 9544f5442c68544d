//! Drives the machine by scripts of what may happen, and checks at each step what always holds. The scripts
//! are random, or written for one outcome or one wait. A random script that fails is printed, minimised, and
//! kept beside this file.

#![expect(
    clippy::disallowed_methods,
    reason = "the clock gives a point to count from, and is not read again"
)]

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use linger_proto::{Action, CloseMachine, ClosePolicy, CloseReport, Event, Failure, Notified, Phase, Start};

mod outcomes;
mod random;
mod waits;

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
