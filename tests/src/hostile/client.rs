//! One hostile client.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, interval_at, sleep_until, timeout};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::{Attack, Counts, Held, Kind, LARGE, REFUSED, source};

pub(super) struct Client {
    pub(super) attack: Attack,
    pub(super) kind: Kind,
    pub(super) number: usize,
    pub(super) hello: Arc<[u8]>,
    /// What a flooding client writes each time.
    pub(super) chunk: Arc<[u8]>,
}

/// How long a client waits for an answer before it takes its connection for failed.
const PATIENCE: Duration = Duration::from_secs(20);

impl Client {
    /// One connection. Fails where it ended before the client could do harm.
    pub(super) async fn one(&self, counts: &Counts) -> io::Result<()> {
        let says_hello = self.kind == Kind::HalfHandshake && self.number % 2 == 1;
        let server = if says_hello { self.attack.tls } else { self.attack.plain };
        let until = Instant::now() + self.attack.stay;
        let mut io = timeout(PATIENCE, self.connect(server)).await??;
        // Its end is a reset, so that nothing of it is left in this kernel.
        io.set_zero_linger()?;
        counts.made.fetch_add(1, Relaxed);
        match self.kind {
            Kind::Silent | Kind::Trickle | Kind::Flood | Kind::NeverAcks => {
                timeout(PATIENCE, is_refused(&mut io)).await??;
            }
            Kind::ZeroWindow => {
                let head = format!("GET {LARGE} HTTP/1.1\r\nHost: localhost\r\nX-Long: {:100}\r\n\r\n", "");
                io.write_all(head.as_bytes()).await?;
            }
            Kind::HalfHandshake if says_hello => io.write_all(&self.hello).await?,
            Kind::HalfHandshake => {}
        }
        let _held = Held::new(counts);
        match self.kind {
            Kind::Silent | Kind::NeverAcks => sleep_until(until).await,
            Kind::Trickle => send(&mut io, self.attack.trickle, b".").await,
            Kind::Flood => {
                let (writes, _) = self.attack.flood;
                let each = u32::try_from(self.attack.each).map_err(io::Error::other)?;
                send(&mut io, Duration::from_secs(1) * each / writes, &self.chunk).await;
            }
            Kind::ZeroWindow => drop(io.ready(Interest::ERROR).await),
            Kind::HalfHandshake => drop(io.read_to_end(&mut Vec::new()).await),
        }
        Ok(())
    }

    async fn connect(&self, server: SocketAddr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if self.kind == Kind::ZeroWindow {
            // The kernel makes its least of it.
            socket.set_recv_buffer_size(1)?;
        }
        socket.bind(source(self.kind, self.number)?)?;
        socket.connect(server).await
    }
}

/// Begins an upload, and reads the beginning of its refusal.
async fn is_refused(io: &mut TcpStream) -> io::Result<()> {
    let head = format!("PUT {REFUSED} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {UPLOAD_BYTES}\r\n\r\n");
    io.write_all(head.as_bytes()).await?;
    io.write_all(&[b'.'; 1000]).await?;
    let mut answer = [0; 12];
    io.read_exact(&mut answer).await?;
    match &answer {
        b"HTTP/1.1 413" => Ok(()),
        other => Err(io::Error::other(String::from_utf8_lossy(other).into_owned())),
    }
}

/// Sends these bytes again and again, until the connection fails.
async fn send(io: &mut TcpStream, every: Duration, chunk: &[u8]) {
    let mut turns = interval_at(Instant::now() + every, every);
    loop {
        turns.tick().await;
        if io.write_all(chunk).await.is_err() {
            return;
        }
    }
}

/// A TLS client's first flight.
///
/// # Panics
///
/// Never: it needs no certificates.
#[must_use]
pub fn hello() -> Vec<u8> {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has its suites")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = "localhost".try_into().expect("a name");
    let mut session = ClientConnection::new(Arc::new(config), name).expect("it begins");
    let mut hello = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut hello).expect("memory takes it");
    }
    hello
}

/// More than any of them sends.
const UPLOAD_BYTES: u64 = 1 << 40;
