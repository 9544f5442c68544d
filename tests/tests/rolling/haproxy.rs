//! A real HAProxy in front of the replicas. It asks each of them whether it is ready.

use std::fmt::Write as _;
use std::fs::File;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::task::yield_now;

use super::replicas::Replicas;

/// The front's ports on 127.0.0.1.
pub(super) const PLAIN: u16 = 8080;
pub(super) const TLS: u16 = 8443;

/// Far longer than it takes to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs until it is dropped.
#[derive(Debug)]
pub(super) struct HaProxy {
    folder: TempDir,
    process: Child,
}

/// A line of the log for each request and each connection of a `WebSocket`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) status: u16,
    /// `--` if nothing ended before its time: chapter 8.5 of HAProxy's manual.
    pub(super) termination: String,
    pub(super) text: String,
}

impl Line {
    /// Whether this request has no whole answer. An upload that was refused may end as `CD`: its client has
    /// the answer, and sends no more.
    pub(super) fn is_loss(&self) -> bool {
        let is_whole = self.termination == "--" || (self.termination == "CD" && self.status == 413);
        self.status >= 500 || !is_whole
    }
}

impl HaProxy {
    /// Starts it, and waits until it listens.
    pub(super) async fn start(replicas: &Replicas) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        std::fs::write(path.join("haproxy.cfg"), config(path, replicas)).expect("it takes files");
        let log = File::create(path.join("log")).expect("it takes files");
        let process = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(path.join("haproxy.cfg"))
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("HAProxy does not start ({error}): `make needs` installs it"));
        let mut haproxy = Self { folder, process };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", TLS)).await.is_err() {
            let ended = haproxy.process.try_wait().expect("it is ours");
            let is_late = begun.elapsed() > PATIENCE;
            assert!(ended.is_none() && !is_late, "HAProxy does not listen: {ended:?}\n{}", haproxy.log());
            yield_now().await;
        }
        haproxy
    }

    /// What it has logged of requests.
    pub(super) fn lines(&self) -> Vec<Line> {
        let parse = |line: &str| {
            let mut words = line.split_once("request ")?.1.split(' ');
            let (status, termination) = (words.next()?.parse().ok()?, words.next()?.to_owned());
            Some(Line { status, termination, text: line.to_owned() })
        };
        self.log().lines().filter_map(parse).collect()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("it is there")
    }

    /// Its counts of failed connections to the replicas, and of responses that failed.
    pub(super) async fn errors(&self) -> (u64, u64) {
        let mut socket = UnixStream::connect(self.folder.path().join("stats")).await.expect("it listens");
        socket.write_all(b"show stat\n").await.expect("it reads");
        let mut table = String::new();
        socket.read_to_string(&mut table).await.expect("it answers");
        let mut rows = table.lines().map(|line| line.trim_start_matches("# ").split(',').collect::<Vec<_>>());
        let header = rows.next().expect("a header");
        let column = |name| header.iter().position(|column| *column == name).expect("a known column");
        let (connections, responses) = (column("econ"), column("eresp"));
        let backend = rows.find(|row| row.len() > 1 && row[1] == "BACKEND").expect("a backend");
        let count = |column: usize| backend[column].parse().expect("a count");
        (count(connections), count(responses))
    }
}

/// `inter` bounds a check's handshake, too, which takes long on a busy machine. So six checks have to fail,
/// and those that are answered by 503 follow each other quickly.
fn config(folder: &std::path::Path, replicas: &Replicas) -> String {
    let (folder, pem) = (folder.display(), replicas.folder().display());
    let tls = if replicas.is_tls() {
        format!(
            "ssl verify required ca-file {pem}/authority verifyhost localhost sni str(localhost) \
             alpn http/1.1"
        )
    } else {
        String::new()
    };
    let mut servers = String::new();
    for (index, address) in replicas.addresses().iter().enumerate() {
        let _ = writeln!(servers, "    server replica{index} {address} {tls}");
    }
    format!(
        "global
    log stdout format raw local0
    stats socket {folder}/stats
    maxconn 2000
    nbthread 1
defaults
    mode http
    log global
    log-format \"request %ST %ts %HM %HP %HV %s retries:%rc %Tr/%Ta\"
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
    http-reuse always
    option redispatch 1
frontend front
    bind 127.0.0.1:{PLAIN}
    bind 127.0.0.1:{TLS} ssl crt {pem}/both alpn h2,http/1.1
    default_backend replicas
backend replicas
    balance roundrobin
    option httpchk GET /ready
    http-check expect status 200
    default-server check inter 1s fastinter 100ms downinter 200ms fall 6 rise 1
{servers}"
    )
}
