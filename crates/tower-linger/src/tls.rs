//! The TLS handshake of an accepted connection, bounded in time, whose failures linger too.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use linger_proto::{ClosePolicy, ConfigError, Outcome};
use pin_project_lite::pin_project;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::{FallibleAccept, TlsStream};
use tower_layer::Layer;
use tower_service::Service;

use crate::classify::BySight;
use crate::clock::{after, now};
use crate::close::driver::Close;
use crate::close::log;
use crate::close::verdict::Verdict;
use crate::layer::{ClassifyLayer, LingerLayer};
use crate::serve::connection::Side;
use crate::serve::observed::Observed;
use crate::serve::served::Served;
use crate::service::Linger;
use crate::tracker::state::Alarmed;
use crate::transport::Transport;

/// Turns a service of [`LingerIo<TlsStream<T>>`](crate::LingerIo) into a service of accepted connections `T`:
/// does the handshake, then serves and closes the connection as [`LingerLayer`] does. Made by
/// [`LingerLayer::tls`] and [`ClassifyLayer::tls`](crate::ClassifyLayer::tls).
///
/// A handshake that fails ends with an alert, the last message to the client and the only one that says why.
/// Without a lingering close most clients lose it to a reset. So the connection of a failed handshake is
/// half-closed, drained and released like any other.
///
/// ```
/// # use tokio_rustls::{TlsAcceptor, server::TlsStream};
/// # fn stack<S>(acceptor: TlsAcceptor, serve: S) -> impl Clone where S: Clone {
/// use tower_layer::Layer;
/// use tower_linger::LingerLayer;
///
/// LingerLayer::default().tls(acceptor).layer(serve)
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TlsAcceptLayer<C = BySight> {
    handshakes: Handshakes,
    classifier: C,
}

impl<C> TlsAcceptLayer<C> {
    pub(crate) fn new(acceptor: TlsAcceptor, linger: LingerLayer, classifier: C) -> Self {
        Self { handshakes: Handshakes::new(acceptor, linger), classifier }
    }

    /// Gives each handshake this long, instead of 10 s as axum-server and tls-listener do. A handshake that
    /// takes longer has no message to save: its connection is closed.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a timeout of zero, or of more than a day.
    pub fn with_handshake_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        const FIELD: &str = "handshake_timeout";
        if timeout.is_zero() {
            return Err(ConfigError::ZeroTime { field: FIELD });
        }
        if timeout > Duration::from_secs(24 * 60 * 60) {
            return Err(ConfigError::TooLong { field: FIELD, time: timeout });
        }
        self.handshakes.timeout = timeout;
        Ok(self)
    }

    /// Closes the connections of failed handshakes by a policy of their own. By default the layer's policy
    /// applies to them, too; a shorter one is enough for an alert.
    #[must_use]
    pub fn with_failure_policy(mut self, policy: ClosePolicy) -> Self {
        self.handshakes.failure_policy = Arc::new(policy);
        self
    }

    /// How the connections are closed.
    #[must_use]
    pub fn linger(&self) -> &LingerLayer {
        &self.handshakes.linger
    }

    /// Begins a handshake, for an adapter that has no service to put the layer around.
    #[cfg(any(feature = "axum", feature = "axum-server"))]
    pub(crate) fn start<T: Transport>(&self, io: T) -> Handshake<T> {
        self.handshakes.start(io)
    }
}

impl LingerLayer {
    /// Does a TLS handshake before each connection is served, for at most 10 s. Where the handshake fails,
    /// the connection lingers as well, so that the client reads the alert.
    #[must_use]
    pub fn tls(self, acceptor: TlsAcceptor) -> TlsAcceptLayer {
        TlsAcceptLayer::new(acceptor, self, BySight)
    }
}

impl<C> ClassifyLayer<C> {
    /// Does a TLS handshake before each connection is served, as [`LingerLayer::tls`] does.
    #[must_use]
    pub fn tls(self, acceptor: TlsAcceptor) -> TlsAcceptLayer<C> {
        TlsAcceptLayer::new(acceptor, self.linger, self.classifier)
    }
}

impl<S, C: Clone> Layer<S> for TlsAcceptLayer<C> {
    type Service = TlsAccept<Linger<S, C>>;

    fn layer(&self, inner: S) -> Self::Service {
        let linger = self.linger().clone();
        let inner = Linger::classified(inner, linger, self.classifier.clone());
        TlsAccept { inner, handshakes: self.handshakes.clone() }
    }
}

/// What all handshakes of a layer share.
#[derive(Clone)]
struct Handshakes {
    acceptor: TlsAcceptor,
    timeout: Duration,
    linger: LingerLayer,
    failure_policy: Arc<ClosePolicy>,
}

impl Handshakes {
    fn new(acceptor: TlsAcceptor, linger: LingerLayer) -> Self {
        let failure_policy = linger.settings().policy.clone();
        Self { acceptor, timeout: Duration::from_secs(10), linger, failure_policy }
    }

    fn start<T: Transport>(&self, io: T) -> Handshake<T> {
        Handshake {
            accept: Some(self.acceptor.accept(io).into_fallible()),
            deadline: after(self.timeout),
            alarm: self.linger.tracker().alarmed(),
            handshakes: self.clone(),
            served: Some(Served::new(self.linger.settings().clone())),
        }
    }
}

impl fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshakes")
            .field("timeout", &self.timeout)
            .field("linger", &self.linger)
            .field("failure_policy", &self.failure_policy)
            .finish_non_exhaustive()
    }
}

/// A service of connections that does the TLS handshake of each; made by [`TlsAcceptLayer`].
#[derive(Debug, Clone)]
pub struct TlsAccept<S> {
    inner: S,
    handshakes: Handshakes,
}

impl<S, T> Service<T> for TlsAccept<S>
where
    S: Service<TlsStream<T>> + Clone,
    T: Transport,
{
    type Response = S::Response;
    type Error = TlsAcceptError<S::Error>;
    type Future = TlsAcceptFuture<S, T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(TlsAcceptError::Service)
    }

    fn call(&mut self, io: T) -> Self::Future {
        // The clone was not polled ready, so it stays, and the ready one goes.
        let unready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, unready);
        let handshake = Box::pin(self.handshakes.start(io));
        TlsAcceptFuture { stage: Stage::Handshaking { handshake, inner: Box::new(inner) } }
    }
}

pin_project! {
    /// Does the handshake, then serves the connection; or lingers, where the handshake failed, and then
    /// fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping it stops the handshake or the service. A failed handshake's lingering goes on in a task of
    /// its own.
    #[must_use = "futures do nothing unless polled"]
    pub struct TlsAcceptFuture<S: Service<TlsStream<T>>, T: Transport> {
        #[pin]
        stage: Stage<S, S::Future, T>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<S, F, T: Transport> {
        // Apart, so that they hold no memory when they are over.
        Handshaking { handshake: Pin<Box<Handshake<T>>>, inner: Box<S> },
        Serving { #[pin] serve: F },
        Lingering { #[pin] close: Close<T>, error: Option<HandshakeError> },
        Failed { error: Option<HandshakeError> },
    }
}

impl<S, T> Future for TlsAcceptFuture<S, T>
where
    S: Service<TlsStream<T>>,
    T: Transport,
{
    type Output = Result<S::Response, TlsAcceptError<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.stage.as_mut().project() {
                StageProjection::Serving { serve } => return serve.poll(cx).map_err(TlsAcceptError::Service),
                StageProjection::Handshaking { handshake, inner } => {
                    match ready!(handshake.as_mut().poll(cx)) {
                        // Its place is given up when it has the next one.
                        Ok((stream, _place)) => Stage::Serving { serve: inner.call(stream) },
                        Err(FailedHandshake { error, close }) => match close {
                            Some(close) => Stage::Lingering { close, error: Some(error) },
                            None => Stage::Failed { error: Some(error) },
                        },
                    }
                }
                StageProjection::Lingering { close, error } => {
                    let _report = ready!(close.poll(cx));
                    Stage::Failed { error: error.take() }
                }
                StageProjection::Failed { error } => {
                    let error = error.take().map(TlsAcceptError::Handshake);
                    return error.map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
                }
            };
            this.stage.set(next);
        }
    }
}

impl<S: Service<TlsStream<T>>, T: Transport> fmt::Debug for TlsAcceptFuture<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptFuture").finish_non_exhaustive()
    }
}

pin_project! {
    /// One handshake, bounded in time. The tracker counts its connection as served.
    pub(crate) struct Handshake<T> {
        // Until it is over or given up.
        #[pin]
        accept: Option<FallibleAccept<T>>,
        deadline: Instant,
        alarm: Alarmed,
        handshakes: Handshakes,
        served: Option<Served>,
    }

    impl<T> PinnedDrop for Handshake<T> {
        fn drop(this: Pin<&mut Self>) {
            this.give_up(Outcome::Cancelled);
        }
    }
}

impl<T> Handshake<T> {
    /// Closes the socket, and tells so. There is no message to save.
    fn give_up(self: Pin<&mut Self>, outcome: Outcome) {
        let mut this = self.project();
        if let Some(served) = this.served.take() {
            this.accept.set(None);
            served.end_without_close(outcome);
        }
    }
}

/// A handshake that failed, and the connection that its alert is still travelling on.
pub(crate) struct FailedHandshake<T: Transport> {
    pub(crate) error: HandshakeError,
    pub(crate) close: Option<Close<T>>,
}

impl<T: Transport> Future for Handshake<T> {
    /// With the stream comes its place in the tracker, to be given up when it has another.
    type Output = Result<(TlsStream<T>, Served), FailedHandshake<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_mut().project();
        let (Some(accept), Some(served)) = (this.accept.as_pin_mut(), this.served.as_ref()) else {
            return Poll::Pending;
        };
        served.connection().register(Side::Read, cx.waker());
        let (error, io) = match accept.poll(cx) {
            Poll::Ready(Ok(stream)) => {
                let place = this.served.take();
                return place.map_or(Poll::Pending, |place| Poll::Ready(Ok((stream, place))));
            }
            Poll::Ready(Err((error, io))) => (HandshakeError::Failed(error), Some(io)),
            Poll::Pending if served.connection().is_cut() => (HandshakeError::Cut, None),
            Poll::Pending => {
                ready!(this.alarm.poll_at(cx, *this.deadline, now()));
                (HandshakeError::TimedOut(this.handshakes.timeout), None)
            }
        };
        log::failed_handshake(&error);
        let close = match (&error, io, this.served.take_if(|_| matches!(error, HandshakeError::Failed(_)))) {
            (HandshakeError::Failed(cause), Some(io), Some(served)) => {
                let start = Observed::failed_handshake(cause).start;
                let policy = this.handshakes.failure_policy.clone();
                Some(Close::new(io, start, Verdict::WHOLE, policy, served.begin_close()))
            }
            _ => None,
        };
        let outcome = if matches!(error, HandshakeError::Cut) {
            Outcome::ShutdownCut
        } else {
            Outcome::HandshakeTimeout
        };
        self.give_up(outcome);
        Poll::Ready(Err(FailedHandshake { error, close }))
    }
}

/// Why a TLS handshake did not succeed.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It failed; a [`rustls::Error`](tokio_rustls::rustls::Error) is inside where TLS itself was the reason.
    Failed(io::Error),
    /// It took longer than this.
    TimedOut(Duration),
    /// The server's shutdown deadline came first.
    Cut,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "TLS handshake failed: {error}"),
            Self::TimedOut(timeout) => write!(f, "TLS handshake took longer than {timeout:?}"),
            Self::Cut => f.write_str("TLS handshake cut by the server's shutdown deadline"),
        }
    }
}

impl Error for HandshakeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::TimedOut(_) | Self::Cut => None,
        }
    }
}

/// Why a [`TlsAccept`] failed: its handshake, or the service behind it, whose error is unchanged.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsAcceptError<E> {
    /// The handshake.
    Handshake(HandshakeError),
    /// The service behind it.
    Service(E),
}

impl<E: fmt::Display> fmt::Display for TlsAcceptError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => error.fmt(f),
            Self::Service(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for TlsAcceptError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Handshake(error) => error.source(),
            Self::Service(error) => error.source(),
        }
    }
}
