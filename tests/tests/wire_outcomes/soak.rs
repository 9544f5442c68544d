//! Many connections leave nothing behind.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tower::{Layer, Service, service_fn};
use tower_linger::{ClosePolicy, Ending, LingerIo, LingerLayer, Outcome};

use super::memory::anonymous_kib;

const CONNECTIONS: usize = 100_000;
/// So many that allocator and runtime have reached their size.
const WARM_UP: usize = 10_000;
const AT_ONCE: usize = 64;
/// Client addresses: one has too few ports, since most are in `TIME_WAIT`.
const ADDRESSES: u8 = 20;
const KINDS: usize = 6;
/// The kind of client that keeps its connection until the server lets it go.
const STAYS: usize = 5;

/// CONFORMANCE 39: descriptors, tasks and memory are back where they were after every kind of ending.
pub(super) async fn nothing_is_left_of_100_000_connections() {
    let short = Duration::from_millis(20);
    let policy = ClosePolicy::builder().drain_idle_timeout(short).build().expect("makes sense");
    let linger = LingerLayer::new(policy);
    let tracker = linger.tracker().clone();
    let waiting = Waiting::default();
    let reported = waiting.clone();
    let listener = TcpListener::bind("127.0.0.1:8080").await.expect("the port is free");
    let accepting = tokio::spawn(async move {
        while let Ok((stream, client)) = listener.accept().await {
            let reported = reported.clone();
            let linger = linger.clone().on_close(move |_| reported.tell(client));
            let mut connections = linger.classify(failures).layer(service_fn(serve));
            tokio::spawn(connections.call(stream));
        }
    });

    run(WARM_UP, &waiting).await;
    tracker.wait().await;
    let before = held_at_rest().await;
    run(CONNECTIONS, &waiting).await;
    tracker.wait().await;
    let after = held_at_rest().await;
    assert_eq!(tracker.summary().total(), (WARM_UP + CONNECTIONS) as u64, "{}", tracker.summary());
    for outcome in [
        Outcome::PeerClosed { close_notify: false },
        Outcome::PeerReset,
        Outcome::DrainIdle,
        Outcome::Aborted,
    ] {
        assert!(tracker.summary().count(outcome) > (CONNECTIONS / 10) as u64, "{}", tracker.summary());
    }
    assert_eq!((after.descriptors, after.tasks), (before.descriptors, before.tasks));
    let grown = after.resident_kib.saturating_sub(before.resident_kib);
    assert!(grown < 4 << 10, "{grown} KiB more after {CONNECTIONS} connections");
    accepting.abort();
}

/// Clients that stay until their connection's close is reported, by address.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<HashMap<SocketAddr, oneshot::Sender<()>>>>);

impl Waiting {
    fn add(&self, client: SocketAddr) -> oneshot::Receiver<()> {
        let (reported, report) = oneshot::channel();
        self.0.lock().expect("no panic").insert(client, reported);
        report
    }

    fn tell(&self, client: SocketAddr) {
        if let Some(reported) = self.0.lock().expect("no panic").remove(&client) {
            let _ = reported.send(());
        }
    }
}

fn failures(result: &io::Result<()>) -> Ending {
    match result {
        Err(error) if error.kind() == io::ErrorKind::Other => Ending::Abort,
        _ => Ending::Graceful,
    }
}

/// Ends as the first byte of the request says.
async fn serve(mut io: LingerIo<TcpStream>) -> io::Result<()> {
    let mut kind = [0];
    io.read_exact(&mut kind).await?;
    io.write_all(b"response").await?;
    match kind[0] {
        b'a' => Err(io::Error::other("a failed response")),
        b's' => io.shutdown().await,
        _ => Ok(()),
    }
}

async fn run(connections: usize, waiting: &Waiting) {
    let next = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (next, waiting) = (next.clone(), waiting.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= connections {
                        return;
                    }
                    let ended = client(number, &waiting).await;
                    ended.unwrap_or_else(|error| panic!("client {number}: {error}"));
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no panic");
    }
}

async fn client(number: usize, waiting: &Waiting) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    let host = u8::try_from(number % usize::from(ADDRESSES)).expect("small") + 1;
    socket.bind(([127, 0, 1, host], 0).into())?;
    let ending = (number / usize::from(ADDRESSES)) % KINDS;
    // Before it connects, so that the report cannot come first.
    let report = if ending == STAYS { Some(waiting.add(socket.local_addr()?)) } else { None };
    let mut stream = socket.connect(([127, 0, 0, 1], 8080).into()).await?;
    stream
        .write_all(if ending == 0 {
            b"a"
        } else if ending == 1 {
            b"s"
        } else {
            b"r"
        })
        .await?;
    let mut response = [0; 8];
    match ending {
        // The server's abort may take the response away.
        0 => drop(stream.read_exact(&mut response).await),
        3 => {
            stream.read_exact(&mut response).await?;
            stream.set_zero_linger()?;
        }
        // Goes on sending, half-closes, and closes.
        4 => {
            stream.read_exact(&mut response).await?;
            stream.write_all(&[0; 1000]).await?;
            stream.shutdown().await?;
        }
        // The others read to the server's FIN, then send their own.
        _ => drop(stream.read_to_end(&mut Vec::new()).await?),
    }
    if let Some(report) = report {
        report.await.expect("each close is reported");
    }
    drop(stream);
    Ok(())
}

#[derive(Debug)]
struct Held {
    descriptors: usize,
    tasks: usize,
    resident_kib: u64,
}

/// Waits until the accept loop's task alone is left, because a connection is counted as closed a moment
/// before its task ends.
async fn held_at_rest() -> Held {
    let alone = async {
        while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 1 {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(60), alone).await;
    assert!(gone.is_ok(), "tasks are left: {:?}", held());
    held()
}

fn held() -> Held {
    Held {
        descriptors: std::fs::read_dir("/proc/self/fd").expect("procfs is there").count(),
        tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        resident_kib: anonymous_kib(),
    }
}
