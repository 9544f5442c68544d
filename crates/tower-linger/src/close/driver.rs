//! The close's only loop: action → I/O → event.

use std::fmt;
use std::future::Future;
use std::num::{NonZeroU32, NonZeroUsize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use linger_proto::{
    Action, CloseMachine, ClosePolicy, CloseReport, CutShownBy, Event, Outcome, Phase, Release, Start,
};

use crate::classify::Ending;
use crate::clock::now;
use crate::close::log;
use crate::close::progress::Progress;
use crate::close::settings::Settings;
use crate::close::stream::Stream;
use crate::close::ticket::Ticket;
use crate::close::verdict::{Ends, Verdict};
use crate::tracker::tracker::Tracker;
use crate::transport::Transport;

/// Closes one connection properly, where there is no service and no layer: flush, `close_notify`, FIN,
/// bounded drain, release.
///
/// Only its caller can wait for it, by awaiting the [`Close`]: no [`Tracker`] that a shutdown waits for
/// counts it. A server that closes connections by hand calls [`LingerLayer::close`](crate::LingerLayer::close).
///
/// # Cancel safety
///
/// Dropping the future does not stop the close: it goes on in a task of its own, which ends with its runtime
/// and for which nobody can wait.
///
/// # Runtimes
///
/// Outside of any runtime, or in one that has ended, it makes one best effort. In a tokio runtime without
/// timers (`Builder::enable_time`) a thread bounds it. Tokio tells that only by a panic, which is caught,
/// once for each such runtime, and which the panic hook prints. Enable the timers where panics abort the
/// process.
///
/// # How many
///
/// All of these closes share a [`Tracker::new`]: of those that wait for their peers, at most half as many as
/// the process may have descriptors do so at once. For one more, the oldest ends as
/// [`Evicted`](Outcome::Evicted).
///
/// # Examples
///
/// ```
/// use tokio::io::AsyncWriteExt;
/// use tower_linger::{ClosePolicy, Outcome, close};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// let (mut server, _) = listener.accept().await?;
/// server.write_all(b"bye").await?;
/// drop(client);
/// let report = close(server, &ClosePolicy::default()).await;
/// println!("{report}");
/// # Ok(()) }
/// ```
pub fn close<T: Transport>(io: T, policy: &ClosePolicy) -> Close<T> {
    // They share the timer that a tracker has for each runtime, and its limit.
    static TRACKER: OnceLock<Tracker> = OnceLock::new();
    let tracker = TRACKER.get_or_init(Tracker::new).clone();
    let policy = Arc::new(*policy);
    Close::of_unserved(io, Arc::new(Settings { policy, tracker, wants_report: true, ..Settings::default() }))
}

/// A close that its owner awaits; made by [`close()`] and [`LingerLayer::close`](crate::LingerLayer::close). If
/// it is dropped before its end, a task of its own goes on with it.
#[must_use = "futures do nothing unless polled"]
pub struct Close<T: Transport> {
    closing: Option<Closing<T>>,
}

impl<T: Transport> Drop for Close<T> {
    fn drop(&mut self) {
        match self.closing.take() {
            // The transport panicked; asked again while the thread unwinds, it would take the process along.
            Some(closing) if closing.is_performing => closing.give_up(),
            Some(closing) if closing.is_detached => closing.abandon(),
            Some(closing) => Self { closing: Some(closing) }.detach(),
            None => {}
        }
    }
}

impl<T: Transport> Close<T> {
    pub(crate) fn new(
        io: T,
        start: Start,
        verdict: Verdict,
        policy: Arc<ClosePolicy>,
        ticket: Ticket,
    ) -> Self {
        Self { closing: Some(Closing::new(io, start, verdict, policy, ticket)) }
    }

    /// Closes a connection that was never served through a [`LingerIo`](crate::LingerIo).
    pub(crate) fn of_unserved(io: T, settings: Arc<Settings>) -> Self {
        let policy = settings.policy.clone();
        Self::new(io, Start::default(), Verdict::WHOLE, policy, Ticket::of_unknown(settings))
    }

    /// Takes the word of somebody who has seen the service's result. Before the first poll.
    pub(crate) fn classified(&mut self, ending: Ending) {
        let Some(closing) = &mut self.closing else { return };
        let Verdict { ends, shown_by } = closing.verdict;
        let as_seen = closing.verdict.cut();
        let cut = match (ending, ends) {
            (Ending::Reset, _) => Some(Verdict::aborted(CutShownBy::Reset)),
            (Ending::Graceful | Ending::GracefulBy(_), Ends::Whole | Ends::Unknown(_)) => None,
            // It was decided before, or the peer was told by the service's half-close; or something is
            // unanswered, which is no graceful end whatever the result says.
            (_, Ends::Cut(_) | Ends::Told | Ends::Busy) | (Ending::AsSeen, _) => as_seen,
            (Ending::Abort, _) => Some(Verdict::aborted(shown_by)),
        };
        let policy = match ending {
            Ending::GracefulBy(policy) => Arc::new(policy),
            _ => closing.machine.shared_policy(),
        };
        closing.machine.restart(policy, cut, now());
    }

    /// Goes on in a task of its own. Where there is no runtime, or it is shutting down, the task is dropped
    /// at once, which is the close's last resort.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that spawns a close; its ticket is in the tracker"
    )]
    pub(crate) fn detach(mut self) {
        let Some(closing) = &mut self.closing else { return };
        closing.is_detached = true;
        if let Some(runtime) = closing.ticket.runtime() {
            drop(runtime.spawn(self));
        }
    }
}

impl<T: Transport> Future for Close<T> {
    type Output = CloseReport;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReport> {
        let report = match &mut self.closing {
            Some(closing) => ready!(closing.poll(cx)),
            // Polled again after completion.
            None => return Poll::Pending,
        };
        match self.closing.take() {
            Some(closing) => Poll::Ready(closing.release(report)),
            None => Poll::Ready(report),
        }
    }
}

impl<T: Transport> fmt::Debug for Close<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = self.closing.as_ref().map(|closing| closing.machine.phase());
        f.debug_struct("Close").field("phase", &phase).finish_non_exhaustive()
    }
}

/// A connection that is being closed.
struct Closing<T: Transport> {
    machine: CloseMachine,
    stream: Stream<T>,
    /// Dropped last, after the report: who waits for the tracker has all reports.
    ticket: Ticket,
    /// Tells whether the transport woke us, while something of ours is written.
    progress: Progress,
    /// How many bytes of the peer wake us.
    woken_at: NonZeroU32,
    verdict: Verdict,
    /// Whether it runs in a task of its own already.
    is_detached: bool,
    /// Whether the transport is being asked for something: if this is seen at another time, it panicked.
    is_performing: bool,
}

/// Most steps in one poll: one close discards at most this many times 1 MiB before it lets other tasks run.
const STEPS_PER_POLL: usize = 16;

impl<T: Transport> Closing<T> {
    fn new(io: T, mut start: Start, verdict: Verdict, policy: Arc<ClosePolicy>, ticket: Ticket) -> Self {
        start.cut = verdict.cut();
        Self {
            machine: CloseMachine::new(policy, start, now()),
            stream: Stream::Session(Box::new(io)),
            ticket,
            progress: Progress::default(),
            woken_at: NonZeroU32::MIN,
            verdict,
            is_detached: false,
            is_performing: false,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CloseReport> {
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
            // A peer that never lets us wait is no exception to the server's deadline and limits.
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

    /// Asks the transport for one action. While our own bytes are written, it is noticed whether it is the
    /// transport that wakes us.
    fn perform(&mut self, action: Action, cx: &mut Context<'_>) -> Poll<Event> {
        self.is_performing = true;
        let writes = matches!(action, Action::Flush | Action::Notify | Action::HalfClose { .. });
        let polled = if writes {
            let stream = &mut self.stream;
            self.progress.poll(cx, |cx| stream.perform(action, cx))
        } else {
            self.stream.perform(action, cx)
        };
        self.is_performing = false;
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
            log::phase(before, after);
        }
    }

    /// Nobody will poll this any more: what can be done without waiting is done once.
    fn abandon(mut self) {
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

    /// Lets go of the socket and tells about it.
    fn release(self, mut report: CloseReport) -> CloseReport {
        let Self { machine, stream, ticket, .. } = self;
        match report.release {
            Release::Abort if stream.abort() => {}
            // There is no RST on this transport.
            Release::Abort => report.release = Release::Close,
            Release::Close if report.outcome.is_connection_over() => {}
            // What has arrived is for whoever holds the other descriptor.
            Release::Close if report.outcome == Outcome::LeftOpen => {}
            Release::Close => {
                if let Some(timeout) = machine.policy().orphan_timeout() {
                    stream.bound_orphan(timeout);
                }
                report.bytes_drained += stream.discard_arrived(machine.bytes_left());
            }
        }
        if ticket.settings().wants_report {
            report.unacked = stream.unacked();
        }
        drop(stream);
        Self::tell(ticket, &report);
        report
    }

    /// The transport panicked: it is asked for nothing any more.
    fn give_up(mut self) {
        self.handle(Event::Abandoned, now());
        let Self { machine, stream, ticket, .. } = self;
        drop(stream);
        if let Some(report) = machine.report() {
            Self::tell(ticket, &report);
        }
    }

    fn tell(ticket: Ticket, report: &CloseReport) {
        log::outcome(report);
        ticket.settings().report(report);
        ticket.end(report.outcome);
    }
}

#[cfg(all(test, feature = "rustls"))]
mod tests {
    use std::mem::size_of;

    use super::*;

    /// Ten thousand of them wait at once. A session is apart, and gone before the drain.
    #[test]
    fn a_close_is_small_whatever_it_closes() {
        let plain = size_of::<Close<tokio::net::TcpStream>>();
        let tls = size_of::<Close<tokio_rustls::server::TlsStream<tokio::net::TcpStream>>>();
        // With what a layer's future adds, it fits tokio's task of 384 bytes.
        assert!(plain <= 240 && tls == plain, "{plain} and {tls} bytes");
    }
}
