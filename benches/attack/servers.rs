//! The servers, each in a process of its own on a core of its own. They answer `GET /`, refuse uploads to
//! `/refused`, and have a large response.

use std::future::IntoFuture;
use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, put};
use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;
use tower_linger::{LingerLayer, Outcome, Tracker};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::hostile::{LARGE, REFUSED};
use tower_linger_tests::nginx::Nginx;
use tower_linger_tests::server::{BareTls, Http, accept_loop};

use crate::clients::{CLIENTS_CORE, pin};
use crate::plan::{PLAIN, Server, TLS};

const SERVERS_CORE: usize = 0;
pub(crate) const SERVERS_PRIORITY: u8 = 1;
const QUEUE: u32 = 4096;
const LARGE_BYTES: usize = 8 << 20;

/// What a server of ours says of its connections.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Counted {
    pub(crate) served: usize,
    pub(crate) closing: usize,
    pub(crate) evicted: u64,
    pub(crate) ended: u64,
}

/// A server that runs until it is dropped.
pub(crate) enum Running {
    Rust(tower_linger_benches::process::Server),
    Nginx(Nginx),
}

impl Running {
    pub(crate) async fn start(server: Server) -> Self {
        match server {
            Server::Nginx => Self::Nginx(nginx().await),
            Server::Ours | Server::Hyper => {
                Self::Rust(tower_linger_benches::process::Server::start(&[server.name()]))
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        match self {
            Self::Rust(server) => server.id(),
            Self::Nginx(nginx) => nginx.id(),
        }
    }

    pub(crate) fn counted(&mut self) -> Option<Counted> {
        match self {
            Self::Rust(server) => serde_json::from_str(&server.settle()).ok(),
            Self::Nginx(_) => None,
        }
    }
}

async fn nginx() -> Nginx {
    let certs = Certs::make();
    let server = format!(
        "keepalive_requests 1000000; lingering_close always; client_max_body_size 1k; server {{ \
         listen {PLAIN} backlog={QUEUE}; listen {TLS} ssl backlog={QUEUE}; \
         ssl_certificate {{folder}}/cert.pem; ssl_certificate_key {{folder}}/key.pem; root {{folder}}; \
         location = / {{ return 200 \"hello\\n\"; }} }}"
    );
    let (chain, key) = certs.server_pem();
    let large = ".".repeat(LARGE_BYTES);
    let files = [("cert.pem", chain), ("key.pem", key), (&LARGE[1..], large.as_str())];
    let mut nginx = Nginx::start_for(16_000, &server, &files);
    pin(Some(nginx.id()), SERVERS_CORE);
    nginx.listens_at(PLAIN.port()).await;
    nginx
}

/// In the server's process: serves until it is killed.
pub(crate) fn serve(server: Server) {
    pin(None, SERVERS_CORE);
    // One thread on one core, as nginx here. With `new_multi_thread`, the accept loop and the connections would
    // have a thread each, and take turns.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (plain, tls) = (listen(PLAIN), listen(TLS));
        let tracker = Tracker::new();
        tokio::spawn(tell(tracker.clone()));
        let config = Certs::make().server(&Version::ALL, ClientAuth::None);
        if server == Server::Hyper {
            let acceptor = TlsAcceptor::from(std::sync::Arc::new(config));
            let _plain = accept_loop(plain, Http::new(app()));
            let _tls = accept_loop(tls, BareTls::new(acceptor, Http::new(app())));
            println!("{PLAIN}");
            return std::future::pending::<()>().await;
        }
        let linger = LingerLayer::default().with_tracker(tracker);
        let plain = tower_linger::serve(plain, app()).linger(linger.clone());
        let tls = tower_linger::serve(tls, app()).linger(linger).tls(config);
        println!("{PLAIN}");
        let _ended = tokio::join!(plain.into_future(), tls.into_future());
    });
}

/// With a queue as long as nginx has here: tokio's own has 1024 places, and a client that finds none tries
/// again after a second.
fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(address).expect("the port is free");
    socket.listen(QUEUE).expect("the port is free")
}

/// Answers each line with what the tracker counts.
async fn tell(tracker: Tracker) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while lines.next_line().await.expect("a pipe").is_some() {
        let summary = tracker.summary();
        let counted = Counted {
            served: tracker.served(),
            closing: tracker.closing(),
            evicted: summary.count(Outcome::Evicted),
            ended: summary.total(),
        };
        println!("{}", serde_json::to_string(&counted).expect("numbers"));
    }
}

fn app() -> Router {
    let large = Bytes::from(vec![b'.'; LARGE_BYTES]);
    Router::new()
        .route("/", get(async || "hello\n"))
        .route(REFUSED, put(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large\n")))
        .route(LARGE, get(async move || large))
}

const _: () = assert!(SERVERS_CORE != CLIENTS_CORE);
