//! The service of connections: HTTP/1 and HTTP/2 by hyper, and the timers that hyper does not have.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::{self, UpgradeableConnection};
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tower_service::Service;

use super::activity::{Activity, Due, Stage, Timer};
use super::exchange::{Announcements, Exchange};
use super::limits::Limits;
use crate::clock::{now, sleep_until};
use crate::http::{RequestBody, Requests};
use crate::serve::io::LingerIo;
use crate::serve::peer::Peer;
use crate::transport::Transport;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What all connections of a server share.
#[derive(Clone)]
pub(super) struct Http<S> {
    pub(super) app: S,
    pub(super) engine: Arc<auto::Builder<TokioExecutor>>,
    pub(super) limits: Limits,
    pub(super) announcements: Arc<Announcements>,
    pub(super) stage: watch::Receiver<Stage>,
}

/// Serves one connection.
#[derive(Clone)]
pub(super) struct ServeOne<S, A> {
    http: Http<S>,
    address: A,
}

impl<S: Clone> Http<S> {
    pub(super) fn one<A>(&self, address: A) -> ServeOne<S, A> {
        ServeOne { http: self.clone(), address }
    }
}

impl<S, A, R, T> Service<LingerIo<T>> for ServeOne<S, A>
where
    S: Service<Request<RequestBody<Incoming>>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    A: Clone + Send + Sync + 'static,
    T: Transport,
{
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut io: LingerIo<T>) -> Self::Future {
        let Self { http, address } = self.clone();
        io.bound_writes(http.limits.write_idle_timeout());
        let activity = Activity::new(io.connection().clone());
        let peer = Peer { address, close: io.close_handle() };
        Box::pin(async move {
            let exchange = Exchange::new(http.app, peer, activity.clone(), http.announcements);
            let service = TowerToHyperService::new(Requests::new(exchange));
            let serving = pin!(http.engine.serve_connection_with_upgrades(TokioIo::new(io), service));
            let timer = Timer::new(activity, http.limits);
            drive(serving, UpgradeableConnection::graceful_shutdown, timer, http.stage).await
        })
    }
}

/// Drives a connection to its end, which `end` asks it for.
async fn drive<C: Future<Output = Result<(), BoxError>>>(
    mut serving: Pin<&mut C>,
    end: impl Fn(Pin<&mut C>),
    mut timer: Timer,
    mut stage: watch::Receiver<Stage>,
) -> Result<(), BoxError> {
    let mut alarm = pin!(sleep_until(now()));
    let mut is_server_gone = false;
    loop {
        let current = *stage.borrow_and_update();
        let mut changed = pin!(stage.changed());
        let step = poll_fn(|cx| {
            loop {
                if let Poll::Ready(served) = serving.as_mut().poll(cx) {
                    return Poll::Ready(Step::Over(served));
                }
                match timer.due(current, now()) {
                    Due::Drop => return Poll::Ready(Step::Over(Ok(()))),
                    Due::End => {
                        end(serving.as_mut());
                        continue;
                    }
                    Due::Later(None) => {}
                    Due::Later(Some(at)) => {
                        if alarm.deadline() != at.into() {
                            alarm.as_mut().reset(at.into());
                        }
                        if alarm.as_mut().poll(cx).is_ready() {
                            continue;
                        }
                    }
                }
                if is_server_gone {
                    return Poll::Pending;
                }
                return changed.as_mut().poll(cx).map(Step::Stage);
            }
        })
        .await;
        match step {
            Step::Over(served) => return served,
            // The future of the server was dropped. Its connections go on.
            Step::Stage(changed) => is_server_gone = changed.is_err(),
        }
    }
}

enum Step {
    Over(Result<(), BoxError>),
    Stage(Result<(), watch::error::RecvError>),
}
