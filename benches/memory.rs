//! What does a lingering connection hold? Clients get their response and the server's end, say nothing and stay: so many
//! connections drain at once. What is counted is the server process: its proportional set size and its descriptors, over what
//! it has when it is idle.
//!
//! `cargo bench -p tower-linger-benches --bench memory`

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use procfs::process::Process;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower::{Layer, Service, service_fn};
use tower_linger::axum::{LingerListener, TlsLingerListener};
use tower_linger::{ClosePolicy, LingerLayer, TlsAcceptLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};

/// Longer than the bench takes.
const PATIENCE: Duration = Duration::from_secs(100);
/// Connections that are made at the same time.
const AT_ONCE: usize = 100;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// How a server is built, and whether over TLS.
const ROWS: [(&str, bool); 4] = [("layer", false), ("adapter", false), ("layer", true), ("adapter", true)];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let [_, serve, how, tls] = args.as_slice()
        && serve == "serve"
    {
        runtime.block_on(server(how, tls == "tls"));
        return ExitCode::SUCCESS;
    }
    // `cargo test --benches` asks only whether it runs.
    let many = args.iter().any(|arg| arg == "--bench");
    println!(
        "{:16} {:>12} {:>12} {:>14} {:>12}",
        "", "connections", "bytes each", "descriptors", "left after"
    );
    let mut fits = true;
    for (how, tls) in ROWS {
        let number = match (many, tls) {
            (true, false) => 10_000,
            (true, true) => 5_000,
            (false, _) => 50,
        };
        let Row { each, descriptors, after } = runtime.block_on(measure(how, tls, number));
        let name = format!("{how}, {}", if tls { "TLS" } else { "plain" });
        println!("{name:16} {number:>12} {each:>12} {descriptors:>14.2} {after:>11.2}×");
        fits &= !many || each <= 1024;
    }
    println!("Bound: 1024 bytes each. {}", if fits { "Met." } else { "Not met." });
    ExitCode::SUCCESS
}

struct Row {
    each: i64,
    descriptors: f64,
    /// The process when they have ended, against the idle one.
    after: f64,
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_wrap, reason = "for a table")]
async fn measure(how: &str, tls: bool, number: usize) -> Row {
    let mut child = Command::new(std::env::current_exe().expect("it runs"))
        .args(["serve", how, if tls { "tls" } else { "plain" }])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let said = tokio::process::ChildStdout::from_std(child.stdout.take().expect("piped")).expect("a pipe");
    let mut said = BufReader::new(said).lines();
    let mut line = async || said.next_line().await.expect("a pipe").expect("the server says something");
    let address: SocketAddr = line().await.parse().expect("an address");
    let process = Process::new(child.id().try_into().expect("a pid")).expect("it runs");
    let client = tls.then(|| {
        // Whoever it is: the server's authority is in the other process.
        Arc::new(trusting())
    });
    // The first connections fill what is there once.
    drop(connections(address, client.clone(), 200.min(number)).await);
    writeln!(child.stdin.as_ref().expect("piped")).expect("it reads");
    line().await;
    let idle = state(&process);
    let held = connections(address, client, number).await;
    let full = state(&process);
    drop(held);
    // It says when all of them are over.
    writeln!(child.stdin.as_ref().expect("piped")).expect("it reads");
    line().await;
    let after = state(&process);
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    let each = |of: fn(&State) -> u64| (of(&full) as i64 - of(&idle) as i64) as f64 / number as f64;
    #[expect(clippy::cast_possible_truncation, reason = "bytes")]
    Row {
        each: each(|state| state.bytes).ceil() as i64,
        descriptors: each(|state| state.descriptors),
        after: after.bytes as f64 / idle.bytes as f64,
    }
}

struct State {
    bytes: u64,
    descriptors: u64,
}

fn state(process: &Process) -> State {
    let rollup = process.smaps_rollup().expect("Linux");
    let bytes = rollup.memory_map_rollup.iter().filter_map(|map| map.extension.map.get("Pss")).sum();
    State { bytes, descriptors: process.fd_count().expect("ours") as u64 }
}

/// Connections that have had their response and the server's end, open on this side.
async fn connections(address: SocketAddr, tls: Option<Arc<ClientConfig>>, number: usize) -> Vec<TcpStream> {
    let (mut opening, mut open) = (JoinSet::new(), Vec::with_capacity(number));
    for begun in 0..number {
        if begun >= AT_ONCE {
            open.push(opening.join_next().await.expect("some are under way").expect("no panic"));
        }
        opening.spawn(connection(address, tls.clone()));
    }
    open.extend(opening.join_all().await);
    open
}

async fn connection(address: SocketAddr, tls: Option<Arc<ClientConfig>>) -> TcpStream {
    async fn ask(io: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
        io.write_all(REQUEST).await.expect("it reads");
        let mut response = Vec::new();
        io.read_to_end(&mut response).await.expect("it ends cleanly");
        assert!(response.ends_with(b"hello\n"));
    }
    let mut tcp = TcpStream::connect(address).await.expect("it listens");
    match tls {
        None => {
            ask(&mut tcp).await;
            tcp
        }
        Some(config) => {
            let name = "localhost".try_into().expect("a name");
            let mut tls = TlsConnector::from(config).connect(name, tcp).await.expect("it is trusted");
            ask(&mut tls).await;
            tls.into_inner().0
        }
    }
}

async fn server(how: &str, tls: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("bound"));
    let policy = ClosePolicy::builder().drain_limit(PATIENCE).drain_idle_timeout(PATIENCE);
    let linger = LingerLayer::new(policy.build().expect("it makes sense"));
    let tracker = linger.tracker().clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while lines.next_line().await.expect("a pipe").is_some() {
            tracker.wait().await;
            println!("all are over");
        }
    });
    let app = Router::new().route("/", get(async || "hello\n"));
    let acceptor = || {
        let config = Certs::make().server(&Version::ALL, ClientAuth::None);
        TlsAcceptLayer::new(TlsAcceptor::from(Arc::new(config)), linger.clone())
    };
    match (how, tls) {
        ("adapter", false) => {
            axum::serve(LingerListener::new(listener, linger), app).await.expect("it serves");
        }
        ("adapter", true) => {
            axum::serve(TlsLingerListener::new(listener, acceptor()), app).await.expect("it serves");
        }
        (_, false) => accept(listener, linger.layer(service_fn(move |io| engine(io, app.clone())))).await,
        (_, true) => {
            let engine = linger.layer(service_fn(move |io| engine(io, app.clone())));
            accept(listener, acceptor().layer(engine)).await;
        }
    }
}

async fn engine<I>(io: I, app: Router) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let builder = auto::Builder::new(TokioExecutor::new());
    builder.serve_connection(TokioIo::new(io), TowerToHyperService::new(app)).await
}

async fn accept<S>(listener: TcpListener, mut connections: S)
where
    S: Service<TcpStream, Future: Send + 'static, Response: Send + 'static, Error: Send + 'static>,
{
    while let Ok((stream, _)) = listener.accept().await {
        drop(tokio::spawn(connections.call(stream)));
    }
}

fn trusting() -> ClientConfig {
    linger_probe::trust::Trust { insecure: true, ..Default::default() }.client().expect("nothing to read")
}
