//! The story of one connection: wrap, serve, wait for it to come back, close.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::sync::oneshot;
use tower_service::Service;

use crate::classify::{AlwaysGraceful, Classify, Ending};
use crate::close::driver::Close;
use crate::close::settings::Shared;
use crate::serve::hand_back::Home;
use crate::serve::io::LingerIo;
use crate::transport::Transport;

/// A service of connections that closes each of them when the inner service is done with it.
///
/// Made by [`LingerLayer`](crate::LingerLayer). Its response and error are the inner service's own, unchanged.
#[derive(Debug, Clone)]
pub struct Linger<S, C = AlwaysGraceful> {
    inner: S,
    shared: Arc<Shared>,
    classifier: C,
}

impl<S, C> Linger<S, C> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>, classifier: C) -> Self {
        Self { inner, shared, classifier }
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
        let (home, back) = Home::future(self.shared.clone());
        let serve = Box::pin(self.inner.call(LingerIo::new(io, home)));
        let classifier = self.classifier.clone();
        let leaves_upgrades = self.shared.leaves_upgrades;
        LingerFuture {
            stage: Stage::Serving { back: Some(back), serve },
            classifier,
            leaves_upgrades,
            result: None,
        }
    }
}

pin_project! {
    /// Serves a connection and closes it. Completes with the service's result when the socket is released.
    ///
    /// # Cancel safety
    ///
    /// Dropping it stops the service, as dropping the service's own future would. The connection is still closed
    /// properly, by a task that the layer's tracker counts.
    #[must_use = "futures do nothing unless polled"]
    pub struct LingerFuture<F, T: Transport, R, E, C = AlwaysGraceful> {
        #[pin]
        stage: Stage<F, T>,
        classifier: C,
        leaves_upgrades: bool,
        result: Option<Result<R, E>>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, T: Transport> {
        Serving {
            // The close comes through here. Should this future be dropped first, the close is dropped with the channel,
            // and so goes on in a task of its own.
            back: Option<oneshot::Receiver<Close<T>>>,
            // Apart, so that it holds no memory while its connection lingers: an engine's future has kilobytes.
            serve: Pin<Box<F>>,
        },
        /// The service is done; its connection may still be in use by what it was upgraded to.
        Returning { back: oneshot::Receiver<Close<T>> },
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
        // What every request pays ends here.
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
                StageProjection::Serving { back, .. } => match back.take() {
                    Some(back) => Stage::Returning { back },
                    None => Stage::Over,
                },
                StageProjection::Returning { back } => match Pin::new(back).poll(cx) {
                    // Whoever has it now drops it some day, and then it finds nobody here.
                    Poll::Pending if *this.leaves_upgrades => Stage::Over,
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(mut close)) => {
                        match this.result.as_ref().map(|result| this.classifier.classify(result)) {
                            Some(Ending::Abort) => close.abort(),
                            Some(Ending::GracefulBy(policy)) => close.restart(policy),
                            Some(Ending::Graceful) | None => {}
                        }
                        Stage::Closing { close }
                    }
                    // Taken away by `LingerIo::into_inner`.
                    Poll::Ready(Err(_)) => Stage::Over,
                },
                StageProjection::Closing { close } => {
                    let _report = ready!(close.poll(cx));
                    Stage::Over
                }
                StageProjection::Over => {
                    // Polled again after completion, as poem does: there is nothing more to come.
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
