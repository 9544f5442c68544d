//! A server on several threads, each with a runtime and a socket of its own.

use std::future::{Future, IntoFuture, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::task::Poll;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{oneshot, watch};
use tower_service::Service;

use super::connection::BoxError;
use super::serve::{Ready, Serve};
use crate::http::RequestBody;
use crate::tracker::summary::Summary;

/// Sockets for as many threads: [`serve`](Self::serve) starts a thread for each, with a runtime of its own,
/// which accepts from its socket and serves what it has accepted. Nothing of a connection crosses threads.
/// Needs feature `serve`.
///
/// ```no_run
/// use std::time::Duration;
/// use axum::{Router, routing::get};
/// use tower_linger::{Shutdown, Tracker, Workers};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let app = Router::new().route("/", get(async || "hello"));
/// let shutdown = Shutdown::new(Tracker::new(), Duration::from_secs(10)).on_signals()?;
/// let summary = Workers::per_core("127.0.0.1:3000")?.serve(app).graceful(shutdown).await;
/// println!("{summary}");
/// # Ok(()) }
/// ```
///
/// The sockets share an address (`SO_REUSEPORT`). Linux spreads new connections over them by a hash of their
/// addresses, so a few connections may meet in one thread while others are idle, and a handler that blocks
/// its thread holds up all connections of it. Where handlers compute for long, a listener in a runtime with
/// many threads does better. On other systems the sockets are one, and the threads take turns.
///
/// The threads share the [tracker](crate::Tracker), the limits and the shutdown of the server. They end when
/// all its connections have ended, also if the future is dropped.
#[derive(Debug)]
pub struct Workers {
    listeners: Vec<TcpListener>,
}

/// Connections that the kernel has accepted and a thread has not; the system may allow fewer.
const BACKLOG: i32 = 4096;

impl Workers {
    /// A thread for each core that the process may use.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind), and where the system does not tell the number of cores.
    pub fn per_core(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind(address, std::thread::available_parallelism()?)
    }

    /// So many threads. With port 0 the system chooses a port, the same for all of them. Of several addresses
    /// the first that can be bound counts.
    ///
    /// # Errors
    ///
    /// Those of resolving the address, and of making and binding a socket.
    pub fn bind(address: impl ToSocketAddrs, count: NonZeroUsize) -> io::Result<Self> {
        let mut failed = io::ErrorKind::AddrNotAvailable.into();
        for address in address.to_socket_addrs()? {
            match bind_all(address, count.get()) {
                Ok(listeners) => return Ok(Self { listeners }),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Serves `app` as [`serve()`](crate::serve()) does, in these threads.
    ///
    /// # Panics
    ///
    /// The future panics if the system gives no thread, or no runtime for one.
    pub fn serve<S>(self, app: S) -> Serve<Self, S> {
        Serve::new(self, app)
    }

    /// Where they listen.
    ///
    /// # Errors
    ///
    /// Those of the system call.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listeners[0].local_addr()
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_all(mut address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..count {
        let listener = bind_one(address)?;
        address.set_port(listener.local_addr()?.port());
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Elsewhere the option does not spread connections.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bind_all(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let listener = bind_one(address)?;
    (0..count).map(|_| listener.try_clone()).collect()
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // As the standard library does. On Windows it would let others take the port over.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl<S, R> IntoFuture for Serve<Workers, S>
where
    S: Service<Request<RequestBody<Incoming>>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Output = Summary;
    type IntoFuture = Pin<Box<dyn Future<Output = Summary> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (Workers { listeners }, ready, shutdown) = self.prepare();
            // Dropped with this future, which the threads see.
            let (alive, is_alive) = watch::channel(());
            let ended: Vec<_> = listeners
                .into_iter()
                .map(|listener| start(listener, ready.clone(), is_alive.clone()))
                .collect();
            let all_ended = async {
                for ended in ended {
                    // A thread whose service has panicked has ended, too.
                    let _ = ended.await;
                }
            };
            let summary = shutdown.finish(all_ended).await.1;
            drop((alive, ready));
            summary
        })
    }
}

/// Starts one thread. What is returned completes when it accepts nothing any more.
#[expect(clippy::disallowed_methods, reason = "it ends when all connections of the server have ended")]
fn start<S, R>(
    listener: TcpListener,
    ready: Ready<S>,
    mut is_alive: watch::Receiver<()>,
) -> oneshot::Receiver<()>
where
    S: Service<Request<RequestBody<Incoming>>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let (ends, ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system gives a runtime");
    let serve = move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener);
            let listener = listener.expect("a listener that does not block, in a runtime with I/O");
            let tracker = ready.tracker().clone();
            let mut accepting = Box::pin(ready.accept(listener));
            let mut is_dropped = pin!(is_alive.changed());
            poll_fn(|cx| match is_dropped.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => accepting.as_mut().poll(cx),
            })
            .await;
            drop((accepting, ends));
            tracker.wait().await;
        });
    };
    std::thread::Builder::new()
        .name("linger-worker".to_owned())
        .spawn(serve)
        .expect("the system gives a thread");
    ended
}
