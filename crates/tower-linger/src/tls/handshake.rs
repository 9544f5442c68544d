//! One TLS handshake, bounded in time. The connection of a failed one is closed properly.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use linger_proto::{ClosePolicy, Outcome};
use pin_project_lite::pin_project;

use super::error::HandshakeError;
use super::library::AcceptTls;
use crate::clock::{after, now};
use crate::close::driver::Close;
use crate::close::log;
use crate::close::verdict::Verdict;
use crate::layer::LingerLayer;
use crate::serve::connection::Side;
use crate::serve::observed::Observed;
use crate::serve::served::Served;
use crate::tracker::wakeup::Wakeup;
use crate::transport::Transport;

/// What all handshakes of a layer share.
#[derive(Clone)]
pub(crate) struct Handshakes<A> {
    acceptor: A,
    pub(super) timeout: Duration,
    pub(super) linger: LingerLayer,
    /// `None`: the layer's.
    pub(super) failure_policy: Option<Arc<ClosePolicy>>,
}

impl<A> Handshakes<A> {
    pub(super) fn new(acceptor: A, linger: LingerLayer) -> Self {
        Self { acceptor, timeout: Duration::from_secs(10), linger, failure_policy: None }
    }
}

impl<A: AcceptTls> Handshakes<A> {
    fn note_failure(&self, error: &HandshakeError) {
        log::failed_handshake(error);
        self.linger.settings().meter.handshake_failed(error.reason::<A>());
    }

    pub(crate) fn start<T: Transport>(&self, io: T) -> Handshake<A, T> {
        Handshake {
            accept: Some(self.acceptor.accept(io)),
            deadline: after(self.timeout),
            alarm: self.linger.tracker().wakeup(),
            handshakes: self.clone(),
            served: Some(Served::new(self.linger.settings().clone())),
        }
    }
}

impl<A> fmt::Debug for Handshakes<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshakes")
            .field("timeout", &self.timeout)
            .field("linger", &self.linger)
            .field("failure_policy", &self.failure_policy)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// One handshake, bounded in time. The tracker counts its connection as served.
    pub(crate) struct Handshake<A: AcceptTls, T: Transport> {
        // `None` when it is given up: the socket is closed then.
        #[pin]
        accept: Option<A::Handshake<T>>,
        deadline: Instant,
        alarm: Wakeup,
        handshakes: Handshakes<A>,
        // `None` when it is over.
        served: Option<Served>,
    }

    impl<A: AcceptTls, T: Transport> PinnedDrop for Handshake<A, T> {
        fn drop(this: Pin<&mut Self>) {
            this.give_up(Outcome::Cancelled);
        }
    }
}

impl<A: AcceptTls, T: Transport> Future for Handshake<A, T> {
    /// The stream comes with its place in the tracker. Drop the place when the stream has got another one.
    type Output = Result<(A::Stream<T>, Served), FailedHandshake<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_mut().project();
        let (Some(accept), Some(served)) = (this.accept.as_pin_mut(), this.served.as_ref()) else {
            return Poll::Pending;
        };
        served.connection().register(Side::Read, cx.waker());
        let (error, outcome) = match accept.poll(cx) {
            Poll::Ready(Ok(stream)) => {
                let place = this.served.take();
                return place.map_or(Poll::Pending, |place| Poll::Ready(Ok((stream, place))));
            }
            Poll::Ready(Err((error, io))) => return Poll::Ready(Err(self.fail(error, io))),
            Poll::Pending if served.connection().is_cut() => (HandshakeError::Cut, Outcome::ShutdownCut),
            Poll::Pending => {
                ready!(this.alarm.poll_at(cx, *this.deadline, now()));
                (HandshakeError::TimedOut(this.handshakes.timeout), Outcome::HandshakeTimeout)
            }
        };
        this.handshakes.note_failure(&error);
        self.give_up(outcome);
        Poll::Ready(Err(FailedHandshake { error, close: None }))
    }
}

/// A handshake that failed, and the close that still delivers its alert, if there is one to deliver.
pub(crate) struct FailedHandshake<T: Transport> {
    pub(crate) error: HandshakeError,
    pub(crate) close: Option<Close<T>>,
}

impl<A: AcceptTls, T: Transport> Handshake<A, T> {
    /// TLS failed: an alert is written, and the connection lingers so that the client reads it.
    fn fail(self: Pin<&mut Self>, error: io::Error, io: Option<T>) -> FailedHandshake<T> {
        let start = Observed::failed_handshake::<A::Stream<T>>(&error).start;
        let error = HandshakeError::Failed(error);
        self.handshakes.note_failure(&error);
        let Some(io) = io else {
            self.give_up(Outcome::Aborted);
            return FailedHandshake { error, close: None };
        };
        let this = self.project();
        let close = this.served.take().map(|served| {
            let own = this.handshakes.failure_policy.clone();
            let policy = own.unwrap_or_else(|| served.settings().policy.get());
            Close::new(io, start, Verdict::WHOLE, policy, served.begin_close())
        });
        FailedHandshake { error, close }
    }

    /// Closes the socket and reports it. There is no alert to deliver.
    fn give_up(self: Pin<&mut Self>, outcome: Outcome) {
        let mut this = self.project();
        if let Some(served) = this.served.take() {
            this.accept.set(None);
            served.end_without_close(outcome);
        }
    }
}
