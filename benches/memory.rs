//! What does a lingering connection hold? Clients get their response and the server's end, say nothing and stay: so many
//! connections drain at once. What is counted is the server process: its proportional set size and its descriptors, over what
//! it has when it is idle.
//!
//! `cargo bench -p tower-linger-benches --bench memory`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower::{Layer, Service, service_fn};
use tower_linger::axum::{LingerListener, TlsLingerListener};
use tower_linger::{ClosePolicy, LingerLayer, TlsAcceptLayer};
use tower_linger_benches::process::{Server, serves};
use tower_linger_benches::results::{Bound, Results, Row, is_bench};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};

/// Longer than the bench takes.
const PATIENCE: Duration = Duration::from_secs(100);
/// Connections that are made at the same time.
const AT_ONCE: usize = 100;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// How a server is built, and whether over TLS.
const ROWS: [(&str, bool); 4] = [("layer", false), ("adapter", false), ("layer", true), ("adapter", true)];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let Some(args) = serves() {
        return runtime.block_on(server(&args[0], args[1] == "tls"));
    }
    let mut rows = Vec::new();
    for (how, tls) in ROWS {
        let number = match (is_bench(), tls) {
            (true, false) => 10_000,
            (true, true) => 5_000,
            (false, _) => 50,
        };
        let name = format!("{how}, {}, {number} at once", if tls { "TLS" } else { "plain" });
        rows.extend(runtime.block_on(measure(&name, how, tls, number)));
    }
    Results::new("memory", rows).tell();
}

#[expect(clippy::cast_precision_loss, reason = "for a table")]
async fn measure(name: &str, how: &str, tls: bool, number: usize) -> [Row; 3] {
    let mut server = Server::start(&[how, if tls { "tls" } else { "plain" }]);
    // Whoever it is: the server's authority is in the other process.
    let client = tls.then(|| Arc::new(trusting()));
    // The first connections fill what is there once.
    drop(connections(server.address, client.clone(), 200.min(number)).await);
    server.settle();
    let idle = server.holds();
    let held = connections(server.address, client, number).await;
    let full = server.holds();
    drop(held);
    server.settle();
    let after = server.holds();
    let each = |full: u64, idle: u64| (full as f64 - idle as f64) / number as f64;
    [
        Row::new(format!("memory of a lingering connection: {name}"), each(full.bytes, idle.bytes), "bytes")
            .bounded(Bound::AtMost(1024.0)),
        Row::new(format!("its descriptors: {name}"), each(full.descriptors, idle.descriptors), "")
            .bounded(Bound::AtMost(1.0)),
        Row::new(
            format!("the process after they ended ÷ idle: {name}"),
            after.bytes as f64 / idle.bytes as f64,
            "×",
        )
        .bounded(Bound::AtMost(1.1)),
    ]
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
