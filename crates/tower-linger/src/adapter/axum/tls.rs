//! The listener for `axum::serve` over TLS.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::serve::io::LingerIo;
use crate::tls::{AcceptTls, TlsAcceptLayer};
use crate::transport::Transport;

/// A listener that does TLS, with any number of handshakes at once, each bounded in time. Its connections are
/// closed properly, also those whose handshake failed.
///
/// The first `accept` starts a task that accepts from the inner listener. Each handshake has a task too, so
/// handshakes run on all threads of the runtime. New connections are accepted only while `accept` is awaited;
/// after that, at most one more is taken from the inner listener.
///
/// Dropping the listener drops the inner one at once, and the handshakes that are still running.
///
/// # Cancel safety
///
/// `accept` is cancel safe, whatever the inner listener is: the inner `accept` is dropped only with the
/// listener itself. The address must be [`Clone`], because the inner listener is asked for it when this one
/// is made: it cannot be asked while it accepts.
pub struct TlsLingerListener<L: Listener<Io: Transport>, A: AcceptTls> {
    address: io::Result<L::Addr>,
    stage: Stage<L, A>,
}

enum Stage<L: Listener<Io: Transport>, A: AcceptTls> {
    /// Until the first `accept`, since a listener may be made outside of a runtime.
    New(Option<(L, TlsAcceptLayer<A>)>),
    Accepting(Accepting<Accepted<L, A>>),
}

type Accepted<L, A> = (LingerIo<<A as AcceptTls>::Stream<<L as Listener>::Io>>, <L as Listener>::Addr);

impl<L, A> TlsLingerListener<L, A>
where
    L: Listener<Io: Transport, Addr: Clone + 'static>,
    A: AcceptTls,
{
    /// Accepts from `listener`, does the handshake and closes the connections as `tls` says.
    #[must_use]
    pub fn new(listener: L, tls: TlsAcceptLayer<A>) -> Self {
        Self { address: listener.local_addr(), stage: Stage::New(Some((listener, tls))) }
    }

    fn accepting(&mut self) -> &mut Accepting<Accepted<L, A>> {
        if let Stage::New(parts) = &mut self.stage {
            let (listener, tls) = parts.take().expect("starting does not fail half-way");
            self.stage = Stage::Accepting(Accepting::start(|accepted, demand| {
                accept_loop(listener, tls, accepted, demand)
            }));
        }
        match &mut self.stage {
            Stage::Accepting(accepting) => accepting,
            Stage::New(_) => unreachable!("it was started above"),
        }
    }
}

impl<L, A> Listener for TlsLingerListener<L, A>
where
    L: Listener<Io: Transport, Addr: Clone + 'static>,
    A: AcceptTls,
{
    type Io = LingerIo<A::Stream<L::Io>>;
    type Addr = L::Addr;

    /// # Panics
    ///
    /// If the inner listener's `accept` panicked, with the same payload.
    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        self.accepting().next().await
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        match &self.address {
            Ok(address) => Ok(address.clone()),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }
}

impl<L: Listener<Io: Transport>, A: AcceptTls> fmt::Debug for TlsLingerListener<L, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let started = matches!(self.stage, Stage::Accepting(_));
        f.debug_struct("TlsLingerListener").field("started", &started).finish_non_exhaustive()
    }
}

/// Accepts while there is demand, and starts a handshake for each connection.
///
/// It runs in a task and not inside `accept`, which is usually polled by the main thread: that would have to
/// wake a worker for each handshake. A task starts it on its own thread.
async fn accept_loop<L, A>(
    mut listener: L,
    tls: TlsAcceptLayer<A>,
    accepted: mpsc::UnboundedSender<Accepted<L, A>>,
    demand: Arc<Demand>,
) -> Infallible
where
    L: Listener<Io: Transport, Addr: 'static>,
    A: AcceptTls,
{
    loop {
        demand.wait().await;
        let (io, address) = listener.accept().await;
        let (handshake, linger, accepted) =
            (tls.handshakes.start(io), tls.linger().clone(), accepted.clone());
        spawn(async move {
            let mut handshake = pin!(handshake);
            let mut dropped = pin!(accepted.closed());
            let done = poll_fn(|cx| match handshake.as_mut().poll(cx) {
                // If the handshake failed, this drops the close, which goes on in a task of its own.
                Poll::Ready(done) => Poll::Ready(done.ok()),
                Poll::Pending => dropped.as_mut().poll(cx).map(|()| None),
            });
            if let Some((stream, _place)) = done.await {
                // If the listener is gone, this drops the connection, which closes it.
                let _ = accepted.send((linger.wrap(stream), address));
            }
        });
    }
}

/// The task that accepts, and the connections whose handshakes are done. Dropping it drops the accept loop at
/// once.
struct Accepting<A> {
    accepted: mpsc::UnboundedReceiver<A>,
    demand: Arc<Demand>,
    accept_loop: SharedLoop,
    task: JoinHandle<()>,
}

/// The accept loop. Its task polls it in here, and it is taken out to drop it. After an abort alone, the port
/// would stay bound until a thread of the runtime drops the task.
type SharedLoop = Arc<Mutex<Option<Pin<Box<dyn Future<Output = Infallible> + Send>>>>>;

impl<A> Accepting<A> {
    fn start<F>(accept_loop: impl FnOnce(mpsc::UnboundedSender<A>, Arc<Demand>) -> F) -> Self
    where
        F: Future<Output = Infallible> + Send + 'static,
    {
        let (sender, accepted) = mpsc::unbounded_channel();
        let demand = Arc::new(Demand::default());
        let accept_loop: SharedLoop =
            Arc::new(Mutex::new(Some(Box::pin(accept_loop(sender, demand.clone())))));
        let shared = accept_loop.clone();
        let task = spawn(poll_fn(move |cx| poll_loop(&shared, cx)));
        Self { accepted, demand, accept_loop, task }
    }

    async fn next(&mut self) -> A {
        let _asked = self.demand.ask();
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            // The accept loop and all handshakes are gone, so the task has ended. Only a panic ends it, or
            // the runtime's shutdown.
            None => match (&mut self.task).await {
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                _ => std::future::pending().await,
            },
        }
    }
}

impl<A> Drop for Accepting<A> {
    fn drop(&mut self) {
        self.task.abort();
        let accept_loop = self.accept_loop.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(accept_loop);
    }
}

fn poll_loop(shared: &SharedLoop, cx: &mut Context<'_>) -> Poll<()> {
    let mut accept_loop = shared.lock().unwrap_or_else(PoisonError::into_inner);
    match accept_loop.as_mut() {
        Some(running) => running.as_mut().poll(cx).map(|never| match never {}),
        None => Poll::Ready(()),
    }
}

/// Whether `accept` is awaited. This is the back-pressure: while the caller does not call `accept`, no
/// connections pile up.
#[derive(Default)]
struct Demand {
    asked: AtomicBool,
    changed: Notify,
}

impl Demand {
    /// There is demand until the result is dropped.
    fn ask(&self) -> Asked<'_> {
        self.asked.store(true, Ordering::Release);
        self.changed.notify_one();
        Asked(self)
    }

    async fn wait(&self) {
        while !self.asked.load(Ordering::Acquire) {
            self.changed.notified().await;
        }
    }
}

struct Asked<'a>(&'a Demand);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.asked.store(false, Ordering::Release);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the accept loop and its handshakes, which end with the listener"
)]
fn spawn<F: Future<Output: Send> + Send + 'static>(future: F) -> JoinHandle<F::Output> {
    tokio::spawn(future)
}
