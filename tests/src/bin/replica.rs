//! One of several equal servers, for the tests of rolling restarts: a process that ends at SIGTERM.
//!
//! ```text
//! replica KIND ADDRESS NOTICE_MILLISECONDS [CERTIFICATE_FILE KEY_FILE]
//! ```
//!
//! `KIND` is `bare` (`axum::serve` with its graceful shutdown), `layered` (the same with the layer), or
//! `serve` (`tower_linger::serve`, with this notice). Every answer carries the process's id in `x-replica`,
//! so that a client knows who answered.

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    unix::main()
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this server ends by SIGTERM, which this system does not have");
}

#[cfg(unix)]
mod unix {
    use std::error::Error;
    use std::net::SocketAddr;
    use std::path::Path;
    use std::process::ExitCode;
    use std::sync::Arc;
    use std::time::Duration;

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
    use axum::http::{HeaderValue, StatusCode};
    use axum::middleware::map_response;
    use axum::response::Response;
    use axum::routing::{any, get, post, put};
    use axum::serve::Listener;
    use tls_listener::TlsListener;
    use tokio::net::TcpListener;
    use tokio::signal::unix::{Signal, SignalKind, signal};
    use tokio::time::{sleep, timeout};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tower_linger::axum::{LingerListener, TlsLingerListener};
    use tower_linger::{ExclusiveListener, LingerLayer, RequestLayer, Shutdown, ShutdownHandle, Tracker};

    type Result<T> = std::result::Result<T, Box<dyn Error>>;

    /// What a request costs the server besides its transport, so that some are unanswered at any time.
    const WORK: Duration = Duration::from_millis(3);
    /// From SIGTERM, or from the end of the notice, to the end of the last connection.
    const LIMIT: Duration = Duration::from_secs(10);
    /// How long a client may take to answer a Close frame.
    const GOODBYE: Duration = Duration::from_secs(5);

    struct Args {
        kind: String,
        address: SocketAddr,
        notice: Duration,
        tls: Option<ServerConfig>,
    }

    pub(super) fn main() -> ExitCode {
        match args().and_then(run) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("replica: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn args() -> Result<Args> {
        const USAGE: &str = "replica KIND ADDRESS NOTICE_MILLISECONDS [CERTIFICATE_FILE KEY_FILE]";
        let args: Vec<String> = std::env::args().skip(1).collect();
        let [kind, address, notice, files @ ..] = args.as_slice() else { return Err(USAGE.into()) };
        let tls = match files {
            [] => None,
            [certificate, key] => Some(server_config(Path::new(certificate), Path::new(key))?),
            _ => return Err(USAGE.into()),
        };
        let notice = Duration::from_millis(notice.parse()?);
        Ok(Args { kind: kind.clone(), address: address.parse()?, notice, tls })
    }

    fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig> {
        let chain = CertificateDer::pem_file_iter(certificate)?.collect::<std::result::Result<_, _>>()?;
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    #[tokio::main(worker_threads = 2)]
    async fn run(args: Args) -> Result<()> {
        let terminate = signal(SignalKind::terminate())?;
        let tcp = TcpListener::bind(args.address).await?;
        match args.kind.as_str() {
            "bare" => bare(tcp, args.tls, terminate).await,
            "layered" => layered(tcp, args.tls, terminate).await,
            "serve" => serve(tcp, args.tls, args.notice).await,
            kind => Err(format!("there is no kind {kind:?}").into()),
        }
    }

    /// What axum's documentation shows. Its handlers hear nothing of the end.
    async fn bare(tcp: TcpListener, tls: Option<ServerConfig>, mut terminate: Signal) -> Result<()> {
        let app = app(None);
        let ended = async move {
            let _ = terminate.recv().await;
        };
        match tls {
            None => axum::serve(tcp, app).with_graceful_shutdown(ended).await?,
            Some(tls) => {
                let listener = TlsListener::new(TlsAcceptor::from(Arc::new(tls)), tcp);
                axum::serve(listener, app).with_graceful_shutdown(ended).await?;
            }
        }
        Ok(())
    }

    /// The layer, and a shutdown that begins at the signal, without notice.
    async fn layered(tcp: TcpListener, tls: Option<ServerConfig>, mut terminate: Signal) -> Result<()> {
        let linger = LingerLayer::default();
        let shutdown = Shutdown::new(linger.tracker().clone(), LIMIT);
        let handle = shutdown.handle();
        tokio::spawn(async move {
            while terminate.recv().await.is_some() {
                handle.request();
            }
        });
        match tls {
            None => layered_on(LingerListener::new(tcp, linger), shutdown).await,
            Some(tls) => {
                let tls = linger.tls(TlsAcceptor::from(Arc::new(tls)));
                layered_on(TlsLingerListener::new(tcp, tls), shutdown).await
            }
        }
    }

    async fn layered_on<L: Listener<Addr = SocketAddr>>(listener: L, shutdown: Shutdown) -> Result<()> {
        let app = app(Some(shutdown.handle())).layer(RequestLayer);
        let serve = axum::serve(listener, app).with_graceful_shutdown(shutdown.requested());
        let (served, _) = shutdown.finish(serve).await;
        Ok(served.ok_or("requests were cut at the deadline")??)
    }

    /// `tower_linger::serve`, with a notice that begins at the signal.
    async fn serve(tcp: TcpListener, tls: Option<ServerConfig>, notice: Duration) -> Result<()> {
        let shutdown = Shutdown::new(Tracker::new(), LIMIT).with_notice(notice).on_signals()?;
        let mut serve =
            tower_linger::serve(ExclusiveListener(tcp), app(Some(shutdown.handle()))).graceful(shutdown);
        if let Some(tls) = tls {
            serve = serve.tls(tls);
        }
        serve.await;
        Ok(())
    }

    fn app(shutdown: Option<ShutdownHandle>) -> Router {
        let id = HeaderValue::from(std::process::id());
        Router::new()
            .route("/", get(async || "a".repeat(2000)))
            .route("/echo", post(echo))
            .route("/upload", put(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large\n")))
            .route("/socket", any(upgrade))
            .route("/ready", get(ready))
            .with_state(shutdown)
            .layer(map_response(move |mut response: Response| {
                response.headers_mut().insert("x-replica", id.clone());
                std::future::ready(response)
            }))
    }

    /// Fails when the server is about to end, so that a balancer which asks takes the next replica.
    async fn ready(State(shutdown): State<Option<ShutdownHandle>>) -> StatusCode {
        let is_ending = shutdown.is_some_and(|shutdown| shutdown.is_noticed());
        if is_ending { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    }

    async fn echo(body: Bytes) -> Bytes {
        sleep(WORK).await;
        body
    }

    async fn upgrade(upgrade: WebSocketUpgrade, State(shutdown): State<Option<ShutdownHandle>>) -> Response {
        upgrade.on_upgrade(async move |socket| match shutdown {
            Some(shutdown) => session(socket, shutdown.noticed()).await,
            None => session(socket, std::future::pending()).await,
        })
    }

    /// Answers each message with itself. At the server's end it says Going Away, and takes nothing more.
    async fn session(mut socket: WebSocket, ending: impl Future<Output = ()>) {
        let mut ending = std::pin::pin!(ending);
        loop {
            tokio::select! {
                received = socket.recv() => match received {
                    Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                        if socket.send(message).await.is_err() {
                            return;
                        }
                    }
                    Some(Ok(_)) => {}
                    _ => return,
                },
                () = &mut ending => break,
            }
        }
        let goodbye = CloseFrame { code: close_code::AWAY, reason: Utf8Bytes::from_static("restarting") };
        if socket.send(Message::Close(Some(goodbye))).await.is_ok() {
            let closed = async { while let Some(Ok(_)) = socket.recv().await {} };
            // A client that does not answer in time is cut by the shutdown.
            let _ = timeout(GOODBYE, closed).await;
        }
    }
}
