//! The close's only loop: action → I/O → event.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use linger_proto::{CloseMachine, ClosePolicy, CloseReport, Event, Outcome, Phase, Release};
use pin_project_lite::pin_project;
use tokio::runtime::Handle;
use tokio::time::Sleep;

use crate::clock::{now, sleep_until};
use crate::observe;
use crate::seen::Seen;
use crate::shared::Shared;
use crate::stream::Stream;
use crate::tracker::Ticket;
use crate::transport::Transport;

/// Closes a connection properly, without any service or layer: flush, `close_notify`, FIN, bounded drain, release.
///
/// # Cancel safety
///
/// Dropping the future does not stop the close: it goes on in a task of its own.
///
/// # Panics
///
/// If it is polled outside a tokio runtime with its time driver enabled.
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
    let shared = Arc::new(Shared { is_heard: true, ..Shared::new(*policy) });
    Close::new(io, Seen::default(), shared.policy.clone(), &shared)
}

pin_project! {
    /// A close that its owner awaits; made by [`close()`]. If it is dropped before its end, a task of its own goes on
    /// with it.
    #[must_use = "futures do nothing unless polled"]
    pub struct Close<T: Transport> {
        closing: Option<Closing<T>>,
        #[pin]
        timer: Timer,
    }

    impl<T: Transport> PinnedDrop for Close<T> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            match this.closing.take() {
                Some(closing) if closing.spawned => closing.abandon(),
                Some(closing) => Close::spawn(closing),
                None => {}
            }
        }
    }
}

impl<T: Transport> Close<T> {
    pub(crate) fn new(io: T, seen: Seen, policy: Arc<ClosePolicy>, shared: &Arc<Shared>) -> Self {
        let closing = Closing::new(io, seen, policy, shared);
        Self { closing: Some(closing), timer: Timer::default() }
    }

    /// Ends the close by an abort: what was served must not look whole.
    pub(crate) fn abort(&mut self) {
        if let Some(closing) = &mut self.closing {
            closing.handle(Event::Aborted);
        }
    }

    /// Begins by another policy, before the first poll.
    pub(crate) fn restart(&mut self, policy: ClosePolicy) {
        if let Some(closing) = &mut self.closing {
            closing.machine.restart(policy, now());
        }
    }

    /// Runs the close in a task of its own. Where there is no runtime, or it is shutting down, the task is dropped
    /// at once, which is the close's last resort.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that spawns a close; its ticket is in the tracker"
    )]
    fn spawn(mut closing: Closing<T>) {
        closing.spawned = true;
        let close = Self { closing: Some(closing), timer: Timer::default() };
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(close));
        }
    }
}

impl<T: Transport> Future for Close<T> {
    type Output = CloseReport;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReport> {
        let this = self.project();
        let report = match this.closing {
            Some(closing) => ready!(closing.poll(this.timer, cx)),
            // Polled again after completion.
            None => return Poll::Pending,
        };
        match this.closing.take() {
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
    shared: Arc<Shared>,
    /// Dropped last, after the report: who waits for the tracker has all reports.
    ticket: Ticket,
    /// Whether the current write was pending before, so that being polled again means progress.
    waited: bool,
    gathering: Gathering,
    /// Whether it runs in a task of its own already.
    spawned: bool,
}

/// Whether the close is woken only when a lot of bytes are there: a peer that sends without end costs a fifth so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gathering {
    NotYet,
    Now,
    /// The peer has become slow: then every byte counts.
    NoMore,
}

/// A peer that has sent this much after our FIN is not about to stop.
const GATHERED_AFTER_BYTES: u64 = 1 << 20;

/// Worth being woken for. The kernel holds as much, for each peer that sends so much, in its receive buffer.
const GATHERED_BYTES: u32 = 256 << 10;

/// Most steps in one poll: one close discards at most this many times 1 MiB before it lets other tasks run.
const STEPS_PER_POLL: usize = 16;

impl<T: Transport> Closing<T> {
    fn new(io: T, seen: Seen, policy: Arc<ClosePolicy>, shared: &Arc<Shared>) -> Self {
        Self {
            machine: CloseMachine::new(policy, seen.into_start(), now()),
            stream: Stream::Session(Box::new(io)),
            shared: shared.clone(),
            ticket: shared.tracker.register(),
            waited: false,
            gathering: Gathering::NotYet,
            spawned: false,
        }
    }

    fn poll(&mut self, mut timer: Pin<&mut Timer>, cx: &mut Context<'_>) -> Poll<CloseReport> {
        for _ in 0..STEPS_PER_POLL {
            let Some(action) = self.machine.action() else { break };
            let event = match self.stream.perform(action, cx) {
                Poll::Ready(event) => event,
                Poll::Pending => ready!(self.wait(timer.as_mut(), cx)),
            };
            self.handle(event);
        }
        if let Some(report) = self.machine.report() {
            return Poll::Ready(report);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Nothing can be done now: waits for a deadline, the server's or the machine's.
    fn wait(&mut self, timer: Pin<&mut Timer>, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(event) = self.ticket.wait(cx, || self.stream.peer()) {
            self.handle(event);
        }
        if self.machine.wants_acknowledgement() {
            if let Poll::Ready(event) = self.stream.poll_acknowledged(cx) {
                return Poll::Ready(event);
            }
        }
        if self.gathering == Gathering::NotYet && self.machine.bytes_drained() >= GATHERED_AFTER_BYTES {
            let gathers = self.stream.set_low_water(GATHERED_BYTES);
            self.gathering = if gathers { Gathering::Now } else { Gathering::NoMore };
        }
        let Some(timeout) = self.machine.next_timeout() else { return Poll::Ready(Event::Tick) };
        if timer.poll_until(timeout, cx).is_ready() {
            return Poll::Ready(self.tick(timeout));
        }
        if self.waited && self.machine.phase() < Phase::Drain {
            // Woken, and not by the timer: the peer took something. What else may wake a task is bounded by the flush
            // limit.
            self.handle(Event::WriteProgress);
        }
        self.waited = true;
        Poll::Pending
    }

    /// The timer fired. What has come and was not worth being woken for counts before the deadline does.
    fn tick(&mut self, timeout: Instant) -> Event {
        if self.gathering != Gathering::Now || timeout > now() {
            return Event::Tick;
        }
        self.gathering = Gathering::NoMore;
        self.stream.set_low_water(1);
        self.stream.discard_now(self.machine.action()).unwrap_or(Event::Tick)
    }

    fn handle(&mut self, event: Event) {
        let before = self.machine.phase();
        self.machine.handle(event, now());
        let after = self.machine.phase();
        if before != after {
            self.waited = false;
            observe::phase(before, after);
        }
    }

    /// Nobody will poll this any more: what can be done without waiting is done once.
    fn abandon(mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..STEPS_PER_POLL {
            let Some(action) = self.machine.action() else { break };
            match self.stream.perform(action, &mut cx) {
                Poll::Ready(event) => self.handle(event),
                Poll::Pending => break,
            }
        }
        self.handle(Event::Abandoned);
        if let Some(report) = self.machine.report() {
            let _ = self.release(report);
        }
    }

    /// Lets go of the socket and tells about it.
    fn release(self, mut report: CloseReport) -> CloseReport {
        let Self { machine, stream, shared, ticket, .. } = self;
        match report.release {
            Release::Abort => stream.abort(),
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
        if shared.is_heard {
            report.unacked = stream.unacked();
        }
        drop(stream);
        observe::outcome(&report);
        shared.report(&report);
        ticket.end(report.outcome);
        report
    }
}

pin_project! {
    /// The one timer of a close: armed only when there is something to wait for, and moved only to an earlier time.
    /// A deadline that moved later is noticed when the timer fires.
    #[derive(Default)]
    struct Timer {
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Timer {
    fn poll_until(mut self: Pin<&mut Self>, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut sleep = self.as_mut().project().sleep;
        match sleep.as_mut().as_pin_mut() {
            None => sleep.set(Some(sleep_until(deadline))),
            Some(armed) if deadline < armed.deadline().into_std() => armed.reset(deadline.into()),
            Some(_) => {}
        }
        if let Some(armed) = sleep.as_mut().as_pin_mut() {
            ready!(armed.poll(cx));
        }
        sleep.set(None);
        Poll::Ready(())
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
        assert!(plain <= 384 && tls == plain, "{plain} and {tls} bytes");
    }
}
