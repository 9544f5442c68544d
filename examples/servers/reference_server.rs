//! A server as it could run in production: TLS whose certificate and close policy are reloaded, HTTP/1 and
//! HTTP/2, WebSockets, probes, metrics, settings from a file, a socket from systemd, and an end that loses
//! no request.
//!
//! ```text
//! cargo run --example reference_server -- --notice 10s --limit 20s
//! head -c 32M /dev/zero | curl -sSk --http1.1 -H Expect: -T - https://127.0.0.1:3443/upload
//! # → too large, said the handler
//! curl -sS http://127.0.0.1:9443/ready
//! # → ready
//! pkill -HUP -x reference_serve  # reads the certificate and the settings again
//! pkill -TERM -x reference_serve # /ready fails for 10 s; then it stops, and takes 20 s at most
//! ```
//!
//! Each argument can be an environment variable: `SERVER_NOTICE=10s`. The file for `--config` has a table for
//! how connections close and one for what clients may hold:
//!
//! ```toml
//! [close]
//! drain_limit = "20s"
//! [limits]
//! idle_timeout = "620s"
//! ```

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{any, get, put};
use clap::Parser;
use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tower_linger::{
    ClosePolicy, ExclusiveListener, Limits, LingerLayer, Listener, SharedListener, Shutdown, ShutdownHandle,
    serve,
};
use tower_linger_examples::{Recorder, Result, TlsFiles, exit, listen, tls_config};

/// A server as it could run in production.
#[derive(Parser)]
struct Args {
    /// Address to listen on. systemd's socket activation comes before it.
    #[arg(env = "SERVER_LISTEN", default_value = "127.0.0.1:3443")]
    listen: SocketAddr,
    /// Address of `/live`, `/ready` and `/metrics`, over plain HTTP. It should not be public.
    #[arg(long, env = "SERVER_ADMIN", default_value = "127.0.0.1:9443")]
    admin: SocketAddr,
    /// Serve without TLS: for a balancer that does TLS.
    #[arg(long, env = "SERVER_PLAIN")]
    plain: bool,
    #[command(flatten)]
    tls: TlsFiles,
    /// How long the server still accepts after SIGTERM, while its readiness probe fails.
    #[arg(long, env = "SERVER_NOTICE", default_value = "10s", value_parser = humantime::parse_duration)]
    notice: Duration,
    /// How long its requests and connections may take to end after that.
    #[arg(long, env = "SERVER_LIMIT", default_value = "20s", value_parser = humantime::parse_duration)]
    limit: Duration,
    /// TOML file with the tables `close` and `limits`.
    #[arg(long, env = "SERVER_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    close: ClosePolicy,
    limits: Limits,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(Args::parse()).await)
}

async fn run(args: Args) -> Result<()> {
    // Before the first connection, so that everything is counted.
    let recorder = Recorder::install()?;
    let config = read_config(args.config.as_ref())?;
    let certificate = Arc::new(Certificate(RwLock::new(Arc::new(args.tls.certified_key()?))));
    let linger =
        LingerLayer::new(config.close).named("public").on_close(|report| println!("{}", report.line()));
    let shutdown = Shutdown::new(linger.tracker().clone(), args.limit).with_notice(args.notice);
    let (handle, shutdown) = (shutdown.handle(), shutdown.on_signals());
    let shutdown = shutdown.map_err(|error| format!("cannot wait for signals: {error}"))?;

    let admin = Router::new()
        .route("/live", get(async || "live\n"))
        .route("/ready", get(ready))
        .route("/metrics", get(async move || recorder.scrape()))
        .with_state(handle.clone());
    let admin = serve(listen(args.admin).await?, admin).linger(LingerLayer::default().named("admin"));
    let app = Router::new()
        .route("/", get(async || "hello\n"))
        .route("/upload", put(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large, said the handler\n")))
        .route("/ws", any(upgrade))
        .with_state(handle);
    let socket = Socket::inherited_or(args.listen).await?;
    let public = serve(socket, app).linger(linger.clone()).limits(config.limits).graceful(shutdown);
    let public = if args.plain { public } else { public.tls(tls_config(certificate.clone())?) };
    reload_at_hangup(args, linger, certificate)?;
    tokio::select! {
        summary = public => println!("{summary}"),
        _ = admin => unreachable!("nobody asks it to end"),
    }
    Ok(())
}

async fn ready(State(shutdown): State<ShutdownHandle>) -> (StatusCode, &'static str) {
    if shutdown.is_noticed() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

async fn upgrade(upgrade: WebSocketUpgrade, State(shutdown): State<ShutdownHandle>) -> Response {
    let noticed = shutdown.noticed();
    upgrade.on_upgrade(async move |mut socket| {
        tokio::select! {
            () = echo(&mut socket) => {}
            // A client that is told goes elsewhere. It answers the Close frame; what it still sends before
            // is discarded.
            () = noticed => {
                let away = CloseFrame { code: close_code::AWAY, reason: "the server is stopping".into() };
                // It fails where the client is gone already.
                let _ = socket.send(Message::Close(Some(away))).await;
                while let Some(Ok(_)) = socket.recv().await {}
            }
        }
    })
}

async fn echo(socket: &mut WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

fn read_config(path: Option<&PathBuf>) -> Result<Config> {
    let Some(path) = path else { return Ok(Config::default()) };
    let because = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| because(&error))?;
    // The message alone: with its excerpt of the file it would be several lines.
    toml::from_str(&text).map_err(|error: toml::de::Error| because(&error.message()))
}

/// Reads certificate and settings again at each SIGHUP. What cannot be read stays as it was.
fn reload_at_hangup(args: Args, linger: LingerLayer, certificate: Arc<Certificate>) -> Result<()> {
    let signals = signal(SignalKind::hangup());
    let mut hangups = signals.map_err(|error| format!("cannot wait for SIGHUP: {error}"))?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            let read = args.tls.certified_key().and_then(|key| Ok((key, read_config(args.config.as_ref())?)));
            match read {
                Ok((key, config)) => {
                    certificate.set(key);
                    linger.set_policy(config.close);
                    println!("reloaded");
                }
                Err(error) => eprintln!("error: {error} (nothing was changed)"),
            }
        }
    });
    Ok(())
}

/// The certificate of the handshakes from now on.
#[derive(Debug)]
struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Certificate {
    fn set(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// A socket that only this process has, or one that systemd listens on as well: what the next instance
/// accepts need not be refused.
enum Socket {
    Own(ExclusiveListener<TcpListener>),
    Inherited(SharedListener<TcpListener>),
}

impl Socket {
    async fn inherited_or(address: SocketAddr) -> Result<Self> {
        let because = |error: io::Error| format!("cannot use the inherited socket: {error}");
        let Some(socket) = ListenFd::from_env().take_tcp_listener(0).map_err(because)? else {
            return Ok(Self::Own(ExclusiveListener(listen(address).await?)));
        };
        socket.set_nonblocking(true).map_err(because)?;
        let listener = TcpListener::from_std(socket).map_err(because)?;
        println!("listening on {}", listener.local_addr().map_err(because)?);
        Ok(Self::Inherited(SharedListener(listener)))
    }
}

impl Listener for Socket {
    type Io = TcpStream;
    type Address = SocketAddr;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        match self {
            Self::Own(listener) => listener.poll_accept(cx),
            Self::Inherited(listener) => listener.poll_accept(cx),
        }
    }

    fn set_refuses_new(&mut self, refuses: bool) -> bool {
        match self {
            Self::Own(listener) => listener.set_refuses_new(refuses),
            Self::Inherited(listener) => listener.set_refuses_new(refuses),
        }
    }

    fn close(self) {
        match self {
            Self::Own(listener) => listener.close(),
            Self::Inherited(listener) => listener.close(),
        }
    }
}
