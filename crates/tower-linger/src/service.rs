//! The story of one connection: wrap, serve, wait for it to come back, close.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::classify::{BySight, Classify, Ending};
use crate::close::driver::Close;
use crate::close::settings::Settings;
use crate::layer::{ClassifyLayer, LingerLayer};
use crate::serve::hand_back::Back;
use crate::serve::io::LingerIo;
use crate::serve::served::Served;
use crate::transport::Transport;

/// A service of connections that closes each of them when the inner service is done with it.
///
/// Made by [`LingerLayer`](crate::LingerLayer). Its response and error are the inner service's own,
/// unchanged.
#[derive(Debug, Clone)]
pub struct Linger<S, C = BySight> {
    inner: S,
    settings: Arc<Settings>,
    classifier: C,
}

impl<S> Linger<S> {
    /// Closes the connections of `inner`, a service of [`LingerIo<T>`], as `linger.layer(inner)` does.
    pub fn new(inner: S, linger: LingerLayer) -> Self {
        Self::classified(inner, linger, BySight)
    }
}

impl<S, C> Linger<S, C> {
    /// The service that gets the connections.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service that gets the connections.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service that gets the connections.
    pub fn into_inner(self) -> S {
        self.inner
    }

    pub(crate) fn classified(inner: S, linger: LingerLayer, classifier: C) -> Self {
        Self { inner, settings: linger.into_settings(), classifier }
    }
}

impl<S> Layer<S> for LingerLayer {
    type Service = Linger<S>;

    fn layer(&self, inner: S) -> Linger<S> {
        Linger::new(inner, self.clone())
    }
}

impl<S, C: Clone> Layer<S> for ClassifyLayer<C> {
    type Service = Linger<S, C>;

    fn layer(&self, inner: S) -> Linger<S, C> {
        Linger::classified(inner, self.linger.clone(), self.classifier.clone())
    }
}

impl<S, C, T> Service<T> for Linger<S, C>
where
    S: Service<LingerIo<T>>,
    C: Classify<S::Response, S::Error>,
    T: Transport,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = LingerFuture<S::Future, T, S::Response, S::Error, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, io: T) -> Self::Future {
        let served = Served::new(self.settings.clone());
        let back = Some(Back::of(served.connection()));
        let detaches = self.settings.detaches_upgrades;
        let serve = Box::pin(self.inner.call(LingerIo::new(io, served)));
        let classifier = self.classifier.clone();
        LingerFuture { stage: Stage::Serving { serve }, back, detaches, classifier, result: None }
    }
}

pin_project! {
    /// Serves a connection and closes it. Completes with the service's result when the socket is released.
    ///
    /// # Cancel safety
    ///
    /// Dropping it stops the service, as dropping the service's own future would. The connection is still
    /// closed, by a task that the layer's tracker counts. If it was busy, it does not end cleanly.
    #[must_use = "futures do nothing unless polled"]
    pub struct LingerFuture<F, T: Transport, R, E, C = BySight> {
        #[pin]
        stage: Stage<F, T>,
        // Until the close is there, or nobody waits for it.
        back: Option<Back<T>>,
        // Whether a connection that outlives its service is left to a task of its own.
        detaches: bool,
        classifier: C,
        result: Option<Result<R, E>>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, T: Transport> {
        Serving {
            // Boxed, so that it holds no memory while its connection lingers: an engine's future has
            // kilobytes.
            serve: Pin<Box<F>>,
        },
        /// The service is done; its connection may still be in use by what it was upgraded to.
        Returning,
        Closing { #[pin] close: Close<T> },
        Over,
    }
}

impl<F, T, R, E, C> Future for LingerFuture<F, T, R, E, C>
where
    F: Future<Output = Result<R, E>>,
    T: Transport,
    C: Classify<R, E>,
{
    type Output = Result<R, E>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_mut().project();
        // A request costs no more than this.
        if let StageProjection::Serving { serve, .. } = this.stage.project() {
            *this.result = Some(ready!(serve.as_mut().poll(cx)));
        }
        self.poll_after(cx)
    }
}

impl<F, T, R, E, C> LingerFuture<F, T, R, E, C>
where
    T: Transport,
    C: Classify<R, E>,
{
    /// The service is done.
    #[inline(never)]
    fn poll_after(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<R, E>> {
        let mut this = self.project();
        loop {
            let next = match this.stage.as_mut().project() {
                // Leaving this stage drops the service's future, and usually the connection in it.
                StageProjection::Serving { .. } => Stage::Returning,
                StageProjection::Returning => {
                    match this.back.as_ref().map_or(Poll::Ready(None), |back| back.poll(cx)) {
                        // Its new owner drops it at some time, and then a task of its own closes it.
                        Poll::Pending if *this.detaches => {
                            if let Some(back) = this.back.take() {
                                back.connection().pass_on();
                            }
                            Stage::Over
                        }
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Some(mut close)) => {
                            *this.back = None;
                            let ending = this.result.as_ref().map(|result| this.classifier.classify(result));
                            close.classified(ending.unwrap_or(Ending::AsSeen));
                            Stage::Closing { close }
                        }
                        // Taken away by `LingerIo::into_inner`.
                        Poll::Ready(None) => Stage::Over,
                    }
                }
                StageProjection::Closing { close } => {
                    let _report = ready!(close.poll(cx));
                    Stage::Over
                }
                StageProjection::Over => {
                    // Some frameworks (poem) poll again after completion.
                    return this.result.take().map_or(Poll::Pending, Poll::Ready);
                }
            };
            this.stage.set(next);
        }
    }
}

impl<F, T: Transport, R, E, C> fmt::Debug for LingerFuture<F, T, R, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LingerFuture").finish_non_exhaustive()
    }
}
