//! A server on several threads, each with a runtime and a socket of its own.

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::IntoFuture as _;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_linger::{Outcome, Shutdown, Tracker, Workers};
use tower_linger_tests::peer::{End, receive};
use tower_linger_tests::until::until;

const FOUR: NonZeroUsize = NonZeroUsize::new(4).expect("it is not zero");
const ASKS: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const SECOND: Duration = Duration::from_secs(1);

thread_local! {
    /// Dropped when the thread ends.
    static ALIVE: RefCell<Option<Arc<()>>> = const { RefCell::new(None) };
}

/// Answers by the thread that serves.
fn app(alive: &Arc<()>) -> Router {
    let alive = alive.clone();
    let answer = async move || {
        ALIVE.with_borrow_mut(|here| here.get_or_insert(alive).clone());
        format!("{:?}", thread::current().id())
    };
    Router::new().route("/", get(answer))
}

/// Sends a request, and reads the response, which has a body.
async fn ask(client: &mut TcpStream) -> String {
    client.write_all(ASKS).await.expect("it is served");
    let mut response = vec![0; 1024];
    let mut length = 0;
    while !response[..length].ends_with(b")") {
        let read = client.read(&mut response[length..]).await.expect("it is served");
        assert_ne!(read, 0, "the response is whole");
        length += read;
    }
    let text = String::from_utf8_lossy(&response[..length]).into_owned();
    text.rsplit("\r\n\r\n").next().expect("a body").to_owned()
}

#[tokio::test]
async fn a_connection_stays_in_the_thread_that_accepted_it_and_all_threads_end_with_the_server() {
    let workers = Workers::bind("127.0.0.1:0", FOUR).expect("a free port");
    let address = workers.local_addr().expect("bound");
    let (tracker, alive) = (Tracker::new(), Arc::new(()));
    let shutdown = Shutdown::new(tracker.clone(), 10 * SECOND);
    let handle = shutdown.handle();
    let serving = tokio::spawn(workers.serve(app(&alive)).graceful(shutdown).into_future());
    let (mut threads, mut clients) = (HashSet::new(), Vec::new());
    for _ in 0..64 {
        let mut client = TcpStream::connect(address).await.expect("it listens");
        let first = ask(&mut client).await;
        assert_eq!(ask(&mut client).await, first, "the same connection");
        threads.insert(first);
        clients.push(client);
    }
    assert!(!threads.contains(&format!("{:?}", thread::current().id())));
    // By a hash of the ports: that all 64 meet in one of four threads does not happen.
    assert!(!cfg!(target_os = "linux") || threads.len() > 1, "{threads:?}");
    assert_eq!(tracker.served(), 64);

    handle.request();
    for client in &mut clients {
        assert_eq!(receive(client, End::Fin).await.end, End::Fin, "idle connections are closed");
    }
    drop(clients);
    let summary = timeout(60 * SECOND, serving).await.expect("in time").expect("no panic");
    assert_eq!((summary.total(), tracker.len()), (64, 0));
    until("the threads have ended", || Arc::strong_count(&alive) == 1).await;
    assert_refused(address).await;
}

async fn assert_refused(address: SocketAddr) {
    let refused = TcpStream::connect(address).await.map(|_| ()).map_err(|error| error.kind());
    assert_eq!(refused, Err(io::ErrorKind::ConnectionRefused));
}

#[tokio::test]
async fn what_is_left_at_the_deadline_is_cut_in_every_thread() {
    let workers = Workers::bind("127.0.0.1:0", FOUR).expect("a free port");
    let address = workers.local_addr().expect("bound");
    let shutdown = Shutdown::new(Tracker::new(), SECOND / 2);
    let handle = shutdown.handle();
    let app = Router::new().route("/", get(async || std::future::pending::<()>().await));
    let serving = tokio::spawn(workers.serve(app).graceful(shutdown).into_future());
    let mut clients = Vec::new();
    for _ in 0..16 {
        let mut client = TcpStream::connect(address).await.expect("it listens");
        client.write_all(ASKS).await.expect("it is served");
        clients.push(client);
    }
    handle.request();
    let summary = timeout(60 * SECOND, serving).await.expect("in time").expect("no panic");
    assert_eq!(summary.count(Outcome::ShutdownCut), 16, "{summary}");
}

/// Its connections go on until they end.
#[tokio::test]
async fn a_server_that_is_dropped_accepts_nothing_more() {
    let workers = Workers::bind("127.0.0.1:0", FOUR).expect("a free port");
    let address = workers.local_addr().expect("bound");
    let alive = Arc::new(());
    let serving = tokio::spawn(workers.serve(app(&alive)).into_future());
    let mut client = TcpStream::connect(address).await.expect("it listens");
    let thread = ask(&mut client).await;
    serving.abort();
    assert!(serving.await.is_err());
    let is_refused = async || TcpStream::connect(address).await.is_err();
    let refuses = async {
        while !is_refused().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(60 * SECOND, refuses).await.expect("no thread accepts");
    assert_eq!(ask(&mut client).await, thread);
    drop(client);
    until("the threads have ended", || Arc::strong_count(&alive) == 1).await;
}

/// The sockets of another process, or of another server of this one, are not shared by mistake.
#[test]
fn an_address_that_is_in_use_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let failed = Workers::bind(address, FOUR).expect_err("it is taken");
    assert_eq!(failed.kind(), io::ErrorKind::AddrInUse);
    let failed = Workers::per_core("127.0.0.1").expect_err("no port");
    assert_eq!(failed.kind(), io::ErrorKind::InvalidInput);
}
