//! Clients of ten kinds, each of which ends its connection in another way.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::ClientConfig;
use tower_linger_benches::clients::trusting;
use tower_linger_tests::peer::{Client, head};

/// How many are under way at the same time, besides those that wait.
const AT_ONCE: usize = 48;
/// How many of those that keep the server waiting there are at once.
const WAITING: usize = 512;
/// Client addresses: one has too few ports.
const ADDRESSES: u64 = 200;
const KINDS: u64 = 10;
/// No exchange takes so long.
const PATIENCE: Duration = Duration::from_secs(30);
const UPLOAD_BYTES: usize = 1 << 20;

/// Clients that come and go.
pub(crate) struct Clients {
    workers: JoinSet<()>,
    shared: Arc<Shared>,
}

struct Shared {
    plain: SocketAddr,
    tls: SocketAddr,
    config: Arc<ClientConfig>,
    next: AtomicU64,
    is_over: AtomicBool,
    waiting: Arc<Semaphore>,
    failed: Mutex<Vec<String>>,
}

impl Clients {
    pub(crate) fn start(plain: SocketAddr, tls_port: u16) -> Self {
        let shared = Arc::new(Shared {
            plain,
            tls: SocketAddr::new(plain.ip(), tls_port),
            config: trusting(),
            next: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            waiting: Arc::new(Semaphore::new(WAITING)),
            failed: Mutex::default(),
        });
        let mut workers = JoinSet::new();
        for _ in 0..AT_ONCE {
            workers.spawn(shared.clone().work());
        }
        Self { workers, shared }
    }

    /// Lets all of them end. Returns what went wrong for whom.
    pub(crate) async fn stop(mut self) -> Vec<String> {
        self.shared.is_over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.workers.join_next().await {
            ended.expect("no panic");
        }
        let all = u32::try_from(WAITING).expect("few");
        drop(self.shared.waiting.acquire_many(all).await);
        std::mem::take(&mut *self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    async fn work(self: Arc<Self>) {
        while !self.is_over.load(Ordering::SeqCst) {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let (kind, is_tls) = (number % KINDS, number / KINDS % 2 == 1);
            let ended = timeout(PATIENCE, self.clone().exchange(number, kind, is_tls)).await;
            if let Err(how) = ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.push(format!("client {number}, kind {kind}, TLS {is_tls}: {how}"));
            }
        }
    }

    async fn exchange(self: Arc<Self>, number: u64, kind: u64, is_tls: bool) -> io::Result<()> {
        let mut client = self.connect(number, is_tls && kind != 9).await?;
        match kind {
            0 => whole(&mut client, &last("/"), "hello\n").await,
            1 => keep_alive(&mut client).await,
            2 => refused(&mut client).await,
            3 => {
                client.write_all(&last("/large")).await?;
                client.flush().await?;
                client.read_exact(&mut [0; 1000]).await?;
                client.tcp().set_zero_linger()
            }
            4 => half_closes(&mut client).await,
            5 => {
                whole(&mut client, &last("/"), "hello\n").await?;
                self.wait(stays(client)).await;
                Ok(())
            }
            6 => {
                client.write_all(&head("PUT", "/", UPLOAD_BYTES)).await?;
                until(&mut client, "too large\n").await?;
                self.wait(trickles(client)).await;
                Ok(())
            }
            7 => {
                client.write_all(&last("/fails")).await?;
                client.flush().await?;
                // It ends in an error, or too early.
                let _ = client.read_to_end(&mut Vec::new()).await;
                Ok(())
            }
            8 => upgrades(&mut client).await,
            _ => {
                // Over TLS that is no handshake, and its answer an alert.
                client.write_all(b"no request of any protocol\r\n\r\n").await?;
                let _ = client.read_to_end(&mut Vec::new()).await;
                Ok(())
            }
        }
    }

    async fn connect(&self, number: u64, is_tls: bool) -> io::Result<Client> {
        let socket = TcpSocket::new_v4()?;
        let host = u8::try_from(number % ADDRESSES).expect("small") + 1;
        socket.bind(([127, 0, 1, host], 0).into())?;
        // Every other kind of a client that does not speak TLS comes to the server that does.
        let to_tls = number / KINDS % 2 == 1;
        let tcp = socket.connect(if to_tls { self.tls } else { self.plain }).await?;
        tcp.set_nodelay(true)?;
        Client::over(tcp, is_tls.then(|| self.config.clone())).await
    }

    /// Goes on with a client that waits, while its worker begins another one.
    async fn wait(&self, waits: impl Future<Output = ()> + Send + 'static) {
        let permit = self.waiting.clone().acquire_owned().await.expect("it is not closed");
        tokio::spawn(async move {
            waits.await;
            drop(permit);
        });
    }
}

fn last(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Reads to the server's end, which comes after this.
async fn whole(client: &mut Client, request: &[u8], end: &str) -> io::Result<()> {
    client.write_all(request).await?;
    client.flush().await?;
    let mut seen = Vec::new();
    client.read_to_end(&mut seen).await?;
    if seen.ends_with(end.as_bytes()) { Ok(()) } else { Err(io::Error::other("the response is not whole")) }
}

/// Reads until this has come.
async fn until(client: &mut Client, end: &str) -> io::Result<()> {
    client.flush().await?;
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        if client.read_buf(&mut seen).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Several requests, after which the client closes.
async fn keep_alive(client: &mut Client) -> io::Result<()> {
    for _ in 0..5 {
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await?;
        until(client, "hello\n").await?;
    }
    client.shutdown().await
}

/// Writes its whole upload, and only then reads that it was refused before.
async fn refused(client: &mut Client) -> io::Result<()> {
    client.write_all(&head("PUT", "/", UPLOAD_BYTES)).await?;
    client.write_all(&vec![0; UPLOAD_BYTES]).await?;
    whole(client, b"", "too large\n").await
}

async fn half_closes(client: &mut Client) -> io::Result<()> {
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await?;
    client.shutdown().await?;
    whole(client, b"", "hello\n").await
}

/// Keeps its socket for longer than the server waits.
async fn stays(client: Client) {
    sleep(Duration::from_millis(300)).await;
    drop(client);
}

/// Sends a byte now and then, until the server has let go of it.
async fn trickles(mut client: Client) {
    for _ in 0..60 {
        if client.write_all(b".").await.is_err() || client.flush().await.is_err() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn upgrades(client: &mut Client) -> io::Result<()> {
    client
        .write_all(b"GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        .await?;
    until(client, "\r\n\r\n").await?;
    client.write_all(b"to and fro").await?;
    until(client, "to and fro").await?;
    client.shutdown().await
}
