//! Many connections, and nothing left of them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tower::{Layer, Service, service_fn};
use tower_linger::{ClosePolicy, Ending, LingerIo, LingerLayer, Outcome};

const CONNECTIONS: usize = 100_000;
/// Enough of them for allocator and runtime to have what they need.
const WARM_UP: usize = 10_000;
const AT_ONCE: usize = 64;
/// Client addresses, since each has only so many ports that are not in `TIME_WAIT`.
const ADDRESSES: u8 = 20;
const KINDS: usize = 6;

/// CONFORMANCE 39: descriptors, tasks and memory are back where they were after every kind of ending.
pub(super) async fn nothing_is_left_of_100_000_connections() {
    let short = Duration::from_millis(20);
    let policy = ClosePolicy::builder().drain_idle_timeout(short).build().expect("makes sense");
    let linger = LingerLayer::new(policy);
    let tracker = linger.tracker().clone();
    let connections = linger.classify(|result: &io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::Other => Ending::Abort,
        _ => Ending::Graceful,
    });
    let connections = connections.layer(service_fn(serve));
    let listener = TcpListener::bind("127.0.0.1:8080").await.expect("the port is free");
    let accepting = tokio::spawn(async move {
        let mut connections = connections;
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connections.call(stream));
        }
    });

    run(WARM_UP).await;
    tracker.wait().await;
    let before = held_at_rest().await;
    run(CONNECTIONS).await;
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

/// What the first byte of its request says.
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

async fn run(connections: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let next = next.clone();
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= connections {
                        return;
                    }
                    client(number).await.unwrap_or_else(|error| panic!("client {number}: {error}"));
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no panic");
    }
}

async fn client(number: usize) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    let host = u8::try_from(number % usize::from(ADDRESSES)).expect("small") + 1;
    socket.bind(([127, 0, 1, host], 0).into())?;
    let mut stream = socket.connect(([127, 0, 0, 1], 8080).into()).await?;
    let ending = (number / usize::from(ADDRESSES)) % KINDS;
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
        // The server's abort may take the response with it.
        0 => drop(stream.read_exact(&mut response).await),
        // Until the FIN, then our own.
        1 | 2 => drop(stream.read_to_end(&mut Vec::new()).await?),
        3 => {
            stream.read_exact(&mut response).await?;
            stream.set_zero_linger()?;
        }
        // Sends on, half-closes, and is gone.
        4 => {
            stream.read_exact(&mut response).await?;
            stream.write_all(&[0; 1000]).await?;
            stream.shutdown().await?;
        }
        // Stays until the server has had enough.
        _ => {
            stream.read_to_end(&mut Vec::new()).await?;
            tokio::time::timeout(Duration::from_millis(40), std::future::pending::<()>())
                .await
                .expect_err("it stays");
        }
    }
    Ok(())
}

#[derive(Debug)]
struct Held {
    descriptors: usize,
    tasks: usize,
    resident_kib: u64,
}

/// A connection is counted as closed a moment before its task is gone: waits until only the accept loop's is
/// left, and says how many there are if they do not go.
async fn held_at_rest() -> Held {
    let alone = async {
        while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 1 {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(60), alone).await;
    assert!(gone.is_ok(), "what is left does not go away: {:?}", held());
    held()
}

fn held() -> Held {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs is there");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux has it");
    Held {
        descriptors: std::fs::read_dir("/proc/self/fd").expect("procfs is there").count(),
        tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        resident_kib: resident.trim().trim_end_matches(" kB").parse().expect("a number"),
    }
}
