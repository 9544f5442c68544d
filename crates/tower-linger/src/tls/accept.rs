//! The service: handshake, serve, close.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio_rustls::server::TlsStream;
use tower_layer::Layer;
use tower_service::Service;

use super::error::{HandshakeError, TlsAcceptError};
use super::handshake::{FailedHandshake, Handshake, Handshakes};
use super::layer::TlsAcceptLayer;
use crate::close::driver::Close;
use crate::service::Linger;
use crate::transport::Transport;

/// A service of accepted connections that does the TLS handshake of each and hands it to a [`Linger`]; made
/// by [`TlsAcceptLayer`].
#[derive(Debug, Clone)]
pub struct TlsAccept<S> {
    inner: S,
    handshakes: Handshakes,
}

impl<S, C> TlsAccept<Linger<S, C>> {
    /// Puts handshake and close around `inner`, a service of [`LingerIo<TlsStream<T>>`](crate::LingerIo), as
    /// `tls.layer(inner)` does.
    pub fn new(inner: S, tls: TlsAcceptLayer<C>) -> Self {
        let TlsAcceptLayer { handshakes, classifier } = tls;
        Self { inner: Linger::classified(inner, handshakes.linger.clone(), classifier), handshakes }
    }
}

impl<S, C: Clone> Layer<S> for TlsAcceptLayer<C> {
    type Service = TlsAccept<Linger<S, C>>;

    fn layer(&self, inner: S) -> Self::Service {
        TlsAccept::new(inner, self.clone())
    }
}

impl<S> TlsAccept<S> {
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
    pub struct TlsAcceptFuture<S: Service<TlsStream<T>>, T: Transport> {
        #[pin]
        stage: Stage<S, S::Future, T>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<S, F, T: Transport> {
        // Boxed, so that they hold no memory when they are over.
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

impl<S: Service<TlsStream<T>>, T: Transport> fmt::Debug for TlsAcceptFuture<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptFuture").finish_non_exhaustive()
    }
}
