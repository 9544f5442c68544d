//! The machine of linger-proto, as the driver sees it, with a fault around it where a test asks for one.

use std::time::Instant;

use linger_proto::{Action, CloseMachine, CloseReport, Event, Outcome, Phase, Release};

/// What is wrong with a close. Each one breaks one property of `properties.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// It takes its own FIN for the peer's, so it ends where the drain would begin.
    SkipsTheDrain,
    /// It believes that everything is acknowledged as soon as it is sent.
    ResetsBeforeItIsAcknowledged,
    SendsFinTwice,
    SendsFinBeforeTheLastBytes,
    /// It never sees that time passes.
    ForgetsTheDeadline,
    TakesAResetForAFin,
    /// What comes after the end changes its report.
    ReportsAgain,
    GoesOnAfterTheReport,
    /// Where it stops in the middle of its writes, it asks for a close, which sends a FIN.
    ClosesWhatIsCutShort,
    /// It does not count what it drains.
    DrainsWithoutLimit,
    NotifiesAfterAFatalAlert,
}

/// A close: the machine, and perhaps a fault.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Close {
    machine: CloseMachine,
    fault: Option<Fault>,
    /// Whether the fault has done its work.
    is_done: bool,
    began: Instant,
}

impl Close {
    pub(crate) fn new(machine: CloseMachine, fault: Option<Fault>, began: Instant) -> Self {
        Self { machine, fault, is_done: false, began }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.machine.phase()
    }

    pub(crate) fn bytes_left(&self) -> u64 {
        self.machine.bytes_left()
    }

    pub(crate) fn wants_acknowledgement(&self) -> bool {
        self.machine.wants_acknowledgement()
    }

    pub(crate) fn action(&self) -> Option<Action> {
        let action = self.machine.action();
        match self.fault {
            Some(Fault::SendsFinBeforeTheLastBytes) if !self.is_done => {
                Some(Action::HalfClose { below_session: false })
            }
            Some(Fault::NotifiesAfterAFatalAlert)
                if !self.is_done && matches!(action, Some(Action::HalfClose { .. })) =>
            {
                Some(Action::Notify)
            }
            Some(Fault::GoesOnAfterTheReport) if action.is_none() => Some(Action::Notify),
            _ => action,
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        match self.fault {
            Some(Fault::ForgetsTheDeadline) => None,
            _ => self.machine.next_timeout(),
        }
    }

    pub(crate) fn handle(&mut self, event: Event, now: Instant) {
        match (self.fault, event) {
            (Some(Fault::ForgetsTheDeadline), event) => self.machine.handle(event, self.began),
            (Some(Fault::ResetsBeforeItIsAcknowledged), Event::Unacked(Some(_))) => {
                self.machine.handle(Event::Unacked(Some(0)), now);
            }
            (Some(Fault::SendsFinTwice | Fault::SendsFinBeforeTheLastBytes), Event::HalfClosed)
            | (Some(Fault::NotifiesAfterAFatalAlert), Event::Notified(_))
                if !self.is_done =>
            {
                self.is_done = true;
            }
            (Some(Fault::TakesAResetForAFin), Event::Failed(failure))
                if failure.outcome() == Outcome::PeerReset =>
            {
                self.machine.handle(Event::PeerFin, now);
            }
            (Some(Fault::DrainsWithoutLimit), Event::Discarded(_)) => {
                self.machine.handle(Event::Discarded(0), now);
            }
            (Some(Fault::ReportsAgain), _) if self.machine.phase() == Phase::Done => self.is_done = true,
            (_, event) => self.machine.handle(event, now),
        }
        if self.fault == Some(Fault::SkipsTheDrain) && self.machine.phase() == Phase::Drain {
            self.machine.handle(Event::PeerFin, now);
        }
    }

    pub(crate) fn report(&self) -> Option<CloseReport> {
        let mut report = self.machine.report()?;
        match self.fault {
            Some(Fault::ReportsAgain) if self.is_done => report.outcome = Outcome::Cancelled,
            Some(Fault::ClosesWhatIsCutShort) => report.release = Release::Close,
            _ => {}
        }
        Some(report)
    }
}
