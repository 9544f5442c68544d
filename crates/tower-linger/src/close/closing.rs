//! The close's only loop: action → I/O → event.

use std::num::{NonZeroU32, NonZeroUsize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use linger_proto::{Action, CloseMachine, ClosePolicy, CloseReport, Event, Outcome, Phase, Release, Start};

use crate::classify::Ending;
use crate::clock::now;
use crate::close::meter::Meter;
use crate::close::progress::Progress;
use crate::close::stream::Stream;
use crate::close::ticket::Ticket;
use crate::close::verdict::Verdict;
use crate::sync::runtime::Handle;
use crate::transport::Transport;

/// A connection that is being closed.
pub(crate) struct Closing<T: Transport> {
    machine: CloseMachine,
    stream: Stream<T>,
    /// Dropped last, after the report: when the tracker is empty, all reports are out.
    ticket: Ticket,
    /// Whether the transport has woken us while something of ours is written.
    progress: Progress,
    /// How many bytes of the peer have to be there to wake us.
    woken_at: NonZeroU32,
    verdict: Verdict,
}

/// Most steps in one poll: one close discards at most this many times 1 MiB before it lets other tasks run.
const STEPS_PER_POLL: usize = 16;

impl<T: Transport> Closing<T> {
    pub(super) fn new(
        io: T,
        mut start: Start,
        verdict: Verdict,
        policy: Arc<ClosePolicy>,
        mut ticket: Ticket,
    ) -> Self {
        start.cut = verdict.cut();
        start.ends_with_notify = io.ends_with_notify();
        let stream = Stream::Session(Box::new(io));
        ticket.begin_span(|| stream.ends());
        Self {
            machine: CloseMachine::new(policy, start, now()),
            stream,
            ticket,
            progress: Progress::default(),
            woken_at: NonZeroU32::MIN,
            verdict,
        }
    }

    /// Begins again in the way that the service's result asks for. No action was performed yet.
    pub(super) fn restart(&mut self, ending: Ending) {
        let cut = self.verdict.cut_by(ending);
        let policy = match ending {
            Ending::GracefulBy(policy) => Arc::new(policy),
            // That is how it has begun.
            _ if cut == self.verdict.cut() => return,
            Ending::AsSeen | Ending::Graceful | Ending::Abort | Ending::Reset => self.machine.shared_policy(),
        };
        self.machine.restart(policy, cut, now());
    }

    pub(super) fn phase(&self) -> Phase {
        self.machine.phase()
    }

    /// A runtime that can go on with the close.
    pub(super) fn runtime(&self) -> Option<Handle> {
        self.ticket.runtime()
    }

    /// Whether the transport panicked when it was asked for something.
    pub(super) fn has_panicked(&self) -> bool {
        self.ticket.is_performing
    }

    /// Whether it runs in a task of its own already.
    pub(super) fn is_detached(&self) -> bool {
        self.ticket.is_detached
    }

    pub(super) fn set_detached(&mut self) {
        self.ticket.is_detached = true;
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CloseReport> {
        // The clock is read once, and again after what takes long: nothing waits in here.
        let mut at = now();
        for _ in 0..STEPS_PER_POLL {
            let Some(action) = self.machine.action() else { break };
            let event = match self.perform(action, cx) {
                Poll::Ready(event) => event,
                Poll::Pending => ready!(self.wait(cx, at)),
            };
            if let Event::Discarded(_) = event {
                at = now();
            }
            self.handle(event, at);
        }
        if self.machine.action().is_some() {
            // The server's deadline and limits also hold if the peer sends so fast that we never wait.
            if let Poll::Ready(event) = self.await_decision(cx, at) {
                self.handle(event, at);
            }
        }
        if let Some(report) = self.machine.report() {
            return Poll::Ready(report);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Asks the transport for one action, and remembers whether it is the transport that wakes us while our
    /// own bytes are written.
    fn perform(&mut self, action: Action, cx: &mut Context<'_>) -> Poll<Event> {
        self.ticket.is_performing = true;
        let writes = matches!(action, Action::Flush | Action::Notify | Action::HalfClose { .. });
        let polled = if writes {
            let stream = &mut self.stream;
            self.progress.poll(cx, |cx| stream.perform(action, cx))
        } else {
            self.stream.perform(action, cx)
        };
        self.ticket.is_performing = false;
        polled
    }

    /// Nothing can be done now: waits for a deadline, the server's or the machine's.
    fn wait(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<Event> {
        if self.machine.wants_acknowledgement() {
            if let Poll::Ready(event) = self.stream.poll_acknowledged(cx) {
                return Poll::Ready(event);
            }
        }
        if self.machine.phase() == Phase::Settle {
            self.handle(Event::Unacked(self.stream.unacked()), at);
        }
        if let Some(Action::Discard { limit, wake_at }) = self.machine.action() {
            if wake_at != self.woken_at {
                self.set_low_water(limit, wake_at, at);
            }
        }
        if self.progress.take(|| self.stream.unacked()) {
            self.handle(Event::WriteProgress, at);
        }
        if self.machine.next_timeout().is_none_or(|timeout| timeout <= at) {
            return Poll::Ready(Event::Tick);
        }
        self.await_decision(cx, at)
    }

    /// Waits until the machine's time is up, or until something is decided about this close.
    fn await_decision(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<Event> {
        let timeout = self.machine.next_timeout().unwrap_or(at);
        match self.ticket.wait(cx, timeout, at, || self.stream.peer()) {
            // The machine may give what is cut a moment more.
            Some(event @ Event::ShutdownBy(_)) => {
                self.handle(event, at);
                match self.machine.next_timeout() {
                    // It is woken at its new time, not only at the one before.
                    Some(shortened) if shortened > at => {
                        if shortened < timeout {
                            let _known = self.ticket.wait(cx, shortened, at, || self.stream.peer());
                        }
                        Poll::Pending
                    }
                    _ => Poll::Ready(Event::Tick),
                }
            }
            Some(Event::Abandoned) => {
                self.do_without_waiting();
                Poll::Ready(Event::Abandoned)
            }
            Some(event) => Poll::Ready(event),
            None => Poll::Pending,
        }
    }

    /// Has us woken when that many bytes are there. Bytes below the old mark have woken nobody, so they are
    /// read when it falls, and count from when they came.
    fn set_low_water(&mut self, limit: NonZeroUsize, wake_at: NonZeroU32, at: Instant) {
        let is_set = self.stream.set_low_water(wake_at.get());
        if wake_at > self.woken_at {
            if is_set {
                self.woken_at = wake_at;
            } else {
                self.handle(Event::CannotGather, at);
            }
            return;
        }
        self.woken_at = wake_at;
        let ago = self.stream.last_received();
        if let Some(event) = self.stream.discard_now(limit) {
            let came_at = ago.and_then(|ago| at.checked_sub(ago)).unwrap_or(at);
            self.handle(event, came_at);
        }
    }

    fn handle(&mut self, event: Event, at: Instant) {
        let before = self.machine.phase();
        self.machine.handle(event, at);
        let after = self.machine.phase();
        if before != after {
            self.progress = Progress::default();
            self.ticket.span().phase(before, after);
        }
    }

    /// Nobody will poll this any more: does once what can be done without waiting.
    pub(super) fn abandon(mut self) {
        self.do_without_waiting();
        self.handle(Event::Abandoned, now());
        if let Some(report) = self.machine.report() {
            let _ = self.release(report);
        }
    }

    fn do_without_waiting(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..STEPS_PER_POLL {
            let Some(action) = self.machine.action() else { break };
            // This may run while the thread unwinds: then a panic of the transport would take the process
            // along.
            let polled = catch_unwind(AssertUnwindSafe(|| self.stream.perform(action, &mut cx)));
            let Ok(Poll::Ready(event)) = polled else { break };
            self.handle(event, now());
        }
    }

    /// Releases the socket and reports.
    pub(super) fn release(self, mut report: CloseReport) -> CloseReport {
        let Self { machine, stream, ticket, .. } = self;
        match report.release {
            Release::Abort if stream.abort() => {}
            // There is no RST on this transport.
            Release::Abort => report.release = Release::Close,
            Release::Close if report.outcome.is_connection_over() => {}
            // What has arrived belongs to whoever holds the other descriptor.
            Release::Close if report.outcome == Outcome::LeftOpen => {}
            Release::Close => {
                if let Some(timeout) = machine.policy().orphan_timeout() {
                    stream.bound_orphan(timeout);
                }
                // Of a peer that is done nothing can have arrived.
                if report.outcome != Outcome::PeerDone {
                    report.bytes_drained += stream.discard_arrived(machine.bytes_left());
                }
            }
        }
        if ticket.settings().wants_report || Meter::wants_unacked(&report) {
            report.unacked = stream.unacked();
        }
        drop(stream);
        ticket.end(&report);
        report
    }

    /// The transport panicked: it is asked for nothing any more.
    pub(super) fn give_up(mut self) {
        self.handle(Event::Abandoned, now());
        let Self { machine, stream, ticket, .. } = self;
        drop(stream);
        if let Some(report) = machine.report() {
            ticket.end(&report);
        }
    }
}
