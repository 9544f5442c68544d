//! A close as its owner holds it: awaited, dropped, or detached into a task of its own.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use linger_proto::{ClosePolicy, CloseReport, Start};

use crate::classify::Ending;
use crate::close::closing::Closing;
use crate::close::settings::{Current, Settings};
use crate::close::ticket::Ticket;
use crate::close::verdict::Verdict;
use crate::transport::Transport;

/// Closes one connection properly, where there is no service and no layer: flush, `close_notify`, FIN,
/// bounded drain, release.
///
/// Only its caller can wait for it, by awaiting the [`Close`]: no [`Tracker`](crate::Tracker) that a shutdown
/// waits for counts it. A server that closes connections by hand calls
/// [`LingerLayer::close`](crate::LingerLayer::close).
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
/// All of these closes share one tracker, made by [`Tracker::new`](crate::Tracker::new). So at most half as
/// many of them wait for their peers at once as the process may have descriptors. For one more, the oldest
/// ends as [`Evicted`](crate::Outcome::Evicted).
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
    // They share a tracker, which has a timer for each runtime and a limit, and the spans of a second.
    static SHARED: OnceLock<Settings> = OnceLock::new();
    let shared = SHARED.get_or_init(Settings::default).clone();
    let policy = Current::new(*policy);
    Close::of_unserved(io, Arc::new(Settings { policy, wants_report: true, ..shared }))
}

/// A close that its owner awaits; made by [`close()`] and [`LingerLayer::close`](crate::LingerLayer::close).
/// If it is dropped before its end, a task of its own goes on with it.
#[must_use = "futures do nothing unless polled"]
pub struct Close<T: Transport> {
    /// Boxed, so that a connection that is served pays for none of it, and handing it over moves a pointer.
    closing: Option<Box<Closing<T>>>,
}

impl<T: Transport> Drop for Close<T> {
    fn drop(&mut self) {
        match self.closing.take() {
            // If it panicked once more while the thread unwinds, the process would abort.
            Some(closing) if closing.has_panicked() => closing.give_up(),
            Some(closing) if closing.is_detached() => closing.abandon(),
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
        Self { closing: Some(Box::new(Closing::new(io, start, verdict, policy, ticket))) }
    }

    /// Closes a connection that was never served through a [`LingerIo`](crate::LingerIo).
    pub(crate) fn of_unserved(io: T, settings: Arc<Settings>) -> Self {
        let policy = settings.policy.get();
        Self::new(io, Start::default(), Verdict::WHOLE, policy, Ticket::of_unknown(settings))
    }

    /// What it consists of, without its type. Nothing goes on with the close until it is restored.
    pub(crate) fn erase(mut self) -> Option<Box<dyn Any + Send>> {
        self.closing.take().map(|closing| closing as _)
    }

    pub(crate) fn restore(erased: Box<dyn Any + Send>) -> Option<Self> {
        erased.downcast().ok().map(|closing| Self { closing: Some(closing) })
    }

    /// Takes the service's result into account. To be called before the first poll.
    pub(crate) fn classified(&mut self, ending: Ending) {
        if let Some(closing) = &mut self.closing {
            closing.restart(ending);
        }
    }

    /// Lets the close go on in a task of its own, for which the tracker still waits. Dropping it does the
    /// same; a call shows that it is meant. Outside of any runtime, the task runs where the last of the
    /// tracker's present connections began; if that is nowhere, the close makes one best effort.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that spawns a close; its ticket is in the tracker"
    )]
    pub fn detach(mut self) {
        let Some(closing) = &mut self.closing else { return };
        closing.set_detached();
        // A runtime that is shutting down drops the task at once, which makes the best effort.
        if let Some(runtime) = closing.runtime() {
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
        let phase = self.closing.as_ref().map(|closing| closing.phase());
        f.debug_struct("Close").field("phase", &phase).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "rustls"))]
mod tests {
    use std::mem::size_of;

    use super::*;

    /// Ten thousand of them wait at once. A session is apart, and gone before the drain.
    #[test]
    fn a_close_is_small_whatever_it_closes() {
        let plain = size_of::<Closing<tokio::net::TcpStream>>();
        let tls = size_of::<Closing<tokio_rustls::server::TlsStream<tokio::net::TcpStream>>>();
        assert!(plain <= 248 && tls == plain, "{plain} and {tls} bytes");
        assert_eq!(size_of::<Close<tokio::net::TcpStream>>(), size_of::<usize>());
    }
}
