//! Clients and proxies that ask for one response a connection, and say so.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinSet;
use tower_linger_tests::nginx::Nginx;
use tower_linger_tests::peer::{Client, End, Manner};

use super::{LARGE_BYTES, SMALL};
use crate::scene::ss;

/// Whose connections they are. Each of them takes every response whole, or the test fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// This crate's, with uploads of 64 KiB as well.
    Ours,
    Curl,
    Ab,
    /// It drops what is under way when its time is over.
    Wrk,
    /// Its default towards its upstreams is HTTP/1.0.
    Nginx,
    HaProxy,
}

/// Where the proxies listen.
const FRONT: u16 = 8081;
const AT_ONCE: usize = 20;

impl Asker {
    pub(super) const ALL: [Self; 6] =
        [Self::Ours, Self::Curl, Self::Ab, Self::Nginx, Self::HaProxy, Self::Wrk];

    /// Sends about so many requests. Returns how many were answered.
    pub(super) async fn ask(self, server: SocketAddr, count: usize) -> usize {
        match self {
            Self::Ours => ours(server, count).await,
            Self::Curl => curl(server, count).await,
            Self::Ab => ab(server, count).await,
            Self::Wrk => wrk(server).await,
            Self::Nginx => {
                let front = format!(
                    "server {{ listen 127.0.0.1:{FRONT}; \
                     location / {{ proxy_http_version 1.0; proxy_pass http://{server}; }} }}"
                );
                let mut nginx = Nginx::start(&front, &[]);
                nginx.listens_at(FRONT).await;
                ab(([127, 0, 0, 1], FRONT).into(), count).await
            }
            Self::HaProxy => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let file = folder.path().join("haproxy.cfg");
                let config = format!(
                    "defaults\n mode http\n timeout client 60s\n timeout server 60s\n timeout connect 60s\n \
                     option httpclose\nlisten front\n bind 127.0.0.1:{FRONT}\n server only {server}\n"
                );
                std::fs::write(&file, config).expect("it takes files");
                let mut haproxy = Command::new("haproxy");
                haproxy.arg("-db").arg("-f").arg(&file).stderr(Stdio::null()).kill_on_drop(true);
                let _haproxy =
                    haproxy.spawn().unwrap_or_else(|error| panic!("haproxy: {error}: `make needs`"));
                let listening = async {
                    while TcpStream::connect(("127.0.0.1", FRONT)).await.is_err() {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::time::timeout(BOUND, listening).await.expect("HAProxy listens");
                ab(([127, 0, 0, 1], FRONT).into(), count).await
            }
        }
    }

    /// Whether the server sees no other requests than those that were answered.
    pub(super) fn is_exact(self) -> bool {
        self != Self::Wrk
    }
}

async fn ours(server: SocketAddr, count: usize) -> usize {
    let (mut asking, mut answered) = (JoinSet::new(), 0);
    for index in 0..count {
        if asking.len() == AT_ONCE {
            answered += usize::from(asking.join_next().await.expect("some").expect("no panic"));
        }
        asking.spawn(async move {
            let client = Client::plain(server, None).await.expect("it listens");
            let (request, upload, body) = match index % 4 {
                0 => ("GET /large HTTP/1.0\r\n\r\n".to_owned(), 0, LARGE_BYTES),
                1 => ("GET /small HTTP/1.0\r\n\r\n".to_owned(), 0, SMALL.len()),
                2 => {
                    ("GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(), 0, SMALL.len())
                }
                _ => (
                    format!("PUT /reads HTTP/1.0\r\nContent-Length: {UPLOAD_BYTES}\r\n\r\n"),
                    UPLOAD_BYTES,
                    5,
                ),
            };
            let seen = client.exchange(request.as_bytes(), upload, Manner::StopsAtFailedWrite).await;
            assert!(seen.complete && seen.body == body && seen.end == End::Fin, "{request:?}: {seen:?}");
            true
        });
    }
    answered + asking.join_all().await.len()
}

const UPLOAD_BYTES: usize = 64 << 10;

/// It sends each request on a connection of its own.
async fn curl(server: SocketAddr, count: usize) -> usize {
    let mut answered = 0;
    for (path, size, said) in
        [("large", LARGE_BYTES, "--http1.0"), ("small", SMALL.len(), "-HConnection: close")]
    {
        let urls = format!("http://{server}/{path}?[1-{}]", count / 2);
        let printed = output(
            "curl",
            &[
                "-sS",
                "--fail",
                "-Z",
                "--parallel-max",
                "20",
                said,
                "-o",
                "/dev/null",
                "-w",
                "%{size_download}\n",
                &urls,
            ],
        )
        .await;
        let sizes: Vec<_> = printed.lines().map(|line| line.parse::<usize>().expect("a size")).collect();
        assert!(sizes.iter().all(|each| *each == size), "{path}: {sizes:?}");
        answered += sizes.len();
    }
    answered
}

async fn ab(server: SocketAddr, count: usize) -> usize {
    let mut answered = 0;
    for (path, part) in [("large", 4), ("small", 2)] {
        let requests = (count / part).max(AT_ONCE);
        let (url, requests, at_once) =
            (format!("http://{server}/{path}"), requests.to_string(), AT_ONCE.to_string());
        let printed = output("ab", &["-q", "-n", &requests, "-c", &at_once, "-s", "60", &url]).await;
        let number = |label: &str| {
            let value = printed.lines().find_map(|line| line.split_once(label)?.1.split_whitespace().next());
            value.map(|value| value.parse::<usize>().expect("a number"))
        };
        let (failed, refused) = (number("Failed requests:"), number("Non-2xx responses:"));
        assert_eq!((failed, refused), (Some(0), None), "{printed}");
        answered += number("Complete requests:").expect("it counts");
    }
    answered
}

async fn wrk(server: SocketAddr) -> usize {
    let url = format!("http://{server}/small");
    let printed = output("wrk", &["-t1", "-c20", "-d1s", "-HConnection: close", &url]).await;
    assert!(!printed.contains("Socket errors") && !printed.contains("Non-2xx"), "{printed}");
    let requests = printed.lines().find_map(|line| line.split_once(" requests in ")?.0.trim().parse().ok());
    requests.unwrap_or_else(|| panic!("it counts: {printed}"))
}

/// What a program prints that succeeds in time.
async fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).stdin(Stdio::null()).kill_on_drop(true).output();
    let output =
        tokio::time::timeout(BOUND, output).await.unwrap_or_else(|_| panic!("{program} takes too long"));
    let output =
        output.unwrap_or_else(|error| panic!("{program} does not start ({error}): `make needs` installs it"));
    let (printed, complaint) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {printed}{complaint}");
    printed.into_owned()
}

/// Much longer than any of them takes for a few hundred requests; with ten thousand on a slow link, some
/// minutes.
const BOUND: Duration = Duration::from_secs(1_000);

/// How many sockets of this server the kernel has not brought to their end yet.
pub(super) fn unsent(port: u16) -> usize {
    ss(&["-Htn", "state", "fin-wait-1", "state", "last-ack", "state", "closing", &format!("sport = {port}")])
        .lines()
        .count()
}
