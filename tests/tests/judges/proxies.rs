//! Proxies of others in front of the app. Each forwards an upload while it arrives; if the app resets the
//! connection after its early answer, the proxy may have lost the answer, and sends a 502.

mod known;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::task::yield_now;
use tower_linger_tests::peer::{Client, Manner, Seen};

use self::known::{ALL, Proxy};
use super::page::{Cell, Count, Table};
use super::programs::{program, run, start, text};
use super::server::{Ground, Kind, Server, Transport, heads};
use super::uploads::{MESSAGE, PATH, UPLOAD_BYTES};

const TRIES: usize = 10;
const HELLO: &str = "hello\n";
/// Far longer than a proxy takes to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A proxy that runs until its value is dropped.
struct Running {
    address: SocketAddr,
    _process: Child,
    _folder: TempDir,
}

impl Running {
    async fn start(proxy: &Proxy, back: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = known::free_address();
        let fill = |text: &str| known::filled(text, folder.path(), address, back);
        std::fs::write(folder.path().join(proxy.file.0), fill(proxy.file.1)).expect("it takes files");
        let mut command = program(proxy.program);
        command.args(proxy.args.iter().map(|arg| fill(arg)));
        // Where Caddy keeps what it has.
        command
            .env("HOME", folder.path())
            .envs(["XDG_DATA_HOME", "XDG_CONFIG_HOME"].map(|it| (it, folder.path())));
        let mut process = start(&mut command);
        let begun = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            let ended = process.try_wait().expect("it is ours");
            let log = std::fs::read_to_string(folder.path().join("log"));
            let is_late = begun.elapsed() > PATIENCE;
            assert!(ended.is_none() && !is_late, "{} does not listen: {ended:?} {log:?}", proxy.name);
            yield_now().await;
        }
        Self { address, _process: process, _folder: folder }
    }
}

pub(crate) async fn an_early_413_through_a_proxy_is_no_502() {
    let ground = Ground::new();
    let mut rows = Vec::new();
    for proxy in ALL {
        let (mut refusals, mut kept) = (Vec::new(), Vec::new());
        for kind in Kind::ALL {
            let app = super::uploads::app().merge(Router::new().route("/", get(async || HELLO)));
            let server = Server::start(Transport::Plain, kind, &ground, app).await;
            let running = Running::start(proxy, server.address()).await;
            let url = format!("http://{}", running.address);
            kept.push(Cell {
                kind,
                count: if proxy.keeps { Some(reused(&url, &server).await) } else { None },
            });
            let mut good = 0;
            for _ in 0..TRIES {
                good += usize::from(is_refused_and_served_again(running.address).await);
            }
            refusals.push(Cell { kind, count: Some(Count { good, tries: TRIES }) });
            drop(running);
            server.end().await;
        }
        rows.push((proxy.name.to_owned(), [refusals, kept].concat()));
    }
    let heads = heads("proxy", &["413, then the next request", "requests on a kept connection"]);
    Table { name: "proxies", heads, rows }.check();
}

/// Uploads by a client that reads whatever arrives, also when a write fails: how the proxy ends its own
/// connections is not judged here. Then asks for something else.
async fn is_refused_and_served_again(proxy: SocketAddr) -> bool {
    let ask = async |method, path, length| {
        let fields = format!("Host: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n");
        let request = format!("{method} {path} HTTP/1.1\r\n{fields}\r\n");
        let client = Client::plain(proxy, None).await.expect("it listens");
        client.exchange(request.as_bytes(), length, Manner::ReadsWhileWriting).await
    };
    let refusal = ask("PUT", PATH, UPLOAD_BYTES).await;
    let next = ask("GET", "/", 0).await;
    // Shown if the test fails.
    eprintln!("{refusal:?}, then {next:?}");
    let is_whole = |seen: &Seen, status, body: &str| {
        seen.status == Some(status) && seen.complete && seen.body == body.len()
    };
    is_whole(&refusal, 413, MESSAGE) && is_whole(&next, 200, HELLO)
}

/// How many of the requests after the first came by a connection that the proxy had kept.
async fn reused(url: &str, server: &Server) -> Count {
    let before = server.accepted();
    for _ in 0..TRIES {
        assert_eq!(text(&run(program("curl").args(["-sS", "-m", "60", url])).await.stdout), HELLO);
    }
    let opened = server.accepted() - before;
    Count { good: TRIES.saturating_sub(opened), tries: TRIES - 1 }
}
