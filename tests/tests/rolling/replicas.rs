//! Equal servers, each a process with an address of its own, that are stopped and started again.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;
use tower_linger_tests::certs::{Certs, Version};

/// Far longer than a replica takes to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same everywhere: each test has a network namespace of its own.
const PORT: u16 = 9000;

/// The server of the replicas. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `axum::serve` with its graceful shutdown.
    Bare,
    /// The same with the layer.
    Layered,
    /// `tower_linger::serve`, with a notice.
    Serve,
}

/// How the replicas are started, and those that run.
#[derive(Debug)]
pub(super) struct Replicas {
    kind: Kind,
    notice: Duration,
    is_tls: bool,
    certs: Certs,
    folder: TempDir,
    running: Vec<Child>,
}

impl Replicas {
    /// Starts so many, and waits until each of them listens.
    pub(super) async fn start(kind: Kind, notice: Duration, is_tls: bool, count: usize) -> Self {
        let (certs, folder) = (Certs::make(), tempfile::tempdir().expect("a temporary folder"));
        let (certificate, key) = certs.server_pem();
        let files = [
            ("certificate", certificate.to_owned()),
            ("key", key.to_owned()),
            ("both", format!("{certificate}{key}")),
            ("authority", certs.authority_pem().to_owned()),
        ];
        for (name, contents) in files {
            std::fs::write(folder.path().join(name), contents).expect("a temporary folder takes it");
        }
        let mut replicas = Self { kind, notice, is_tls, certs, folder, running: Vec::new() };
        for index in 0..count {
            let process = replicas.spawn(index).await;
            replicas.running.push(process);
        }
        replicas
    }

    /// Where they listen, one after the other.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        (0..self.running.len()).map(address).collect()
    }

    /// Their process ids.
    pub(super) fn ids(&self) -> Vec<u32> {
        self.running.iter().map(|process| process.id().expect("it has not ended")).collect()
    }

    pub(super) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// PEM files: `certificate`, `key`, `both`, `authority`.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client that trusts their authority.
    pub(super) fn client_config(&self) -> ClientConfig {
        self.certs.client(&Version::ALL)
    }

    /// Ends one by SIGTERM and starts it again, as an orchestrator does. Returns its new process id.
    ///
    /// # Panics
    ///
    /// If it does not end by itself, or fails.
    pub(super) async fn restart(&mut self, index: usize) -> u32 {
        let process = &mut self.running[index];
        let id = process.id().expect("it has not ended");
        kill(Pid::from_raw(id.cast_signed()), Signal::SIGTERM).expect("it is ours");
        let ended = timeout(PATIENCE, process.wait()).await.expect("it ends at SIGTERM").expect("it is ours");
        assert!(ended.success(), "a replica has failed: {ended}");
        let process = self.spawn(index).await;
        let id = process.id().expect("it has not ended");
        self.running[index] = process;
        id
    }

    /// Ends all of them, so that their addresses are free. Dropping them only begins that.
    pub(super) async fn end(mut self) {
        for process in &mut self.running {
            process.kill().await.expect("it is ours");
        }
    }

    async fn spawn(&self, index: usize) -> Child {
        let kind = match self.kind {
            Kind::Bare => "bare",
            Kind::Layered => "layered",
            Kind::Serve => "serve",
        };
        let (address, notice) = (address(index), self.notice.as_millis().to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_replica"));
        command.args([kind, &address.to_string(), &notice]).kill_on_drop(true);
        if self.is_tls {
            command.args(["certificate", "key"].map(|name| self.folder.path().join(name)));
        }
        let mut process = command.spawn().expect("cargo has built it");
        let begun = Instant::now();
        // A server that listens answers: what comes before it accepts waits in the queue of its socket.
        while TcpStream::connect(address).await.is_err() {
            let ended = process.try_wait().expect("it is ours");
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "a replica does not start: {ended:?}");
            yield_now().await;
        }
        process
    }
}

/// 127.0.0.2, 127.0.0.3 and so on.
fn address(index: usize) -> SocketAddr {
    let last = u8::try_from(index + 2).expect("there are few");
    (Ipv4Addr::new(127, 0, 0, last), PORT).into()
}
