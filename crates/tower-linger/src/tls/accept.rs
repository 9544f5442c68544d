//! The service: handshake, serve, close.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::error::{HandshakeError, TlsAcceptError};
use super::handshake::{FailedHandshake, Handshake, Handshakes};
use super::layer::TlsAcceptLayer;
use super::library::AcceptTls;
use crate::close::driver::Close;
use crate::service::Linger;
use crate::transport::Transport;

/// A service of accepted connections that does the TLS handshake of each and hands it to a [`Linger`]; made
/// by [`TlsAcceptLayer`].
#[derive(Clone)]
pub struct TlsAccept<S, A> {
    inner: S,
    handshakes: Handshakes<A>,
}

impl<S, A, C> TlsAccept<Linger<S, C>, A> {
    /// Puts handshake and close around `inner`, a service of [`LingerIo`](crate::LingerIo)s over TLS, as
    /// `tls.layer(inner)` does.
    pub fn new(inner: S, tls: TlsAcceptLayer<A, C>) -> Self {
        let TlsAcceptLayer { handshakes, classifier } = tls;
        Self { inner: Linger::classified(inner, handshakes.linger.clone(), classifier), handshakes }
    }
}

impl<S, A: Clone, C: Clone> Layer<S> for TlsAcceptLayer<A, C> {
    type Service = TlsAccept<Linger<S, C>, A>;

    fn layer(&self, inner: S) -> Self::Service {
        TlsAccept::new(inner, self.clone())
    }
}

impl<S: fmt::Debug, A> fmt::Debug for TlsAccept<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAccept").field("inner", &self.inner).field("handshakes", &self.handshakes).finish()
    }
}

impl<S, A> TlsAccept<S, A> {
    /// The [`Linger`] that gets the connections whose handshake succeeded.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The [`Linger`] that gets the connections whose handshake succeeded.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The [`Linger`] that gets the connections whose handshake succeeded.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, A, T> Service<T> for TlsAccept<S, A>
where
    S: Service<A::Stream<T>> + Clone,
    A: AcceptTls,
    T: Transport,
{
    type Response = S::Response;
    type Error = TlsAcceptError<S::Error>;
    type Future = TlsAcceptFuture<S, A, T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(TlsAcceptError::Service)
    }

    fn call(&mut self, io: T) -> Self::Future {
        // Only the original was polled ready, so the future gets it, and the clone stays here.
        let unready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, unready);
        let handshake = Box::pin(self.handshakes.start(io));
        TlsAcceptFuture { stage: Stage::Handshaking { handshake, inner: Box::new(inner) } }
    }
}

pin_project! {
    /// Does the handshake, then serves and closes the connection. If the handshake fails, it lingers, and
    /// then returns the error.
    ///
    /// # Cancel safety
    ///
    /// Dropping it stops the handshake or the service. A failed handshake's connection still lingers, in a
    /// task of its own.
    #[must_use = "futures do nothing unless polled"]
    pub struct TlsAcceptFuture<S: Service<A::Stream<T>>, A: AcceptTls, T: Transport> {
        #[pin]
        stage: Stage<S, S::Future, A, T>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<S, F, A: AcceptTls, T: Transport> {
        // Boxed, so that they hold no memory when they are over.
        Handshaking { handshake: Pin<Box<Handshake<A, T>>>, inner: Box<S> },
        Serving { #[pin] serve: F },
        Lingering { #[pin] close: Close<T>, error: Option<HandshakeError> },
        Failed { error: Option<HandshakeError> },
    }
}

impl<S, A, T> Future for TlsAcceptFuture<S, A, T>
where
    S: Service<A::Stream<T>>,
    A: AcceptTls,
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
                        // `_place` is dropped after `call` has counted the connection again: no gap.
                        Ok((stream, _place)) => Stage::Serving { serve: inner.call(stream) },
                        Err(FailedHandshake { error, close: Some(close) }) => {
                            Stage::Lingering { close, error: Some(error) }
                        }
                        Err(FailedHandshake { error, close: None }) => Stage::Failed { error: Some(error) },
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

impl<S: Service<A::Stream<T>>, A: AcceptTls, T: Transport> fmt::Debug for TlsAcceptFuture<S, A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptFuture").finish_non_exhaustive()
    }
}
