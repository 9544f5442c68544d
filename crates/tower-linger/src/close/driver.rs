//! The close's only loop: action → I/O → event.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use linger_proto::{CloseMachine, ClosePolicy, CloseReport, Event, Outcome, Phase, Release};
use tokio::runtime::Handle;

use crate::clock::now;
use crate::close::log;
use crate::close::settings::Shared;
use crate::close::stream::Stream;
use crate::serve::observed::Seen;
use crate::tracker::tracker::{Ticket, Tracker};
use crate::transport::Transport;

/// Closes a connection properly, without any service or layer: flush, `close_notify`, FIN, bounded drain, release.
///
/// # Cancel safety
///
/// Dropping the future does not stop the close: it goes on in a task of its own.
///
/// # Runtimes
///
/// Outside of any runtime, or in one that has ended, it makes one best effort. In a tokio runtime without timers
/// (`Builder::enable_time`) a thread bounds it. Tokio tells that only by a panic, which is caught, once for each
/// such runtime, and which the panic hook prints. Enable the timers where panics abort the process.
///
/// # How many
///
/// All of these closes share a [`Tracker::new`]: of those that wait for their peers, at most half as many as the
/// process may have descriptors do so at once. For one more, the oldest ends as [`Evicted`](Outcome::Evicted).
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
    let shared =
        Shared { policy: policy.clone(), tracker, on_close: None, leaves_upgrades: false, is_heard: true };
    Close::new(io, Seen::default(), policy, Arc::new(shared))
}

/// A close that its owner awaits; made by [`close()`]. If it is dropped before its end, a task of its own goes on with it.
#[must_use = "futures do nothing unless polled"]
pub struct Close<T: Transport> {
    closing: Option<Closing<T>>,
}

impl<T: Transport> Drop for Close<T> {
    fn drop(&mut self) {
        match self.closing.take() {
            Some(closing) if closing.spawned => closing.abandon(),
            Some(closing) => Self::spawn(closing),
            None => {}
        }
    }
}

impl<T: Transport> Close<T> {
    pub(crate) fn new(io: T, seen: Seen, policy: Arc<ClosePolicy>, shared: Arc<Shared>) -> Self {
        Self { closing: Some(Closing::new(io, seen, policy, shared)) }
    }

    /// Ends the close by an abort: what was served must not look whole.
    pub(crate) fn abort(&mut self) {
        if let Some(closing) = &mut self.closing {
            closing.handle(Event::Aborted, now());
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
        let close = Self { closing: Some(closing) };
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(close));
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
    fn new(io: T, seen: Seen, policy: Arc<ClosePolicy>, shared: Arc<Shared>) -> Self {
        Self {
            machine: CloseMachine::new(policy, seen.into_start(), now()),
            stream: Stream::Session(Box::new(io)),
            ticket: Ticket::new(shared),
            waited: false,
            gathering: Gathering::NotYet,
            spawned: false,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CloseReport> {
        // The clock is read once, and again after what takes long: nothing waits in here.
        let mut at = now();
        for _ in 0..STEPS_PER_POLL {
            let Some(action) = self.machine.action() else { break };
            let event = match self.stream.perform(action, cx) {
                Poll::Ready(event) => event,
                Poll::Pending => ready!(self.wait(cx, at)),
            };
            if let Event::Discarded(_) = event {
                at = now();
            }
            self.handle(event, at);
        }
        if let Some(report) = self.machine.report() {
            return Poll::Ready(report);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Nothing can be done now: waits for a deadline, the server's or the machine's.
    fn wait(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<Event> {
        if self.machine.wants_acknowledgement() {
            if let Poll::Ready(event) = self.stream.poll_acknowledged(cx) {
                return Poll::Ready(event);
            }
        }
        if self.gathering == Gathering::NotYet && self.machine.bytes_drained() >= GATHERED_AFTER_BYTES {
            let gathers = self.stream.set_low_water(GATHERED_BYTES);
            self.gathering = if gathers { Gathering::Now } else { Gathering::NoMore };
        }
        if self.machine.next_timeout().is_none_or(|timeout| timeout <= at) {
            return Poll::Ready(self.time_is_up());
        }
        if self.waited && self.machine.phase() < Phase::Drain {
            // Woken, and not because its time is up: the peer took something. What else may wake a task is bounded by the flush
            // limit.
            self.handle(Event::WriteProgress, at);
        }
        self.waited = true;
        let timeout = self.machine.next_timeout().unwrap_or(at);
        match self.ticket.wait(cx, timeout, at, || self.stream.peer()) {
            Some(Event::ShutdownBy(deadline)) if deadline > at => {
                self.handle(Event::ShutdownBy(deadline), at);
                Poll::Pending
            }
            Some(Event::Abandoned) => {
                self.do_without_waiting();
                Poll::Ready(Event::Abandoned)
            }
            Some(event) => Poll::Ready(event),
            None => Poll::Pending,
        }
    }

    /// What has come and was not worth being woken for counts before a deadline does.
    fn time_is_up(&mut self) -> Event {
        if self.gathering != Gathering::Now {
            return Event::Tick;
        }
        self.gathering = Gathering::NoMore;
        self.stream.set_low_water(1);
        self.stream.discard_now(self.machine.action()).unwrap_or(Event::Tick)
    }

    fn handle(&mut self, event: Event, at: Instant) {
        let before = self.machine.phase();
        self.machine.handle(event, at);
        let after = self.machine.phase();
        if before != after {
            self.waited = false;
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
            let Poll::Ready(event) = self.stream.perform(action, &mut cx) else { break };
            self.handle(event, now());
        }
    }

    /// Lets go of the socket and tells about it.
    fn release(self, mut report: CloseReport) -> CloseReport {
        let Self { machine, stream, ticket, .. } = self;
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
        if ticket.shared().is_heard {
            report.unacked = stream.unacked();
        }
        drop(stream);
        log::outcome(&report);
        ticket.shared().report(&report);
        ticket.end(report.outcome);
        report
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
