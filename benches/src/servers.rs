//! One application, served by hyper alone, by hyper with the layer, and by `axum::serve` with the adapter;
//! plain and over TLS.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONNECTION;
use axum::routing::get;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tower::Layer as _;
use tower_linger::{ClosePolicy, LingerLayer, Phase, RequestLayer, Tracker, Workers};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::{BareTls, Engine, Http, accept_loop};

/// How a server is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// hyper alone.
    Bare,
    /// `LingerLayer` around it.
    Layer,
    /// The same, and `RequestLayer` around the application: it knows which request is the last.
    Requests,
    /// `LingerListener` below `axum::serve`.
    Adapter,
    /// `tower_linger::Workers`: a runtime for each core.
    Workers,
}

/// The settings of a server.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// How it is built.
    pub stack: Stack,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// How it closes.
    pub policy: ClosePolicy,
    /// Whether it records how long each drain took, and prints the times when it settles.
    pub records_drains: bool,
    /// How many may linger at once, instead of the default.
    pub limit: Option<NonZeroUsize>,
    /// Whether its TLS sessions can be resumed. If so, it keeps the last 256 sessions in memory.
    pub resumes: bool,
}

impl Config {
    /// From the arguments of a server process: a stack, then `tls` or `plain`. The policy is the default.
    ///
    /// # Panics
    ///
    /// If the arguments are not these.
    #[must_use]
    pub fn from_args(args: &[String]) -> Self {
        Self {
            stack: Stack::named(&args[0]),
            tls: args[1] == "tls",
            policy: ClosePolicy::default(),
            records_drains: false,
            limit: None,
            resumes: true,
        }
    }
}

impl Stack {
    /// Its name in tables and arguments.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Layer => "layer",
            Self::Requests => "requests",
            Self::Adapter => "adapter",
            Self::Workers => "workers",
        }
    }

    /// The stack of this name.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let all = [Self::Bare, Self::Layer, Self::Requests, Self::Adapter, Self::Workers];
        all.into_iter().find(|stack| stack.name() == name).expect("a name from this program")
    }
}

/// The size of the responses at `/large`, and at `/ends`, after which the server ends the connection.
pub const LARGE_BYTES: usize = 64 << 10;

/// Serves on any port of `address` until the process ends. This runs in the process of a
/// [`Server`](crate::process::Server). Each time the server settles, it prints the times of the drains since
/// the last time, in microseconds, if it records them.
///
/// # Panics
///
/// If it cannot listen.
pub async fn serve(address: &str, config: Config) {
    let workers = (config.stack == Stack::Workers).then(|| Workers::per_core((address, 0)).expect("a port"));
    let listener = TcpListener::bind((address, 0)).await.expect("a port");
    let listens = workers.as_ref().map_or_else(|| listener.local_addr(), Workers::local_addr);
    println!("{}", listens.expect("bound"));
    let mut linger = LingerLayer::new(config.policy);
    if let Some(limit) = config.limit {
        linger = linger.with_tracker(Tracker::with_limit(limit));
    }
    let drains = Arc::new(Mutex::new(Vec::new()));
    if config.records_drains {
        let drains = drains.clone();
        linger = linger.on_close(move |report| {
            let micros = report.time_in(Phase::Drain).as_micros();
            drains.lock().unwrap_or_else(PoisonError::into_inner).push(micros);
        });
    }
    let tracker = linger.tracker().clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while lines.next_line().await.expect("a pipe").is_some() {
            tracker.wait().await;
            let drains = std::mem::take(&mut *drains.lock().unwrap_or_else(PoisonError::into_inner));
            println!("{}", drains.iter().map(u128::to_string).collect::<Vec<_>>().join(" "));
        }
    });
    let refused = async || (StatusCode::PAYLOAD_TOO_LARGE, "too large\n");
    let large = async || vec![b'.'; LARGE_BYTES];
    let ends = async || ([(CONNECTION, "close")], vec![b'.'; LARGE_BYTES]);
    let app = Router::new().route("/", get(async || "hello\n").put(refused));
    let app = app.route("/large", get(large)).route("/ends", get(ends));
    let mut server = Certs::make().server(&Version::ALL, ClientAuth::None);
    if !config.resumes {
        server.session_storage = Arc::new(NoServerSessionStorage {});
    }
    if let Some(workers) = workers {
        let serve = workers.serve(app).linger(linger);
        let _never = if config.tls { serve.tls(server) } else { serve }.await;
        return;
    }
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let _running = match (config.stack, config.tls.then_some(acceptor)) {
        (Stack::Bare, None) => accept_loop(listener, Http::new(app)),
        (Stack::Bare, Some(acceptor)) => accept_loop(listener, BareTls::new(acceptor, Http::new(app))),
        (Stack::Layer, acceptor) => Engine::Hyper.layered(listener, &linger, acceptor, app),
        // `Router::layer` would box the service of each route, and their futures and bodies.
        (Stack::Requests, None) => accept_loop(listener, linger.layer(Http::new(RequestLayer.layer(app)))),
        (Stack::Requests, Some(acceptor)) => {
            let tls = linger.try_tls(acceptor).expect("rustls can do it");
            accept_loop(listener, tls.layer(Http::new(RequestLayer.layer(app))))
        }
        (Stack::Workers | Stack::Adapter, acceptor) => Engine::Axum.layered(listener, &linger, acceptor, app),
    };
    std::future::pending::<()>().await;
}
