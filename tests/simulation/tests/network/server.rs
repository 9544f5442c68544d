//! A hyper server on turmoil's TCP, with the layer and without it.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use hyper::body::{Body, Frame, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tower::{Layer as _, Service, service_fn};
use tower_linger::{
    ClosePolicy, CloseReport, HyperErrors, LingerLayer, Plain, RequestLayer, Shutdown, ShutdownHandle,
    Summary,
};
use turmoil::net::{TcpListener, TcpStream};

use crate::plan::{Fault, Plan, Server, millis};

pub(crate) const PORT: u16 = 80;

/// What is known of the server from outside of it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) accepted: u64,
    pub(crate) reports: Vec<(CloseReport, Duration)>,
    /// How all connections ended, and when that was known.
    pub(crate) summary: Option<(Summary, Duration)>,
    /// What was left in the tracker then.
    pub(crate) left: usize,
    pub(crate) deadline: Option<Duration>,
}

pub(crate) type Shared = Arc<Mutex<Seen>>;

pub(crate) fn lock(seen: &Shared) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The simulation's clock. There is none while a host that has crashed is dropped.
pub(crate) fn elapsed() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

type Failure = Box<dyn Error + Send + Sync>;

/// Short enough for a simulation, longer than any delay that heals.
pub(crate) fn policy(fault: Fault) -> ClosePolicy {
    let builder = ClosePolicy::builder().drain_idle_timeout(millis(1_000)).drain_limit(millis(2_000));
    let builder = builder.flush_idle_timeout(millis(1_000)).flush_limit(millis(2_000));
    let builder = if fault == Fault::NoDrain { builder.without_drain() } else { builder };
    builder.build().expect("the bounds fit each other")
}

/// Accepts until the shutdown is requested, and then waits for the connections.
pub(crate) async fn run(plan: Plan, seen: Shared, shutdown: Shutdown, linger: LingerLayer, tls: TlsAcceptor) {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await.expect("the host has just begun");
    let handle = shutdown.handle();
    let tracker = linger.tracker().clone();
    let accepting = accept(listener, plan, seen.clone(), handle, linger, tls);
    let (_, summary) = shutdown.finish(accepting).await;
    let mut seen = lock(&seen);
    seen.summary = Some((summary, elapsed()));
    seen.left = tracker.len();
}

async fn accept(
    listener: TcpListener,
    plan: Plan,
    seen: Shared,
    handle: ShutdownHandle,
    linger: LingerLayer,
    tls: TlsAcceptor,
) {
    let mut requested = std::pin::pin!(handle.requested());
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut requested => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { return };
        lock(&seen).accepted += 1;
        let (linger, tls, handle) = (linger.clone(), tls.clone(), handle.clone());
        match (plan.server, plan.is_tls) {
            (Server::Layered, false) => {
                let linger = linger.classify(HyperErrors);
                spawn(linger.layer(service_fn(move |io| serve(io, handle.clone()))).call(Plain(stream)));
            }
            (Server::Layered, true) => {
                let linger = linger.classify(HyperErrors).tls(tls).with_handshake_timeout(millis(1_500));
                let linger = linger.expect("more than zero, less than a day");
                spawn(linger.layer(service_fn(move |io| serve(io, handle.clone()))).call(Plain(stream)));
            }
            (Server::Bare, false) => spawn(serve(stream, handle)),
            (Server::Bare, true) => spawn(serve_tls(stream, handle, tls)),
        }
    }
}

fn spawn(serve: impl Future<Output: Send> + Send + 'static) {
    drop(tokio::spawn(serve));
}

async fn serve_tls(stream: TcpStream, handle: ShutdownHandle, tls: TlsAcceptor) -> Result<(), Failure> {
    let stream = tokio::time::timeout(millis(1_500), tls.accept(stream)).await??;
    serve(stream, handle).await
}

async fn serve(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    handle: ShutdownHandle,
) -> Result<(), Failure> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().half_close(true).timer(TokioTimer::new()).header_read_timeout(millis(600));
    let requests = TowerToHyperService::new(RequestLayer.layer(service_fn(respond)));
    let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(io), requests));
    tokio::select! {
        biased;
        served = connection.as_mut() => return served,
        () = handle.requested() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

async fn respond<B>(request: Request<B>) -> Result<Response<Pieces>, Infallible> {
    let (status, pieces, fails) = match request.uri().path() {
        "/refused" => (StatusCode::PAYLOAD_TOO_LARGE, 8, false),
        "/large" => (StatusCode::OK, 40, false),
        "/fails" => (StatusCode::OK, 8, true),
        _ => (StatusCode::OK, 1, false),
    };
    let mut response = Response::new(Pieces { left: pieces, fails_at: fails.then_some(pieces / 2) });
    *response.status_mut() = status;
    let length = u64::from(pieces) * PIECE.len() as u64;
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    Ok(response)
}

/// A body that comes piece by piece, each of them a segment.
struct Pieces {
    left: u32,
    fails_at: Option<u32>,
}

static PIECE: [u8; 3_000] = [b'x'; 3_000];

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.fails_at == Some(self.left) {
            return Poll::Ready(Some(Err(io::Error::other("the body fails"))));
        }
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PIECE)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::from(self.left) * PIECE.len() as u64)
    }
}
